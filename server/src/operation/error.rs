//! Why an operation failed, as its callers act on it. `transport::status` turns each variant into a status.

use tollgate_proto::Reason;

use crate::aws;
use crate::capacity::OutOfMemory;
use crate::fault::Faults;
use crate::item::load::Opened;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model of this name is served; `near` offers one that is.
    #[error("there is no model {model:?}{near}")]
    UnknownModel { model: String, near: String },
    /// The model has no such index.
    #[error("there is no index {index:?}")]
    UnknownIndex { index: String },
    /// There is no item with this key.
    #[error("there is no {model} with this key")]
    ItemNotFound { model: String },
    /// Fields of the request are wrong.
    #[error("{0}")]
    Invalid(Faults),
    /// An expression is wrong; other fields may be too.
    #[error("{0}")]
    InvalidExpression(Faults),
    /// A page token does not open here.
    #[error("page_token: {0}")]
    InvalidPageToken(&'static str),
    /// The encryption mode of an attribute forbids it.
    #[error("{0}")]
    Mode(Faults),
    /// The item would be too large for DynamoDB.
    #[error(
        "the item would take {bytes} bytes, more than DynamoDB's {}",
        crate::model::limits::MAX_ITEM_BYTES
    )]
    ItemTooLarge { bytes: usize },
    /// Content asked for inline does not fit a message.
    #[error("the content of {attribute} has {bytes} bytes, more than a message may carry")]
    ObjectTooLarge { attribute: String, bytes: u64 },
    /// A pointer leads out of the item's own folder.
    #[error(
        "{attribute} points to an object that is not the item's own; it is read only with `foreign_pointers: read`"
    )]
    ForeignPointer { attribute: String },
    /// An object changed under the hands of this call.
    #[error("{attribute} points to another object by now; read the item again")]
    ObjectChanged { attribute: String },
    /// The caller's condition did not hold; the item as it is, where asked.
    #[error("the condition does not hold for the item as it is")]
    ConditionFailed { current: Option<Opened> },
    /// A stored value cannot be trusted.
    #[error("{description}")]
    DataLoss {
        reason: Reason,
        attribute: String,
        description: String,
    },
    /// A stored value was sealed under a key that its attribute does not accept.
    #[error("{attribute} is sealed under a key that the model does not accept")]
    KeyNotAccepted { attribute: String, tried: Vec<String> },
    /// The store answered with an error.
    #[error("{0}")]
    Store(#[from] aws::Error),
    /// What was asked for does not fit into the server's memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// A fault of this program.
    #[error("{0}")]
    Internal(&'static str),
}
