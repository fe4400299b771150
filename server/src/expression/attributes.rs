//! The attributes that a condition or filter uses, whatever it compares them with.

use super::ast::{Comparator, Condition, Operand, Path};
use super::definitions::Definitions;
use super::input::Expression;
use super::{lexer, parser};
use crate::model::Value;
use crate::model::limits::MAX_EXPRESSION_BYTES;

/// The names of the attributes at which the paths of a condition start, each once. Empty if the condition is not valid.
pub fn attributes(expression: &Expression) -> Vec<String> {
    in_condition(expression, |condition, definitions| {
        let mut names: Vec<String> = Vec::new();
        for path in paths(condition) {
            if let Some(name) = definitions.name(&path.attribute)
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    })
}

/// The attributes that a condition compares with `=` and a value, on its own or joined by AND. Empty if the condition is not
/// valid.
pub fn equalities(expression: &Expression) -> Vec<(String, Value)> {
    in_condition(expression, equal_values)
}

/// What `find` finds in a condition; nothing if it is not valid.
fn in_condition<T>(
    expression: &Expression,
    find: impl FnOnce(&Condition<'_>, &Definitions<'_>) -> Vec<T>,
) -> Vec<T> {
    if expression.text.len() > MAX_EXPRESSION_BYTES {
        return Vec::new();
    }
    let tokens = lexer::tokens(&expression.text);
    let condition = parser::condition(&tokens);
    condition.map_or_else(
        |_| Vec::new(),
        |condition| find(&condition, &Definitions::new(expression, "")),
    )
}

fn equal_values(condition: &Condition<'_>, definitions: &Definitions<'_>) -> Vec<(String, Value)> {
    let parts = match condition {
        Condition::And(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let equality = |part: &Condition<'_>| match part {
        Condition::Compare(Operand::Path(path), Comparator::Equal, Operand::Value(value))
        | Condition::Compare(Operand::Value(value), Comparator::Equal, Operand::Path(path))
            if path.steps.is_empty() =>
        {
            let name = definitions.name(&path.attribute)?;
            Some((name.to_owned(), definitions.value(value)?.clone()))
        }
        Condition::Compare(..)
        | Condition::Between(..)
        | Condition::In(..)
        | Condition::Exists(_)
        | Condition::NotExists(_)
        | Condition::HasType(..)
        | Condition::BeginsWith(..)
        | Condition::Contains(..)
        | Condition::Not(_)
        | Condition::And(_)
        | Condition::Or(_) => None,
    };
    parts.iter().filter_map(equality).collect()
}

/// All paths of a condition. The tree is bounded, but not shallow: it is walked without recursion.
fn paths<'c, 'a>(condition: &'c Condition<'a>) -> Vec<&'c Path<'a>> {
    let mut paths = Vec::new();
    let mut open = vec![condition];
    while let Some(condition) = open.pop() {
        match condition {
            Condition::Compare(left, _, right) => add(&mut paths, [left, right]),
            Condition::Between(subject, low, high) => add(&mut paths, [subject, low, high]),
            Condition::In(subject, operands) => add(&mut paths, std::iter::once(subject).chain(operands)),
            Condition::Exists(path) | Condition::NotExists(path) | Condition::HasType(path, _) => {
                paths.push(path);
            }
            Condition::BeginsWith(first, second) | Condition::Contains(first, second) => {
                add(&mut paths, [first, second]);
            }
            Condition::Not(inner) => open.push(inner),
            Condition::And(parts) | Condition::Or(parts) => open.extend(parts.iter().rev()),
        }
    }
    paths
}

fn add<'c, 'a: 'c>(paths: &mut Vec<&'c Path<'a>>, operands: impl IntoIterator<Item = &'c Operand<'a>>) {
    for operand in operands {
        match operand {
            Operand::Path(path) | Operand::Size(path) => paths.push(path),
            Operand::Value(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expression;
    use super::*;

    #[test]
    fn lists_the_attributes_of_all_functions_and_operators_once() {
        let names = |text: &str| attributes(&expression(text, &[], &[("#a", "and"), ("#b", "x.y")]));
        assert_eq!(
            names("a = :v AND (NOT b.c IN (:v, d) OR size(e[0]) > a) AND contains(f, g)"),
            ["a", "b", "d", "e", "f", "g"]
        );
        assert_eq!(
            names(
                "attribute_exists(#a) AND attribute_type(#b, :t) AND h BETWEEN i AND :v AND begins_with(j, :v)"
            ),
            ["and", "x.y", "h", "i", "j"]
        );
        assert!(names("a = ").is_empty());
    }

    #[test]
    fn lists_what_is_equal_to_a_value() {
        let one = Value::S("1".to_owned());
        let equal = |text: &str| {
            let names = equalities(&expression(text, &[(":v", one.clone())], &[("#a", "and")]));
            names.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(equal("#a = :v AND :v = b AND begins_with(c, :v)"), ["and", "b"]);
        assert_eq!(equal("a = :v"), ["a"]);
        for text in [
            "a = :v OR b = :v",
            "NOT a = :v",
            "a.b = :v",
            "a < :v",
            "a = b",
            "a = :w",
            "a =",
        ] {
            assert!(equal(text).is_empty(), "{text}");
        }
    }
}
