//! The two forms of a value: the one that callers send and receive, and the one that DynamoDB stores. Pure. Converts
//! datetimes, times to live, JSON and sets, and the names inside maps, at any depth. Other values are the same in both
//! forms.
//!
//! Writing is strict, reading is lenient: a stored value that does not have the attribute's type is returned unchanged.

pub(super) mod datetime;
mod iso8601;
mod json;
mod set;
mod ttl;

use std::collections::HashMap;
use std::time::SystemTime;

use self::datetime::Moment;
use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::number::Number;
use super::stored_form::{Compat, SetEncoding};
use super::value::Value;

impl AttributeType {
    /// Whether a caller may send this value for an attribute of the type.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            AttributeType::String | AttributeType::Json | AttributeType::Datetime => {
                matches!(value, Value::S(_))
            }
            AttributeType::Number | AttributeType::Version => matches!(value, Value::N(_)),
            AttributeType::Binary => matches!(value, Value::B(_)),
            AttributeType::Boolean => matches!(value, Value::Bool(_)),
            AttributeType::List => matches!(value, Value::L(_)),
            AttributeType::Map => matches!(value, Value::M(_)),
            AttributeType::Object => matches!(value, Value::Object(_)),
            AttributeType::StringSet => matches!(value, Value::SS(_)),
            AttributeType::NumberSet => matches!(value, Value::NS(_)),
            AttributeType::BinarySet => matches!(value, Value::BS(_)),
            AttributeType::Ttl => matches!(value, Value::N(_) | Value::S(_)),
        }
    }

    /// What a caller sends for an attribute of the type, as in "must be a string".
    pub const fn sent_as(self) -> &'static str {
        match self {
            AttributeType::String => "a string",
            AttributeType::Number => "a number",
            AttributeType::Binary => "binary",
            AttributeType::Boolean => "a boolean",
            AttributeType::List => "a list",
            AttributeType::Map => "a map",
            AttributeType::Object => "an object",
            AttributeType::StringSet => "a string set",
            AttributeType::NumberSet => "a number set",
            AttributeType::BinarySet => "a binary set",
            AttributeType::Json => "JSON as a string",
            AttributeType::Datetime => "a datetime such as 2026-01-31T12:00:00Z",
            AttributeType::Ttl => "epoch seconds, a datetime, or a duration such as +3600s",
            AttributeType::Version => "a version number",
        }
    }
}

impl Attribute {
    /// The stored form of a caller's value: what DynamoDB holds and compares, before compression and encryption. Names
    /// inside maps become stored names. Null stays null. `now` is when the request arrived.
    ///
    /// # Errors
    ///
    /// What would be right; never the value.
    pub fn to_stored(&self, value: Value, now: SystemTime) -> Result<Value, String> {
        if value == Value::Null {
            return Ok(Value::Null);
        }
        if !self.kind.accepts(&value) {
            return Err(format!("must be {}", self.kind.sent_as()));
        }
        match (self.kind, value) {
            (AttributeType::Datetime, Value::S(text)) => self.stored_datetime(&text).map_err(str::to_owned),
            (AttributeType::Ttl, value) => {
                let seconds = ttl::seconds(&value, now)?;
                Ok(Value::N(integer(i128::from(seconds))))
            }
            (AttributeType::Json, Value::S(text)) => Ok(Value::S(json::stored(&text, self.compat)?)),
            (AttributeType::Version, Value::N(number)) if !is_version(&number) => {
                Err("must be a whole number from 1".to_owned())
            }
            (AttributeType::StringSet | AttributeType::NumberSet | AttributeType::BinarySet, set)
                if self.set_encoding == SetEncoding::List =>
            {
                Ok(set::to_list(set))
            }
            (AttributeType::List, Value::L(values)) => match &self.items {
                Some(items) => values
                    .into_iter()
                    .map(|value| items.to_stored(value, now))
                    .collect::<Result<Vec<Value>, String>>()
                    .map(Value::L),
                None => Ok(Value::L(values)),
            },
            (AttributeType::Map, Value::M(fields)) => self.stored_map(fields, now).map(Value::M),
            (_, value) => Ok(value),
        }
    }

    /// The value that callers receive for a stored one, after decryption and decompression. Lenient: reads both forms of
    /// a set and any ISO 8601; a value that does not have the attribute's type is returned unchanged. Null if the
    /// attribute has no value.
    pub fn from_stored(&self, value: Value) -> Value {
        match (self.kind, value) {
            (AttributeType::Datetime, value) => self.read_datetime(value),
            (AttributeType::Json, value) if self.compat == Compat::Pydynox => match json::from_native(&value)
            {
                Some(text) => Value::S(text),
                None => value,
            },
            (AttributeType::StringSet | AttributeType::NumberSet | AttributeType::BinarySet, value) => {
                set::from_stored(self.kind, value)
            }
            (AttributeType::List, Value::L(values)) => match &self.items {
                Some(items) => Value::L(values.into_iter().map(|value| items.from_stored(value)).collect()),
                None => Value::L(values),
            },
            (AttributeType::Map, Value::M(fields)) => Value::M(self.read_map(fields)),
            (_, value) => value,
        }
    }

