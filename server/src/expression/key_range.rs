//! What a stored key must be, as one comparison of a key condition.

use super::placeholders::Placeholders;
use crate::model::Value;

/// What a stored key must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum KeyRange {
    Equal(Value),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl KeyRange {
    /// Whether all its values are at most this long.
    pub(super) fn is_within(&self, max_bytes: usize) -> bool {
        let is_within = |value: &Value| match value {
            Value::S(text) => text.len() <= max_bytes,
            Value::B(bytes) => bytes.len() <= max_bytes,
            _ => true,
        };
        match self {
            KeyRange::Between(low, high) => is_within(low) && is_within(high),
            KeyRange::Equal(value)
            | KeyRange::Less(value)
            | KeyRange::LessOrEqual(value)
            | KeyRange::Greater(value)
            | KeyRange::GreaterOrEqual(value)
            | KeyRange::BeginsWith(value) => is_within(value),
        }
    }

    /// The comparison of the key of this stored name.
    pub(super) fn render(self, stored_name: &str, out: &mut Placeholders) -> String {
        let name = out.name(stored_name);
        match self {
            KeyRange::Equal(value) => format!("{name}={}", out.value(value)),
            KeyRange::Less(value) => format!("{name}<{}", out.value(value)),
            KeyRange::LessOrEqual(value) => format!("{name}<={}", out.value(value)),
            KeyRange::Greater(value) => format!("{name}>{}", out.value(value)),
            KeyRange::GreaterOrEqual(value) => format!("{name}>={}", out.value(value)),
            KeyRange::Between(low, high) => {
                let (low, high) = (out.value(low), out.value(high));
                format!("{name} BETWEEN {low} AND {high}")
            }
            KeyRange::BeginsWith(prefix) => format!("begins_with({name},{})", out.value(prefix)),
        }
    }
}
