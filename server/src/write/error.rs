//! Why a write failed.

use crate::aws::{self, Doubt, Kind, Misfit};
use crate::fault::Faults;
use crate::figure::AwsOperation;
use crate::item::load::Opened;
use crate::item::protect::VerifyError;
use crate::item::store::StoreError;
use crate::item::tenant::TenantError;
use crate::model::limits::MAX_ITEM_BYTES;
use crate::object::content::ContentError;

use super::index_keys::IndexKeyError;
use super::refused::RefusedOperation;

/// Why a write failed. Unless the outcome of the store's error is unknown, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The item exceeds DynamoDB's limit.
    #[error("the item would take {bytes} bytes, more than DynamoDB's {MAX_ITEM_BYTES}")]
    ItemTooLarge {
        /// Its size as stored.
        bytes: usize,
    },
    /// A kept object has fields that differ from the stored ones.
    #[error("{0}")]
    Invalid(Faults),
    /// The content of an object cannot be stored.
    #[error("{attribute}: {error}")]
    Content {
        /// The attribute.
        attribute: String,
        /// Why.
        error: ContentError,
    },
    /// The stored item no longer points to an object that the item keeps.
    #[error("{attribute} now points to a different object; read the item again")]
    ObjectChanged {
        /// The attribute.
        attribute: String,
    },
    /// The stored item does not meet the caller's condition.
    #[error("condition was not met")]
    ConditionFailed {
        /// The stored item, if it was requested and DynamoDB returned it.
        current: Option<Opened>,
    },
    /// No item has this key, and the update must not create one.
    #[error("there is no {model} with this key")]
    ItemNotFound {
        /// The model.
        model: String,
    },
    /// The item with this key is of another model.
    #[error("the item with this key is not a {model}: it is of another model of the table")]
    WrongModel {
        /// The model of the request.
        model: String,
    },
    /// The item to create exists.
    #[error("there is a {model} with this key already")]
    AlreadyExists {
        /// The model.
        model: String,
    },
    /// The stored item does not have the expected version.
    #[error("the item has another version, {current}; read it again")]
    VersionMismatch {
        /// Its version; 0 if there is no item, or it has none.
        current: u64,
    },
    /// The result of the update would not be within the bounds of an attribute.
    #[error("the update would leave {attribute} out of its bounds ({limits}), or the item does not have it")]
    OutOfBounds {
        /// The attribute.
        attribute: String,
        /// Its bounds.
        limits: String,
    },
    /// The update cannot be applied to the stored item.
    #[error("the update cannot be applied to the stored item: {0}")]
    Misfit(Misfit),
    /// A request with the same request id is being worked on.
    #[error("another call with the same request_id is in progress; try again later")]
    RequestInFlight,
    /// The marker of a request cannot be read: another program wrote it, or a later version of this one.
    #[error("the table {table} has an item for this request_id that cannot be read")]
    MarkerInvalid {
        /// The table of markers.
        table: String,
    },
    /// Another request had the same request id.
    #[error("request_id was used in the last 10 minutes with another request")]
    OtherRequest,
    /// A key of an index cannot be built from the attributes that the item would have.
    #[error("an index key cannot be built: {0}; set the attribute as well")]
    IndexKey(#[from] IndexKeyError),
    /// Operations of a transaction were refused, so that none was applied.
    #[error("the transaction was cancelled: {} of its operations were refused", .0.len())]
    Cancelled(Vec<RefusedOperation>),
    /// The caller may not write the item.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The item to update is not the one that was written.
    #[error(transparent)]
    Unverified(VerifyError),
    /// DynamoDB, KMS or S3 returned an error. The outcome is unknown if its kind is `OutcomeUnknown` or
    /// `Deadline { sent: true }`.
    #[error(transparent)]
    Store(#[from] aws::Error),
    /// A bug in this program.
    #[error("{0}")]
    Internal(&'static str),
}

impl Error {
    /// The error of a transaction that was cancelled for another reason than a condition.
    pub(super) fn cancelled(kind: Kind) -> Error {
        Error::Store(aws::Error {
            kind,
            operation: AwsOperation::TransactWriteItems,
            request_id: None,
            doubt: Doubt::None,
            endpoint: None,
            cause: "DynamoDB cancelled the transaction of the write and its marker".into(),
        })
    }
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Error {
        match error {
            VerifyError::Kms(error) => Error::Store(error),
            VerifyError::Seal(_) | VerifyError::KeyNotAccepted { .. } => Error::Unverified(error),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::TooLarge { bytes } => Error::ItemTooLarge { bytes },
            StoreError::Kms(error) => Error::Store(error),
            StoreError::Unsealable { .. } | StoreError::NoKey => {
                Error::Internal("a checked item cannot be encrypted")
            }
        }
    }
}
