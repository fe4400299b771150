//! The size of an item as DynamoDB counts it, and the write units it consumes. An estimate by the published rules: exact
//! except for numbers, whose size AWS gives as approximate.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>

use super::limits::WRITE_UNIT_BYTES;
use super::number::Number;
use super::value::{Item, Object, Value};

/// Overhead of a list or map, without its members.
const CONTAINER_BYTES: usize = 3;

/// The size of an item: its names and values.
pub fn stored_bytes(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_bytes(value))
        .sum()
}

/// Write units that a standard write of this many bytes consumes.
pub fn write_units(stored_bytes: usize) -> u64 {
    stored_bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as u64
}

/// The size of a value, without the name of its attribute.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::N(number) => number_bytes(number),
        Value::B(bytes) => bytes.len(),
        Value::Bool(_) | Value::Null => 1,
        Value::L(values) => {
            CONTAINER_BYTES + values.iter().map(|value| 1 + value_bytes(value)).sum::<usize>()
        }
        Value::M(fields) => {
            CONTAINER_BYTES
                + fields
                    .iter()
                    .map(|(name, value)| name.len() + 1 + value_bytes(value))
                    .sum::<usize>()
        }
        Value::SS(members) => members.iter().map(String::len).sum(),
        Value::NS(members) => members.iter().map(number_bytes).sum(),
        Value::BS(members) => members.iter().map(bytes::Bytes::len).sum(),
        Value::Object(object) => object_bytes(object),
    }
}

/// One byte per two significant digits on each side of the point, one more, and one for a minus sign.
fn number_bytes(number: &Number) -> usize {
    let text = number.as_str();
    let magnitude = text.trim_start_matches('-');
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    // the only insignificant zeros of canonical text are those next to the point
    let (whole, fraction) = match (whole.trim_start_matches('0'), fraction) {
        (whole, "") => (whole.trim_end_matches('0'), ""),
        ("", fraction) => ("", fraction.trim_start_matches('0')),
        both => both,
    };
    let sign = usize::from(text.starts_with('-'));
    whole.len().div_ceil(2) + fraction.len().div_ceil(2) + 1 + sign
}

/// The most that the pointer to a content that follows holds beside what the caller sent: a key, an etag and a version of
/// 1,024 bytes each, a hash, the names of table and bucket, and those of the fields.
const STREAMED_POINTER_BYTES: usize = 4 * 1024;

/// The minimum size of its pointer: everything the caller sent except the content; the maximum if the content follows. Only
/// an object that is already stored has a bucket, key and version.
fn object_bytes(object: &Object) -> usize {
    let metadata: usize = object
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let place = object.bucket.len() + object.key.len() + object.etag.len() + object.version_id.len();
    let streamed = match object.stream {
        Some(_) => STREAMED_POINTER_BYTES,
        None => 0,
    };
    CONTAINER_BYTES
        + streamed
        + object.name.len()
        + object.content_type.len()
        + object.sha256.len()
        + place
        + metadata
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use bytes::Bytes;

    use super::*;

    fn number(text: &str) -> Value {
        Value::N(text.parse().unwrap())
    }

    #[test]
    fn sizes_values_like_dynamodb() {
        let list = Value::L(vec![Value::Null, Value::S("ab".into())]);
        let map = Value::M(HashMap::from([("key".into(), Value::Bool(true))]));
        let cases = [
            (Value::S("añ".into()), 3),
            (Value::S(String::new()), 0),
            (Value::B(Bytes::from_static(b"abc")), 3),
            (Value::Bool(false), 1),
            (list, 3 + 2 + 1 + 2),
            (map, 3 + 3 + 1 + 1),
            (Value::L(vec![]), 3),
            (Value::SS(BTreeSet::from(["a".into(), "bc".into()])), 3),
            (Value::BS(BTreeSet::from([Bytes::from_static(b"abcd")])), 4),
        ];
        for (value, expected) in cases {
            assert_eq!(value_bytes(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn sizes_numbers_by_their_significant_digits() {
        let cases = [
            ("0", 1),
            ("7", 2),
            ("42", 2),
            ("-42", 3),
            ("100", 2),
            ("123", 3),
            ("1.5", 3),
            ("100.5", 4),
            ("0.005", 2),
            ("1e125", 2),
            ("1e-130", 2),
            ("12345678901234567890123456789012345678", 20),
        ];
        for (text, expected) in cases {
            assert_eq!(value_bytes(&number(text)), expected, "{text}");
        }
    }

    #[test]
    fn counts_names_and_rounds_units_up() {
        let item = Item::from([("name".into(), Value::S("x".repeat(1020)))]);
        assert_eq!(stored_bytes(&item), 1024);
        assert_eq!([write_units(0), write_units(1024), write_units(1025)], [1, 1, 2]);
    }
}
