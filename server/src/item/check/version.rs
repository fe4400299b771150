//! The optimistic lock: the version that a Save expects, and the one that it writes.

use crate::model::Value;

/// The greatest version: the number of digits is bounded.
const MAX_VERSION: u64 = 999_999_999_999_999_999;

/// The version that the stored item must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionExpectation {
    /// Any: the model has no version.
    #[default]
    None,
    /// There must be no item.
    Create,
    /// Exactly this one.
    Exactly(u64),
}

/// A given version, and the next one as it is stored; `None` if it is not a version.
pub(super) fn given_version(value: &Value) -> Option<(u64, Value)> {
    let Value::N(number) = value else { return None };
    let version: u64 = number.as_str().parse().ok()?;
    let next = (1..MAX_VERSION).contains(&version).then_some(version + 1)?;
    Some((version, stored(next)))
}

/// The version of a new item.
pub(super) fn first() -> Value {
    stored(1)
}

fn stored(version: u64) -> Value {
    Value::N(version.to_string().parse().expect("18 digits are a number"))
}