    /// Whether a stored value has one of the forms in which the attribute's type is stored.
    pub fn holds(&self, stored: &Value) -> bool {
        match self.kind {
            AttributeType::Datetime => matches!(stored, Value::S(_) | Value::N(_)),
            AttributeType::Ttl => matches!(stored, Value::N(_)),
            AttributeType::StringSet | AttributeType::NumberSet | AttributeType::BinarySet => {
                matches!(stored, Value::L(_)) || self.kind.accepts(stored)
            }
            kind => kind.accepts(stored),
        }
    }

    fn stored_datetime(&self, text: &str) -> Result<Value, &'static str> {
        let moment = Moment::from_rfc3339(text)?;
        moment.check_precision(self.datetime_store, self.compat)?;
        Ok(match moment.stored(self.datetime_store) {
            Ok(text) => Value::S(text),
            Err(number) => Value::N(integer(number)),
        })
    }

    fn read_datetime(&self, value: Value) -> Value {
        let moment = match &value {
            Value::S(text) => Moment::from_iso8601(text),
            Value::N(number) => Moment::from_number(number, self.datetime_store),
            _ => None,
        };
        moment.map_or(value, |moment| Value::S(moment.iso8601()))
    }

    fn stored_map(
        &self,
        fields: HashMap<String, Value>,
        now: SystemTime,
    ) -> Result<HashMap<String, Value>, String> {
        if self.attributes.is_empty() {
            return Ok(fields);
        }
        let stored = fields
            .into_iter()
            .map(|(name, value)| match self.attribute(&name) {
                Some(field) => Ok((field.stored_name.clone(), field.to_stored(value, now)?)),
                None => Ok((name, value)),
            });
        stored.collect()
    }

    /// The fields of a stored map by the model's names. A declared field that is null is left out, and so is a stored
    /// field whose name is that of a declared field with an alias.
    fn read_map(&self, fields: HashMap<String, Value>) -> HashMap<String, Value> {
        if self.attributes.is_empty() {
            return fields;
        }
        let read = fields.into_iter().filter_map(|(name, value)| {
            match (self.stored_attribute(&name), self.attribute(&name)) {
                (Some(field), _) => {
                    let value = field.from_stored(value);
                    (value != Value::Null).then(|| (field.name.clone(), value))
                }
                (None, Some(_)) => None,
                (None, None) => Some((name, value)),
            }
        });
        read.collect()
    }
}

/// Whether a number is a version: whole, and at least 1.
fn is_version(number: &Number) -> bool {
    number.as_str().parse::<u64>().is_ok_and(|version| version > 0)
}

