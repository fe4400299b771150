//! Which object to read for which item, and why that can fail. Sends nothing.

use super::owner::{self, Owner};
use crate::aws;
use crate::item::pointer::Pointer;
use crate::model::{ForeignPointers, Offload};

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
}

impl ReadError {
    /// Whether the object may have been replaced since its pointer was read: the item must be read again. S3 denies access
    /// to a missing object if the caller may not list the bucket.
    pub fn may_be_replaced(&self) -> bool {
        match self {
            ReadError::Invalid { .. } => true,
            ReadError::Store(error) => error.kind == aws::Kind::Denied,
            ReadError::Foreign => false,
        }
    }
}

impl Reading<'_> {
    /// Whether the pointer may be followed.
    pub fn is_allowed(&self) -> bool {
        self.owner.owns(self.offload, self.pointer)
            || (self.reads_foreign() && owner::is_readable(self.pointer))
    }

    /// Whether objects of other items may be read.
    pub(super) fn reads_foreign(&self) -> bool {
        self.offload.foreign_pointers == ForeignPointers::Read
    }
}
