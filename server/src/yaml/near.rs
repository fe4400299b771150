//! The nearest known name to one that is not known: what the author probably meant.

/// Longest name that is compared; longer ones are near nothing.
const MAX_COMPARED_CHARS: usize = 64;

/// ` (did you mean …?)` where a known name is near, else nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let allowed = name.chars().count().div_ceil(3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| {
            (
                distance(&name.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| format!(" (did you mean `{candidate}`?)"))
        .unwrap_or_default()
}

/// Levenshtein's distance, by characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(MAX_COMPARED_CHARS + 1).collect();
    let left: Vec<char> = left.chars().take(MAX_COMPARED_CHARS + 1).collect();
    if left.len().max(right.len()) > MAX_COMPARED_CHARS {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        let known = ["partition_key", "sort_key", "table"];
        assert_eq!(
            did_you_mean("partiton_key", known),
            " (did you mean `partition_key`?)"
        );
        assert_eq!(did_you_mean("sortKey", known), " (did you mean `sort_key`?)");
        assert_eq!(did_you_mean("tabel", known), " (did you mean `table`?)");
        assert_eq!(did_you_mean("colour", known), "");
        assert_eq!(did_you_mean("", known), "");
        assert_eq!(did_you_mean(&"t".repeat(100_000), known), "");
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
