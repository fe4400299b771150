//! Why the operations of a cancelled transaction were refused.

use std::fmt;

use crate::aws::Misfit;
use crate::item::load::Opened;

/// Why an operation of a cancelled transaction was refused.
#[derive(Debug)]
pub struct RefusedOperation {
    /// Its index.
    pub index: usize,
    /// The cause.
    pub refusal: OperationRefusal,
    /// The current item, if it was requested and DynamoDB returned it.
    pub current: Option<Opened>,
}

/// The cause of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationRefusal {
    /// The condition was not met.
    ConditionFailed,
    /// The item is of another model of the table.
    WrongModel,
    /// The item exists already, and the operation creates it.
    AlreadyExists,
    /// There is no item, and the operation must not create one.
    NotFound,
    /// The item has another version.
    VersionMismatch {
        /// Its version; 0 if there is no item, or it has none.
        current: u64,
    },
    /// The result of an update would not be within the bounds of an attribute.
    OutOfBounds {
        /// The attribute.
        attribute: String,
        /// Its bounds.
        limits: String,
    },
    /// The update cannot be applied to the stored item.
    Misfit(Misfit),
    /// The item no longer points to an object that the operation keeps or replaces.
    ObjectChanged {
        /// The attribute.
        attribute: String,
    },
    /// Another write of the item is in progress.
    Conflict,
    /// The item would exceed DynamoDB's limit.
    TooLarge,
    /// The table throttles requests.
    Throttled,
    /// DynamoDB rejected it as invalid.
    Invalid,
}

/// What was wrong, for people.
impl fmt::Display for OperationRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            OperationRefusal::ConditionFailed => "condition was not met",
            OperationRefusal::WrongModel => "the item is of another model of the table",
            OperationRefusal::AlreadyExists => "the item already exists",
            OperationRefusal::NotFound => "no item has this key",
            OperationRefusal::VersionMismatch { current } => {
                return write!(
                    formatter,
                    "the item has another version, {current}; read it again"
                );
            }
            OperationRefusal::OutOfBounds { attribute, limits } => {
                return write!(
                    formatter,
                    "the update would leave item.{attribute} out of its bounds ({limits}), or the item does not have it"
                );
            }
            OperationRefusal::Misfit(misfit) => {
                return write!(
                    formatter,
                    "the update cannot be applied to the stored item: {misfit}"
                );
            }
            OperationRefusal::ObjectChanged { attribute } => {
                return write!(
                    formatter,
                    "{attribute} now points to a different object; read the item again"
                );
            }
            OperationRefusal::Conflict => "another transaction or write is in progress on the item",
            OperationRefusal::TooLarge => "the item would exceed DynamoDB's size limit",
            OperationRefusal::Throttled => "the store is throttling requests",
            OperationRefusal::Invalid => "the store rejected the operation",
        })
    }
}
