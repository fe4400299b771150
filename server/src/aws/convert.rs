//! Converts between this program's values and the SDK's, by move. Never copies bytes, never changes a value.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use bytes::Bytes;

use crate::model::{Item, Number, Value};

/// An object value, which must become a pointer before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotStorable;

/// An item in the form that the SDK sends.
pub(super) fn to_sdk(
    item: impl IntoIterator<Item = (String, Value)>,
) -> Result<HashMap<String, AttributeValue>, NotStorable> {
    let item = item.into_iter();
    // collecting results would not know how many there are, and grow the map step by step
    let mut converted = HashMap::with_capacity(item.size_hint().0);
    for (name, value) in item {
        converted.insert(name, value_to_sdk(value)?);
    }
    Ok(converted)
}

/// An item that the service returned.
pub(super) fn from_sdk(item: HashMap<String, AttributeValue>) -> Item {
    item.into_iter()
        .map(|(name, value)| (name, value_from_sdk(value)))
        .collect()
}

/// Attribute names of expressions; the SDK must not send an empty map.
pub(super) fn some_names(names: HashMap<String, String>) -> Option<HashMap<String, String>> {
    if names.is_empty() { None } else { Some(names) }
}

/// A number as the SDK takes it.
pub(super) fn to_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn value_to_sdk(value: Value) -> Result<AttributeValue, NotStorable> {
    Ok(match value {
        Value::S(text) => AttributeValue::S(text),
        Value::N(number) => AttributeValue::N(number.into_string()),
        Value::B(bytes) => AttributeValue::B(blob(bytes)),
        Value::Bool(bool) => AttributeValue::Bool(bool),
        Value::Null => AttributeValue::Null(true),
        Value::L(values) => {
            AttributeValue::L(values.into_iter().map(value_to_sdk).collect::<Result<_, _>>()?)
        }
        Value::M(fields) => AttributeValue::M(to_sdk(fields)?),
        Value::SS(texts) => AttributeValue::Ss(texts.into_iter().collect()),
        Value::NS(numbers) => AttributeValue::Ns(numbers.into_iter().map(Number::into_string).collect()),
        Value::BS(members) => AttributeValue::Bs(members.into_iter().map(blob).collect()),
        Value::Object(_) => return Err(NotStorable),
    })
}

fn value_from_sdk(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(text) => number(text),
        AttributeValue::B(blob) => Value::B(Bytes::from(blob.into_inner())),
        AttributeValue::Bool(bool) => Value::Bool(bool),
        AttributeValue::L(values) => Value::L(values.into_iter().map(value_from_sdk).collect()),
        AttributeValue::M(fields) => Value::M(from_sdk(fields)),
        AttributeValue::Ss(texts) => Value::SS(texts.into_iter().collect()),
        AttributeValue::Ns(texts) => numbers(texts),
        AttributeValue::Bs(blobs) => Value::BS(
            blobs
                .into_iter()
                .map(|blob| Bytes::from(blob.into_inner()))
                .collect(),
        ),
        // the SDK's enum is non-exhaustive: a value of a future type cannot be represented
        AttributeValue::Null(_) | _ => Value::Null,
    }
}

fn blob(bytes: Bytes) -> Blob {
    Blob::new(Vec::from(bytes))
}

/// A compatible store may hold numbers that DynamoDB would reject: they become strings rather than being lost.
pub(super) fn number(text: String) -> Value {
    match Number::from_canonical(text) {
        Ok(number) => Value::N(number),
        Err(text) => match text.parse::<Number>() {
            Ok(number) => Value::N(number),
            Err(_invalid) => Value::S(text),
        },
    }
}

/// A set of numbers, or of strings, if one of them is no number.
pub(super) fn numbers(texts: Vec<String>) -> Value {
    match texts.iter().map(|text| text.parse::<Number>()).collect() {
        Ok(numbers) => Value::NS(numbers),
        Err(_invalid) => Value::SS(texts.into_iter().collect()),
    }
}
