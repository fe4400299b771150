//! Which values match an attribute's type, and the names of types and values in faults. Never shows a value.

use crate::model::{AttributeType, Value};

/// Whether a caller's value matches the attribute's type.
pub(super) fn matches_type(kind: AttributeType, value: &Value) -> bool {
    match kind {
        AttributeType::String | AttributeType::Json => matches!(value, Value::S(_)),
        AttributeType::Number | AttributeType::Version => matches!(value, Value::N(_)),
        AttributeType::Binary => matches!(value, Value::B(_)),
        AttributeType::Boolean => matches!(value, Value::Bool(_)),
        AttributeType::List => matches!(value, Value::L(_)),
        AttributeType::Map => matches!(value, Value::M(_)),
        AttributeType::Object => matches!(value, Value::Object(_)),
        AttributeType::StringSet => matches!(value, Value::SS(_)),
        AttributeType::NumberSet => matches!(value, Value::NS(_)),
        AttributeType::BinarySet => matches!(value, Value::BS(_)),
        AttributeType::Datetime | AttributeType::Ttl => matches!(value, Value::S(_) | Value::N(_)),
    }
}

/// The name of a value's type, as in model files.
pub(super) fn value_name(value: &Value) -> &'static str {
    match value {
        Value::S(_) => "a string",
        Value::N(_) => "a number",
        Value::B(_) => "binary",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::L(_) => "a list",
        Value::M(_) => "a map",
        Value::SS(_) => "a string set",
        Value::NS(_) => "a number set",
        Value::BS(_) => "a binary set",
        Value::Object(_) => "an object",
    }
}

/// The name of an attribute's type.
pub(super) fn type_name(kind: AttributeType) -> &'static str {
    match kind {
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
        AttributeType::Datetime => "a datetime such as 2024-01-31T12:00:00Z",
        AttributeType::Ttl => "epoch seconds, a datetime, or a duration such as +3600s",
        AttributeType::Version => "a version number",
    }
}
