//! The optimistic lock: the condition on the stored version, and the error if it is not met.

use std::time::SystemTime;

use crate::model::{Item, Model, Number, Value};

use super::conjunction::conjunction;
use super::error::Error;
use super::request::{Condition, ExpectedVersion};

/// Bytes that the comparison of a version adds to a condition.
pub const VERSION_CONDITION_BYTES: usize = 96;
const NAME: &str = "#version";
const VALUE: &str = ":version";
const EXPIRY: &str = "#versionexpiry";
const NOW: &str = ":versionnow";

impl Condition {
    /// The condition, and that the stored item has the expected version.
    #[must_use]
    pub fn with_version(mut self, model: &Model, expected: Option<ExpectedVersion>) -> Condition {
        let comparison = match (expected, model.version()) {
            (None, _) | (Some(ExpectedVersion::Exactly(_)), None) => return self,
            (Some(ExpectedVersion::Create), _) => {
                let key = model.stored_name(&model.partition_key);
                self.names.insert(NAME.to_owned(), key.to_owned());
                self.absent_or_expired(model)
            }
            (Some(ExpectedVersion::Exactly(number)), Some(version)) => {
                self.names.insert(NAME.to_owned(), version.stored_name.clone());
                self.values
                    .insert(VALUE.to_owned(), Value::N(Number::from(number)));
                format!("{NAME} = {VALUE}")
            }
        };
        self.text = conjunction(&self.text, &[comparison]);
        self
    }
}

impl Condition {
    /// That there is no item, or one that has expired if reads leave those out.
    fn absent_or_expired(&mut self, model: &Model) -> String {
        let Some(ttl) = model.hiding_ttl() else {
            return format!("attribute_not_exists({NAME})");
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = Number::from(now.unwrap_or_default().as_secs());
        self.names.insert(EXPIRY.to_owned(), ttl.stored_name.clone());
        self.values.insert(NOW.to_owned(), Value::N(now));
        format!("(attribute_not_exists({NAME}) OR {EXPIRY} <= {NOW})")
    }
}

/// The version of a stored item; 0 if it has none.
pub(super) fn stored_version(model: &Model, item: &Item) -> u64 {
    let value = model.version().and_then(|version| item.get(&version.stored_name));
    match value {
        Some(Value::N(number)) => number.as_str().parse().unwrap_or(0),
        Some(_) | None => 0,
    }
}

/// The error of a write whose condition was not met, if the stored item is of another model or does not have the expected
/// version.
pub(super) fn unmet(model: &Model, expected: Option<ExpectedVersion>, item: Option<&Item>) -> Option<Error> {
    if item.is_some_and(|item| model.is_of_another(item)) {
        return Some(Error::WrongModel {
            model: model.name.clone(),
        });
    }
    let current = item.map_or(0, |item| stored_version(model, item));
    match expected? {
        ExpectedVersion::Create => item.map(|_| Error::AlreadyExists {
            model: model.name.clone(),
        }),
        ExpectedVersion::Exactly(number) => (number != current).then_some(Error::VersionMismatch { current }),
    }
}
