//! Key conditions: one value of the partition key and at most one comparison of the sort key. Other attributes are refused.

use super::ast::{Comparator, Condition, Operand, Path, ValueRef};
use super::check::Checker;
use super::condition::parsed;
use super::input::Expression;
use super::names::quoted;
use super::placeholders::Placeholders;
use super::render;
use crate::fault::Faults;
use crate::model::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use crate::model::{Model, Value};

/// A valid key condition.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    /// The rendered text.
    pub text: String,
    /// The value of the partition key.
    pub partition: Value,
}

/// A comparison of a key attribute with values.
struct Term<'t, 'a> {
    path: &'t Path<'a>,
    values: Vec<&'t ValueRef<'a>>,
    is_equality: bool,
}

/// The keys that the terms compared so far.
#[derive(Default)]
struct Found {
    partition: Option<Value>,
    has_partition: bool,
    has_sort: bool,
}

/// Renders the key condition of a Query. Faults are at the same places as for a condition.
///
/// # Errors
///
/// All faults.
pub fn key_condition(
    model: &Model,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<KeyCondition, Faults> {
    let (condition, mut checker) = parsed(model, expression, root)?;
    let mut found = Found::default();
    let terms = match &condition {
        Condition::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    for part in terms {
        if let Some(term) = term(part, &mut checker) {
            let is_valid = checker.condition(part);
            found.add(model, &term, is_valid, &mut checker);
        }
    }
    if !found.has_partition {
        let description = format!(
            "needs `{} = :value`: the partition key must equal one value",
            model.partition_key
        );
        checker.push(checker.definitions().text_fault(description));
    }
    let definitions = checker.finish()?;
    let text = render::condition(model, &condition, definitions, out)?;
    Ok(KeyCondition {
        text,
        partition: found.partition.expect("a missing partition value is a fault"),
    })
}

/// Interprets one part as a comparison of a path with values. Anything else is a fault.
fn term<'t, 'a>(part: &'t Condition<'a>, checker: &mut Checker<'a>) -> Option<Term<'t, 'a>> {
    let (path, values) = match part {
        Condition::Compare(Operand::Path(path), comparator, Operand::Value(value))
        | Condition::Compare(Operand::Value(value), comparator, Operand::Path(path))
            if *comparator != Comparator::NotEqual =>
        {
            (path, vec![value])
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => {
            (path, vec![low, high])
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) => (path, vec![prefix]),
        other => {
            let description = "a key condition compares key attributes with :values using =, <, <=, >, >=, BETWEEN or \
                               begins_with, joined by AND";
            checker.fault_at(other.column(), description);
            return None;
        }
    };
    let is_equality = matches!(part, Condition::Compare(_, Comparator::Equal, _));
    Some(Term {
        path,
        values,
        is_equality,
    })
}

impl Found {
    /// Adds a term. `is_valid`: it has no faults so far.
    fn add<'a>(&mut self, model: &Model, term: &Term<'_, 'a>, is_valid: bool, checker: &mut Checker<'a>) {
        let column = term.path.attribute.column;
        let Some(name) = checker.definitions().name(&term.path.attribute) else {
            return;
        };
        let (is_duplicate, max_bytes) = if name == model.partition_key {
            if !term.is_equality {
                checker.fault_at(
                    column,
                    format!("the partition key {} can only be compared with =", quoted(name)),
                );
            }
            self.partition = checker.definitions().value(term.values[0]).cloned();
            (
                std::mem::replace(&mut self.has_partition, true),
                MAX_PARTITION_KEY_BYTES,
            )
        } else if Some(name) == model.sort_key.as_deref() {
            (std::mem::replace(&mut self.has_sort, true), MAX_SORT_KEY_BYTES)
        } else {
            if is_valid {
                let keys: Vec<_> = model.key_names().map(quoted).collect();
                checker.fault_at(
                    column,
                    format!(
                        "{} is not a key attribute; use {}",
                        quoted(name),
                        keys.join(" or ")
                    ),
                );
            }
            return;
        };
        if is_duplicate {
            checker.fault_at(column, format!("{} is compared twice", quoted(name)));
        }
        for value in term.values.iter().filter(|_| is_valid) {
            check_value(value, max_bytes, checker);
        }
    }
}

/// Checks what remains of a valid comparison: that the value is not NULL, and its size.
fn check_value<'a>(value: &ValueRef<'a>, max_bytes: usize, checker: &mut Checker<'a>) {
    let description = match checker.definitions().value(value) {
        Some(Value::Null) => "is NULL, but a key cannot be NULL".to_owned(),
        Some(Value::S(text)) if text.is_empty() || text.len() > max_bytes => size_description(max_bytes),
        Some(Value::B(bytes)) if bytes.is_empty() || bytes.len() > max_bytes => size_description(max_bytes),
        _ => return,
    };
    checker.push(checker.definitions().value_fault(value.name, description));
}

fn size_description(max_bytes: usize) -> String {
    format!("must have 1 to {max_bytes} bytes, like every value of this key attribute")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{binary, expression, model, number, texts};
    use super::*;
    use crate::model::AttributeType;

    fn text(value: &str) -> Value {
        Value::S(value.to_owned())
    }

    fn check(
        model: &Model,
        condition_text: &str,
        values: &[(&str, Value)],
    ) -> Result<KeyCondition, Vec<String>> {
        let expression = expression(condition_text, values, &[]);
        key_condition(model, &expression, "key_condition", &mut Placeholders::new()).map_err(texts)
    }

    fn faults(condition_text: &str, values: &[(&str, Value)]) -> Vec<String> {
        check(&model(), condition_text, values).unwrap_err()
    }

    #[test]
    fn accepts_the_partition_key_and_one_comparison_of_the_sort_key_in_any_order() {
        let values = [(":p", text("p")), (":s", text("s")), (":t", text("t"))];
        let cases = [
            ("pk = :p", "#n0=:v0"),
            (":p = pk", ":v0=#n0"),
            ("pk = :p AND sk = :s", "#n0=:v0 AND #n1=:v1"),
            ("sk < :s AND pk = :p", "#n0<:v0 AND #n1=:v1"),
            ("(pk = :p) AND (:s >= sk)", "#n0=:v0 AND :v1>=#n1"),
            (
                "pk = :p AND sk BETWEEN :s AND :t",
                "#n0=:v0 AND #n1 BETWEEN :v1 AND :v2",
            ),
            (
                "begins_with(sk, :s) AND pk = :p",
                "begins_with(#n0,:v0) AND #n1=:v1",
            ),
        ];
        for (condition_text, rendered) in cases {
            let used: Vec<_> = values
                .iter()
                .filter(|(name, _)| condition_text.contains(name))
                .cloned()
                .collect();
            let condition = check(&model(), condition_text, &used).unwrap();
            assert_eq!(condition.text, rendered);
            assert!(condition.partition == text("p"));
        }
    }

    #[test]
    fn reports_invalid_comparisons() {
        let values = [(":p", text("p")), (":s", text("s"))];
        let cases = [
            (
                "sk = :s AND name = :p",
                r#"text: column 13: "name" is not a key attribute; use "pk" or "sk""#,
            ),
            (
                "sk = :s AND sk = :p",
                "text: needs `pk = :value`: the partition key must equal one value",
            ),
            (
                "pk = :p AND sk > :s AND sk < :p",
                r#"text: column 25: "sk" is compared twice"#,
            ),
            (
                "pk = :p AND pk = :s",
                r#"text: column 13: "pk" is compared twice"#,
            ),
            (
                "pk > :p AND sk = :s",
                r#"text: column 1: the partition key "pk" can only be compared with ="#,
            ),
            (
                "begins_with(pk, :p) AND sk = :s",
                r#"text: column 13: the partition key "pk" can only be compared with ="#,
            ),
            (
                "pk = :p AND ssn = :s",
                r#"text: column 13: "ssn" is encrypted: conditions, filters and key conditions cannot use it"#,
            ),
            (
                "pk = :p AND nope = :s",
                r#"text: column 13: User has no attribute "nope" (did you mean `name`?)"#,
            ),
            (
                "pk = :p AND sk.a = :s",
                r#"text: column 13: "sk" is a string: it has no members"#,
            ),
        ];
        for (condition_text, expected) in cases {
            let faults = faults(condition_text, &values);
            assert!(
                faults.contains(&format!("key_condition.{expected}")),
                "{condition_text}: {faults:?}"
            );
        }
    }

    #[test]
    fn refuses_other_operators() {
        let values = [(":p", text("p")), (":s", text("s"))];
        for condition_text in [
            "pk = :p OR sk = :s",
            "NOT pk = :p AND sk = :s",
            "pk = :p AND (sk = :s OR sk = :p)",
            "pk = :p AND sk <> :s",
            "pk = :p AND sk IN (:s)",
            "pk = :p AND contains(sk, :s)",
            "pk = :p AND sk = pk AND sk = :s",
            "pk = :p AND size(sk) = :s",
            "pk = :p AND attribute_exists(sk) AND sk = :s",
            "pk = :p AND attribute_type(sk, :s)",
            "pk = :p AND sk BETWEEN :s AND pk",
            "pk = :p AND begins_with(:s, sk)",
        ] {
            let faults = faults(condition_text, &values);
            let expected = "a key condition compares key attributes with :values using =, <, <=, >, >=, BETWEEN or begins_with, joined by AND";
            assert!(
                faults.iter().any(|fault| fault.ends_with(expected)),
                "{condition_text}: {faults:?}"
            );
        }
    }

    #[test]
    fn checks_the_types_and_sizes_of_key_values() {
        let refuse =
            |partition, sort| faults("pk = :p AND sk >= :s", &[(":p", partition), (":s", sort)]).concat();
        assert_eq!(
            refuse(number("1"), text("s")),
            r#"key_condition.values.:p: is N, but "pk" is S"#
        );
        assert_eq!(
            refuse(text("p"), binary(b"s")),
            r#"key_condition.values.:s: is B, but "sk" is S"#
        );
        assert_eq!(
            refuse(text("p"), Value::Null),
            r#"key_condition.values.:s: is NULL, but >= supports only S, N and B"#
        );
        assert_eq!(
            refuse(Value::Null, text("s")),
            r#"key_condition.values.:p: is NULL, but a key cannot be NULL"#
        );
        let sizes = |bytes| format!("must have 1 to {bytes} bytes, like every value of this key attribute");
        assert_eq!(
            refuse(text(""), text("s")),
            format!(r#"key_condition.values.:p: {}"#, sizes(2048))
        );
        assert_eq!(
            refuse(text("p"), text("")),
            format!(r#"key_condition.values.:s: {}"#, sizes(1024))
        );
        let values = |partition, sort| {
            [
                (":p", text(&"é".repeat(partition))),
                (":s", text(&"s".repeat(sort))),
            ]
        };
        assert!(check(&model(), "pk = :p AND sk >= :s", &values(1024, 1024)).is_ok());
        assert_eq!(faults("pk = :p AND sk >= :s", &values(1025, 1025)).len(), 2);
    }

    #[test]
    fn begins_with_supports_only_strings_and_binaries() {
        let mut numbered = model();
        numbered
            .attributes
            .iter_mut()
            .filter(|attribute| attribute.name == "sk")
            .for_each(|sort| sort.kind = AttributeType::Number);
        let values = |sort| [(":p", text("p")), (":s", sort)];
        assert!(check(&numbered, "pk = :p AND sk > :s", &values(number("1"))).is_ok());
        let faults = check(&numbered, "pk = :p AND begins_with(sk, :s)", &values(number("1"))).unwrap_err();
        assert!(
            faults[0].contains("is N, but begins_with supports only S and B"),
            "{faults:?}"
        );
    }

    #[test]
    fn refuses_bounds_in_the_wrong_order() {
        let values = [(":p", text("p")), (":l", text("b")), (":h", text("a"))];
        let faults = faults("pk = :p AND sk BETWEEN :l AND :h", &values);
        assert_eq!(
            faults,
            [r#"key_condition.values.:h: is less than ":l", the lower bound of BETWEEN"#]
        );
    }

    #[test]
    fn a_model_without_a_sort_key_accepts_only_the_partition_key() {
        let simple = Model {
            sort_key: None,
            ..model()
        };
        assert!(check(&simple, "pk = :p", &[(":p", text("p"))]).is_ok());
        let faults = check(&simple, "pk = :p AND sk = :p", &[(":p", text("p"))]).unwrap_err();
        assert_eq!(
            faults,
            [r#"key_condition.text: column 13: "sk" is not a key attribute; use "pk""#]
        );
    }
}
