//! Extends a condition by comparisons that must be met too.

/// The condition and all comparisons. DynamoDB refuses redundant parentheses: a condition that has them gets no more.
pub(super) fn conjunction(condition: &str, comparisons: &[String]) -> String {
    let comparisons = comparisons.join(" AND ");
    match (condition, comparisons.as_str()) {
        (condition, "") => condition.to_owned(),
        ("", _) => comparisons,
        (condition, _) if is_enclosed(condition) => format!("{condition} AND {comparisons}"),
        (condition, _) => format!("({condition}) AND {comparisons}"),
    }
}

/// Whether the first parenthesis encloses the whole text, which has no literals.
fn is_enclosed(text: &str) -> bool {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index > 0 && index + 1 == text.len();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_parentheses_only_where_they_are_missing() {
        let one = ["#a=:a".to_owned()];
        for (condition, whole) in [
            ("", "#a=:a"),
            ("#b=:b OR #c=:c", "(#b=:b OR #c=:c) AND #a=:a"),
            ("(#b=:b OR #c=:c)", "(#b=:b OR #c=:c) AND #a=:a"),
            ("(#b=:b) OR (#c=:c)", "((#b=:b) OR (#c=:c)) AND #a=:a"),
            ("attribute_exists(#b)", "(attribute_exists(#b)) AND #a=:a"),
        ] {
            assert_eq!(conjunction(condition, &one), whole);
        }
        assert_eq!(conjunction("#b=:b", &[]), "#b=:b");
        let two = ["#a=:a".to_owned(), "#c=:c".to_owned()];
        assert_eq!(conjunction("#b=:b", &two), "(#b=:b) AND #a=:a AND #c=:c");
    }
}
