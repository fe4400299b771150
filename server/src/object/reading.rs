//! Which object to read for which item, and why that can fail. Sends nothing.

use super::owner::{self, Owner};
use crate::aws;
use crate::crypto::{CallKeys, KeyIds};
use crate::item::pointer::Pointer;
use crate::model::{Encryption, ForeignPointers, Offload};

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object is missing or does not match its pointer.
    #[error("{description}")]
    Invalid {
        /// The mismatch, without names and values.
        description: String,
    },
    /// The object does not belong to the item, and the attribute does not allow reading foreign objects.
    #[error("the object does not belong to the item")]
    Foreign,
    /// The object is encrypted under a key that its attribute does not accept.
    #[error("the object is encrypted under a key that the model does not accept")]
    KeyNotAccepted {
        /// The keys that were tried.
        tried: KeyIds,
    },
    /// KMS did not decrypt the data key, for a reason other than an invalid ciphertext.
    #[error(transparent)]
    Key(aws::Error),
    /// The request to S3 failed.
    #[error(transparent)]
    Store(#[from] aws::Error),
}

/// An object to read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The item that points to it.
    pub owner: Owner<'a>,
    /// The S3 options of the attribute.
    pub offload: &'a Offload,
    /// The pointer to the object.
    pub pointer: &'a Pointer,
    /// How the objects of the attribute are opened; `None` if it is not encrypted.
    pub sealing: Option<Sealing<'a>>,
}

/// How the objects of an encrypted attribute are opened.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    /// The stored name of the attribute.
    pub attribute: &'a str,
    /// Its encryption.
    pub encryption: &'a Encryption,
    /// The data keys of the call.
    pub keys: &'a CallKeys,
}

impl ReadError {
    /// Whether the object may have been replaced since its pointer was read: the item must be read again. S3 denies access
    /// to a missing object if the caller may not list the bucket.
    pub fn may_be_replaced(&self) -> bool {
        match self {
            ReadError::Invalid { .. } => true,
            ReadError::Store(error) => error.kind == aws::Kind::Denied,
            ReadError::Foreign | ReadError::KeyNotAccepted { .. } | ReadError::Key(_) => false,
        }
    }
}

impl<'a> Reading<'a> {
    /// Whether the pointer may be followed.
    pub fn is_allowed(&self) -> bool {
        self.owner.owns(self.offload, self.pointer)
            || (self.reads_foreign() && owner::is_readable(self.pointer))
    }

    /// How this object is opened; `None` if it is stored in plaintext.
    ///
    /// # Errors
    ///
    /// `Invalid` if the attribute is encrypted and the object is not, or the other way around: a pointer to another object
    /// was put in its place.
    pub(super) fn sealing(&self) -> Result<Option<Sealing<'a>>, ReadError> {
        let is_sealed = !self.pointer.mac.is_empty();
        match self.sealing {
            Some(sealing) if is_sealed => Ok(Some(sealing)),
            Some(sealing) if !sealing.encryption.allow_plaintext => {
                Err(invalid("the attribute is encrypted, and the object is not"))
            }
            None if is_sealed => Err(invalid("the object is encrypted, and the attribute is not")),
            Some(_) | None => Ok(None),
        }
    }

    /// Whether objects of other items may be read.
    pub(super) fn reads_foreign(&self) -> bool {
        self.offload.foreign_pointers == ForeignPointers::Read
    }
}

pub(super) fn invalid(description: &str) -> ReadError {
    ReadError::Invalid {
        description: description.to_owned(),
    }
}
