//! Why a read failed, and whether that concerns one item or the whole call.

use tollgate_proto::Reason;

use crate::aws;
use crate::capacity::OutOfMemory;
use crate::item::load::LoadError;
use crate::item::protect::VerifyError;
use crate::item::tenant::TenantError;
use crate::object::read::ReadError;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No item has this key.
    #[error("no {model} item has this key")]
    ItemNotFound {
        /// The model.
        model: String,
    },
    /// The item has no object in this attribute.
    #[error("the {model} item has no {attribute}")]
    ObjectNotFound {
        /// The model.
        model: String,
        /// The attribute.
        attribute: String,
    },
    /// The object has another etag than the request demands.
    #[error("the object has another etag than `if_match`")]
    EtagMismatch,
    /// The first byte to read is behind the end of the object.
    #[error("offset: exceeds the object's {size_bytes} bytes")]
    OffsetTooLarge {
        /// The size of the object.
        size_bytes: u64,
    },
    /// The page token was not issued for this request, or was altered.
    #[error("page_token: {0}")]
    InvalidPageToken(&'static str),
    /// The content of an inline object exceeds the size of a message.
    #[error("{attribute} has {bytes} bytes of content, more than a message can carry")]
    ObjectTooLarge {
        /// The attribute.
        attribute: String,
        /// The size of the content.
        bytes: u64,
    },
    /// The content of inline objects does not fit in the response with that of other items.
    #[error("with {attribute}, the response would be larger than a message; read the objects with Get")]
    ResponseTooLarge {
        /// The attributes.
        attribute: String,
    },
    /// The pointer of an object attribute leads outside the item's folder.
    #[error(
        "{attribute} points to an object of another owner; set `foreign_pointers: read` to allow reading it"
    )]
    ForeignPointer {
        /// The attribute.
        attribute: String,
    },
    /// An object was replaced while it was being read.
    #[error("{attribute} now points to a different object; read the item again")]
    ObjectChanged {
        /// The attribute.
        attribute: String,
    },
    /// A stored value is corrupt.
    #[error("{description}")]
    DataLoss {
        /// Which kind of value.
        reason: Reason,
        /// What is wrong, without values.
        description: String,
    },
    /// A stored value is encrypted under a key that its attribute does not accept.
    #[error("{attribute} is encrypted under a key that the model does not accept")]
    KeyNotAccepted {
        /// The attribute.
        attribute: String,
        /// The keys that were tried.
        tried: Vec<String>,
    },
    /// The caller may not read the item, or the items of several tenants.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] aws::Error),
    /// The result does not fit in the server's memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// A bug in this program.
    #[error("{0}")]
    Internal(&'static str),
}

impl Error {
    /// The error of an object attribute whose content could not be read.
    pub(super) fn from_object(attribute: &str, error: ReadError) -> Error {
        match error {
            ReadError::Invalid { description } => Error::DataLoss {
                reason: Reason::ObjectInvalid,
                description,
            },
            ReadError::Foreign => Error::ForeignPointer {
                attribute: attribute.to_owned(),
            },
            ReadError::KeyNotAccepted { tried } => Error::KeyNotAccepted {
                attribute: attribute.to_owned(),
                tried,
            },
            ReadError::Key(error) | ReadError::Store(error) => Error::Store(error),
        }
    }

    /// Whether the error ends the whole call, because the store or this program failed; other errors concern a single
    /// stored item.
    pub(super) fn ends_the_call(&self) -> bool {
        match self {
            Error::Store(cause) => is_outage(&cause.kind),
            Error::Internal(_) | Error::OutOfMemory(_) | Error::Tenant(_) => true,
            Error::ItemNotFound { .. }
            | Error::ObjectNotFound { .. }
            | Error::EtagMismatch
            | Error::OffsetTooLarge { .. }
            | Error::InvalidPageToken(_)
            | Error::ObjectTooLarge { .. }
            | Error::ResponseTooLarge { .. }
            | Error::ForeignPointer { .. }
            | Error::ObjectChanged { .. }
            | Error::DataLoss { .. }
            | Error::KeyNotAccepted { .. } => false,
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Error {
        let description = error.to_string();
        let reason = match error {
            LoadError::Ciphertext { .. } => Reason::CiphertextInvalid,
            LoadError::Unverified(_) => Reason::SealInvalid,
            LoadError::Pointer { .. } => Reason::ObjectInvalid,
            LoadError::Key { .. } => Reason::ItemInvalid,
            LoadError::KeyNotAccepted { attribute, tried } => {
                return Error::KeyNotAccepted { attribute, tried };
            }
            LoadError::Kms(error) => return Error::Store(error),
        };
        Error::DataLoss { reason, description }
    }
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Error {
        LoadError::from(error).into()
    }
}

/// Whether the store failed, rather than rejected what is stored.
fn is_outage(kind: &aws::Kind) -> bool {
    match kind {
        aws::Kind::Throttled
        | aws::Kind::Conflict
        | aws::Kind::Unavailable
        | aws::Kind::OutcomeUnknown
        | aws::Kind::Deadline { .. } => true,
        aws::Kind::ConditionFailed { .. }
        | aws::Kind::TransactionCancelled { .. }
        | aws::Kind::TokenMismatch
        | aws::Kind::Missing { .. }
        | aws::Kind::Denied
        | aws::Kind::KeyUnusable
        | aws::Kind::InvalidCiphertext
        | aws::Kind::IncorrectKey
        | aws::Kind::UnknownKey
        | aws::Kind::TooLarge
        | aws::Kind::Refused => false,
    }
}