fn integer(number: i128) -> Number {
    number
        .to_string()
        .parse()
        .expect("datetimes and times to live have at most 18 digits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::stored_form::DatetimeStore;
    use crate::model::testing::attribute;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn text(text: &str) -> Value {
        Value::S(text.to_owned())
    }

    fn number(text: &str) -> Value {
        Value::N(text.parse().unwrap())
    }

    fn map(fields: &[(&str, Value)]) -> Value {
        Value::M(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }

    fn aliased(name: &str, alias: &str, kind: AttributeType) -> Attribute {
        Attribute {
            stored_name: alias.to_owned(),
            ..attribute(name, kind)
        }
    }

    #[test]
    fn each_type_has_a_stored_form() {
        let cases = [
            (
                AttributeType::Datetime,
                text("2026-01-31T13:00:00+01:00"),
                text("2026-01-31T12:00:00+00:00"),
            ),
            (AttributeType::Ttl, text("+60s"), number("60")),
            (AttributeType::Ttl, number("1.9"), number("1")),
            (AttributeType::Json, text("{ \"a\": 1 }"), text("{\"a\":1}")),
            (AttributeType::Version, number("7"), number("7")),
            (AttributeType::String, text(" "), text(" ")),
            (
                AttributeType::StringSet,
                Value::SS(BTreeSet::from(["a".into()])),
                Value::SS(BTreeSet::from(["a".into()])),
            ),
        ];
        for (kind, sent, stored) in cases {
            assert!(
                attribute("a", kind).to_stored(sent, NOW) == Ok(stored),
                "{kind:?}"
            );
        }
        assert!(attribute("a", AttributeType::Datetime).to_stored(Value::Null, NOW) == Ok(Value::Null));
    }

    #[test]
    fn faults_say_what_would_be_right() {
        let fault = |kind, value| attribute("a", kind).to_stored(value, NOW).unwrap_err();
        assert_eq!(fault(AttributeType::Datetime, text("soon")), datetime::EXPECTED);
        assert_eq!(
            fault(AttributeType::Datetime, number("1")),
            "must be a datetime such as 2026-01-31T12:00:00Z"
        );
        assert_eq!(
            fault(AttributeType::Version, number("0")),
            "must be a whole number from 1"
        );
        assert_eq!(
            fault(AttributeType::Version, number("1.5")),
            "must be a whole number from 1"
        );
        assert_eq!(
            fault(AttributeType::StringSet, Value::L(vec![])),
            "must be a string set"
        );
    }

    #[test]
    fn list_encoded_sets_are_lists_of_texts() {
        let numbers = Attribute {
            set_encoding: SetEncoding::List,
            ..attribute("a", AttributeType::NumberSet)
        };
        let set = Value::NS(["1", "2"].map(|text| text.parse().unwrap()).into());
        let stored = numbers.to_stored(set.clone(), NOW).unwrap();
        assert!(stored == Value::L(vec![text("1"), text("2")]));
        assert!(numbers.from_stored(stored) == set);
    }

    #[test]
    fn names_and_values_inside_maps_and_lists_are_converted() {
        let line = Attribute {
            attributes: vec![
                aliased("when", "w", AttributeType::Datetime),
                attribute("note", AttributeType::String),
            ],
            ..attribute("", AttributeType::Map)
        };
        let lines = Attribute {
            items: Some(Box::new(line)),
            ..attribute("lines", AttributeType::List)
        };
        let sent = Value::L(vec![map(&[
            ("when", text("2026-01-31T12:00:00Z")),
            ("note", text("n")),
            ("other", number("1")),
        ])]);
        let stored = lines.to_stored(sent, NOW).unwrap();
        let moment = text("2026-01-31T12:00:00+00:00");
        assert!(
            stored
                == Value::L(vec![map(&[
                    ("w", moment.clone()),
                    ("note", text("n")),
                    ("other", number("1"))
                ])])
        );
        let read = lines.from_stored(Value::L(vec![map(&[
            ("w", moment.clone()),
            ("when", text("shadowed")),
            ("note", Value::Null),
            ("other", Value::Null),
        ])]));
        assert!(read == Value::L(vec![map(&[("when", moment), ("other", Value::Null)])]));
    }

    #[test]
    fn a_stored_value_of_another_type_comes_back_unchanged() {
        for kind in AttributeType::ALL {
            for value in [
                Value::Bool(true),
                number("1E+2"),
                text("text"),
                Value::L(vec![Value::Null]),
            ] {
                assert!(
                    attribute("a", kind).from_stored(value.clone()) == value,
                    "{kind:?} {value:?}"
                );
            }
        }
        let epoch = Attribute {
            datetime_store: DatetimeStore::Epoch,
            ..attribute("a", AttributeType::Datetime)
        };
        assert!(epoch.from_stored(number("0")) == text("1970-01-01T00:00:00+00:00"));
        assert!(epoch.from_stored(text("1970-01-01")) == text("1970-01-01T00:00:00+00:00"));
    }

    #[test]
    fn a_native_list_reads_as_json_where_pydynox_wrote_it() {
        let list = Value::L(vec![number("1"), text("a")]);
        let json = attribute("a", AttributeType::Json);
        assert!(json.from_stored(list.clone()) == list);
        let pydynox = Attribute {
            compat: Compat::Pydynox,
            ..json
        };
        assert!(pydynox.from_stored(list) == text("[1,\"a\"]"));
        assert!(pydynox.from_stored(text("[NaN]")) == text("[NaN]"));
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_back_and_can_be_saved_again(
            seconds in 0_i64..4_000_000_000, nanos in 0_u32..1_000_000_000, members in prop::collection::btree_set(".{0,8}", 1..5),
            list in any::<bool>(),
        ) {
            let moment = Moment::from_unix_nanos(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)).unwrap();
            let set_encoding = if list { SetEncoding::List } else { SetEncoding::Native };
            for (kind, value) in [
                (AttributeType::Datetime, text(&moment.iso8601())),
                (AttributeType::StringSet, Value::SS(members.clone())),
                (AttributeType::Json, text(&serde_json::to_string(&members).unwrap())),
            ] {
                let attribute = Attribute { set_encoding, ..attribute("a", kind) };
                let stored = attribute.to_stored(value.clone(), NOW).unwrap();
                prop_assert!(attribute.from_stored(stored.clone()) == value);
                prop_assert!(attribute.to_stored(attribute.from_stored(stored.clone()), NOW) == Ok(stored));
            }
        }
    }
}
