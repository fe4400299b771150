//! The names of values in faults. Never shows a value.

use crate::model::Value;

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
