//! Why a request to a store failed, as kinds that callers act on. Never holds a value of an item: `cause` decides which
//! texts may be logged.

use std::fmt;

use crate::figure::AwsOperation;
use crate::model::Item;

use super::misfit::Misfit;

/// The start of [`Error::cause`] if no connection was made.
pub(super) const NO_CONNECTION: &str = "no connection";

/// A request to a store failed, after the SDK's retries.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{service} {operation}: {kind}", service = .operation.service())]
pub struct Error {
    /// What callers act on.
    pub kind: Kind,
    /// The operation that failed.
    pub operation: AwsOperation,
    /// AWS's request id of the last attempt.
    pub request_id: Option<Box<str>>,
    /// Whether an attempt of this write may have been applied even though it failed.
    pub doubt: Doubt,
    /// The endpoint of the last attempt; `None` if nothing was sent over the network.
    pub endpoint: Option<Box<Endpoint>>,
    /// For the log: AWS's error code, with AWS's message if it cannot quote an item, or why the connection failed.
    pub cause: Box<str>,
}

/// Scheme, host and port. Boxed, because errors are returned through many layers and few of them are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Box<str>);

/// What callers act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The condition of the write was not met.
    ConditionFailed {
        /// The current item as stored, encrypted and with pointers; `None` if no item has this key.
        item: Option<Item>,
    },
    /// A transaction was not applied.
    TransactionCancelled {
        /// Why, for each operation in its place; `None` for those that were not refused.
        reasons: Vec<Option<Refusal>>,
    },
    /// Another transaction is in progress on an item; nothing was read.
    Conflict,
    /// The token of a transaction was used before, with other operations; nothing was changed.
    TokenMismatch,
    /// A table, key, bucket or object does not exist.
    Missing {
        /// What is missing.
        what: Resource,
        /// Its name.
        name: String,
    },
    /// The service throttles requests.
    Throttled,
    /// The credentials do not allow the request.
    Denied,
    /// The KMS key is disabled, pending deletion, or may not be used with these credentials.
    KeyUnusable,
    /// KMS cannot decrypt this ciphertext in this encryption context.
    InvalidCiphertext,
    /// The ciphertext was encrypted under a different key than the request names.
    IncorrectKey,
    /// The ciphertext refers to a key that KMS cannot find or does not reveal: it belongs to another account, was
    /// deleted, or the ciphertext is damaged.
    UnknownKey,
    /// The item exceeds DynamoDB's 400 KB, or the object exceeds the requested maximum.
    TooLarge,
    /// The service rejected the request as invalid: a defect of this program, or an invalid item.
    Refused,
    /// The service is down or unreachable; nothing was changed.
    Unavailable,
    /// A write was sent and may or may not have been applied.
    OutcomeUnknown,
    /// The deadline of the call was exceeded.
    Deadline {
        /// A write was sent before, and may or may not have been applied.
        sent: bool,
    },
}

/// Why one operation of a transaction was refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Its condition was not met.
    ConditionFailed {
        /// The current item as stored; `None` if no item has this key.
        item: Option<Item>,
    },
    /// Another write of the item is in progress.
    Conflict,
    /// An update cannot be applied to the stored item.
    Misfit(Misfit),
    /// The item would exceed DynamoDB's limit.
    TooLarge,
    /// The table throttles requests.
    Throttled,
    /// DynamoDB rejected the operation as invalid.
    Invalid,
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A DynamoDB table or index.
    Table,
    /// A KMS key.
    Key,
    /// An S3 bucket.
    Bucket,
    /// An S3 object.
    Object,
}

/// Whether a request that failed may have been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It was not applied.
    #[default]
    None,
    /// It may have been applied, but is no longer in progress: the service returned an error.
    Finished,
    /// It may have been applied or may still be in progress: there was no response.
    Lost,
}

impl Endpoint {
    pub(super) fn new(endpoint: Box<str>) -> Endpoint {
        Endpoint(endpoint)
    }
}

impl Error {
    /// Scheme, host and port of the last attempt.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_ref().map(|endpoint| endpoint.0.as_ref())
    }

    /// The service's name.
    pub fn service_name(&self) -> &'static str {
        self.operation.service().name()
    }

    /// What an operator should check, for the log.
    pub fn check(&self) -> &'static str {
        match &self.kind {
            Kind::ConditionFailed { .. } => "the condition and the item",
            Kind::TransactionCancelled { .. } => "the conditions and the items",
            Kind::Conflict => "which other writers use the same items",
            Kind::TokenMismatch => "which callers share the request id",
            Kind::Missing { what, .. } => match what {
                Resource::Table => "that the table exists in this region and account",
                Resource::Key => "that the key and its alias exist in this region and account",
                Resource::Bucket => "that the bucket exists, and its region",
                Resource::Object => "whether the object was deleted",
            },
            Kind::Throttled => "the table's capacity and the service's quotas",
            Kind::Denied => {
                "the credentials and their policy; `tollgate iam` prints the required permissions"
            }
            Kind::KeyUnusable => "the key's state and policy, and the policy of the credentials",
            Kind::InvalidCiphertext | Kind::UnknownKey => {
                "which key encrypted the value, and whether it was copied from another item"
            }
            Kind::IncorrectKey => "which key the alias points to, and whether `accepts` lists the old one",
            Kind::TooLarge => "the size of the item",
            Kind::Refused => "the region, the endpoint and the clock",
            Kind::Unavailable if self.cause.contains("credential") || self.cause.contains("identity") => {
                "the credentials: AWS_PROFILE, AWS_ACCESS_KEY_ID, the role of this machine or pod"
            }
            Kind::Unavailable if self.cause.starts_with(NO_CONNECTION) => {
                "the endpoint (AWS_ENDPOINT_URL, aws.endpoint_url), DNS, the network and its proxies"
            }
            Kind::Unavailable => "the health of the service, and proxies on the way to it",
            Kind::OutcomeUnknown => "the item, before repeating the write",
            Kind::Deadline { .. } => "the caller's deadline, limits.deadline, the network, and the service",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Kind::ConditionFailed { .. } => "condition was not met",
            Kind::TransactionCancelled { .. } => "transaction cancelled",
            Kind::Conflict => "conflict with another transaction",
            Kind::TokenMismatch => "the token was used with other operations",
            Kind::Missing { what, name } => return write!(formatter, "{what} {name:?} does not exist"),
            Kind::Throttled => "throttled",
            Kind::Denied => "access denied",
            Kind::KeyUnusable => "key cannot be used",
            Kind::InvalidCiphertext => "ciphertext or encryption context is invalid",
            Kind::IncorrectKey => "ciphertext was encrypted under another key",
            Kind::UnknownKey => "ciphertext refers to a key unknown to KMS",
            Kind::TooLarge => "too large",
            Kind::Refused => "request rejected",
            Kind::Unavailable => "service unavailable",
            Kind::OutcomeUnknown => "outcome unknown",
            Kind::Deadline { sent: false } => "deadline exceeded",
            Kind::Deadline { sent: true } => "deadline exceeded, outcome unknown",
        };
        formatter.write_str(text)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Resource::Table => "table",
            Resource::Key => "key",
            Resource::Bucket => "bucket",
            Resource::Object => "object",
        })
    }
}
