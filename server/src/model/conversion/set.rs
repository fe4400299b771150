//! Sets in their list form: a list of the members, where those of a number set are strings.

use std::collections::BTreeSet;

use crate::model::attribute_type::AttributeType;
use crate::model::number::Number;
use crate::model::value::Value;

/// The list form of a set; other values stay as they are.
pub(super) fn to_list(value: Value) -> Value {
    match value {
        Value::SS(members) => Value::L(members.into_iter().map(Value::S).collect()),
        Value::NS(members) => Value::L(
            members
                .into_iter()
                .map(|number| Value::S(number.as_str().to_owned()))
                .collect(),
        ),
        Value::BS(members) => Value::L(members.into_iter().map(Value::B).collect()),
        other => other,
    }
}

/// The set of a stored value: from its list form, or from DynamoDB's set. An empty list is null. A value that is neither
/// stays as it is.
pub(super) fn from_stored(kind: AttributeType, value: Value) -> Value {
    let Value::L(members) = &value else {
        return value;
    };
    if members.is_empty() {
        return Value::Null;
    }
    let set = match kind {
        AttributeType::StringSet => collect(members, text).map(Value::SS),
        AttributeType::NumberSet => collect(members, number).map(Value::NS),
        AttributeType::BinarySet => collect(members, bytes).map(Value::BS),
        AttributeType::String
        | AttributeType::Number
        | AttributeType::Binary
        | AttributeType::Boolean
        | AttributeType::List
        | AttributeType::Map
        | AttributeType::Object
        | AttributeType::Json
        | AttributeType::Datetime
        | AttributeType::Ttl
        | AttributeType::Version => None,
    };
    set.unwrap_or(value)
}

fn collect<T: Ord>(members: &[Value], member: impl Fn(&Value) -> Option<T>) -> Option<BTreeSet<T>> {
    members.iter().map(member).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::S(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::N(number) => Some(number.clone()),
        Value::S(text) => text.parse().ok(),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<bytes::Bytes> {
    match value {
        Value::B(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> BTreeSet<Number> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn text(text: &str) -> Value {
        Value::S(text.to_owned())
    }

    #[test]
    fn both_forms_are_the_same_set() {
        let sets = [
            (
                AttributeType::StringSet,
                Value::SS(BTreeSet::from(["a".into(), String::new()])),
            ),
            (AttributeType::NumberSet, Value::NS(numbers(&["1", "2.5"]))),
            (
                AttributeType::BinarySet,
                Value::BS(BTreeSet::from([bytes::Bytes::from_static(b"x")])),
            ),
        ];
        for (kind, set) in sets {
            assert!(matches!(to_list(set.clone()), Value::L(_)));
            assert!(from_stored(kind, to_list(set.clone())) == set);
            assert!(from_stored(kind, set.clone()) == set);
        }
    }

    #[test]
    fn members_of_number_sets_may_be_numbers_or_texts() {
        let list = Value::L(vec![text("1E0"), Value::N("1".parse().unwrap()), text("2")]);
        assert!(from_stored(AttributeType::NumberSet, list) == Value::NS(numbers(&["1", "2"])));
    }

    #[test]
    fn a_list_that_is_no_set_stays() {
        let mixed = Value::L(vec![text("a"), Value::Null]);
        assert!(from_stored(AttributeType::StringSet, mixed.clone()) == mixed);
        assert!(from_stored(AttributeType::NumberSet, mixed.clone()) == mixed);
        assert!(from_stored(AttributeType::BinarySet, Value::L(vec![])) == Value::Null);
    }
}
