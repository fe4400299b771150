//! Why the operations of a cancelled transaction were refused.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationRefusal {
    /// The condition was not met.
    ConditionFailed,
    /// The item exists already, and the operation creates it.
    AlreadyExists,
    /// The item has another version.
    VersionMismatch,
    /// Another write of the item is in progress.
    Conflict,
    /// The item would exceed DynamoDB's limit.
    TooLarge,
    /// The table throttles requests.
    Throttled,
    /// DynamoDB rejected it as invalid.
    Invalid,
}

impl OperationRefusal {
    /// What was wrong, for people.
    pub fn text(self) -> &'static str {
        match self {
            OperationRefusal::ConditionFailed => "condition was not met",
            OperationRefusal::AlreadyExists => "the item already exists",
            OperationRefusal::VersionMismatch => "the item has another version; read it again",
            OperationRefusal::Conflict => "another transaction or write is in progress on the item",
            OperationRefusal::TooLarge => "the item would exceed DynamoDB's size limit",
            OperationRefusal::Throttled => "the store is throttling requests",
            OperationRefusal::Invalid => "the store rejected the operation",
        }
    }
}
