//! Downloads a whole object and verifies it against its pointer and its owner. Never returns content that fails
//! verification, nor content of another item unless the attribute allows it.

use bytes::Bytes;

use crate::aws::{self, DownloadError, Kind, Location, Resource, S3};
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::model::{ForeignPointers, Offload};

use super::owner::{self, Claim, Owner};
use super::upload::sha256_hex;

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

impl Reading<'_> {
    /// Whether the pointer may be followed.
    pub fn is_allowed(&self) -> bool {
        self.owner.owns(self.offload, self.pointer)
            || (self.reads_foreign() && owner::is_readable(self.pointer))
    }

    fn reads_foreign(&self) -> bool {
        self.offload.foreign_pointers == ForeignPointers::Read
    }
}

/// Reads an object of at most `max_bytes`. Verifies its content against the pointer's size and SHA-256, which pointers of
/// pydynox lack, and its metadata against the owner.
///
/// # Errors
///
/// `Invalid` if the object is missing or does not match the pointer; `Foreign` if it belongs to another item; `Store` with
/// `TooLarge` if it exceeds `max_bytes`.
pub async fn read(s3: &S3, call: &Call, reading: Reading<'_>, max_bytes: usize) -> Result<Bytes, ReadError> {
    let Reading {
        owner,
        offload,
        pointer,
    } = reading;
    if !reading.is_allowed() {
        return Err(ReadError::Foreign);
    }
    let location = Location {
        bucket: &pointer.bucket,
        key: &pointer.key,
        region: offload.region.as_deref(),
    };
    let max_bytes = (max_bytes as u64).min(pointer.size_bytes);
    let object = match s3.get_object(call, location, max_bytes).await {
        Ok(object) => object,
        Err(DownloadError::Damaged(description)) => return Err(invalid(description)),
        Err(DownloadError::Store(error)) => return Err(store_error(error, max_bytes < pointer.size_bytes)),
    };
    if owner.claim(&object.metadata) == Claim::Other && !reading.reads_foreign() {
        return Err(ReadError::Foreign);
    }
    let content = object.content;
    if content.len() as u64 != pointer.size_bytes {
        return Err(invalid("the object's size differs from its pointer"));
    }
    if !pointer.sha256.is_empty() && sha256_hex(content.clone()).await != pointer.sha256 {
        return Err(invalid("the object's SHA-256 differs from its pointer"));
    }
    Ok(content)
}

fn store_error(error: aws::Error, is_too_large: bool) -> ReadError {
    match error.kind {
        Kind::Missing {
            what: Resource::Object,
            ..
        } => invalid("the object is missing"),
        Kind::TooLarge if !is_too_large => invalid("the object is larger than its pointer says"),
        Kind::TooLarge
        | Kind::Missing {
            what: Resource::Bucket | Resource::Table | Resource::Key,
            ..
        }
        | Kind::ConditionFailed { .. }
        | Kind::TransactionCancelled { .. }
        | Kind::Conflict
        | Kind::TokenMismatch
        | Kind::Throttled
        | Kind::Denied
        | Kind::KeyUnusable
        | Kind::InvalidCiphertext
        | Kind::IncorrectKey
        | Kind::UnknownKey
        | Kind::Refused
        | Kind::Unavailable
        | Kind::OutcomeUnknown
        | Kind::Deadline { .. } => ReadError::Store(error),
    }
}

fn invalid(description: &str) -> ReadError {
    ReadError::Invalid {
        description: description.to_owned(),
    }
}
