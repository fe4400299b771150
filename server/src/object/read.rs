//! Reads an object whole and verifies it against its pointer and its owner. Never returns content that does not verify,
//! nor another item's unless the attribute allows that.

use bytes::Bytes;

use crate::aws::{self, DownloadError, Kind, Location, Resource, S3};
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::model::{ForeignPointers, Offload};

use super::owner::{self, Claim, Owner};
use super::upload::sha256_hex;

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not what its pointer says, or is not there.
    #[error("the object does not verify: {description}")]
    Invalid {
        /// What is wrong, without names and values.
        description: String,
    },
    /// It is not the item's own, and the attribute does not allow to read those.
    #[error("the object is not the item's own")]
    Foreign,
    /// S3 did not give it.
    #[error(transparent)]
    Store(#[from] aws::Error),
}

/// An object to be read, and for whom.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The item that points to it.
    pub owner: Owner<'a>,
    /// Where the attribute's objects lie.
    pub offload: &'a Offload,
    /// Where the object lies and what it must be.
    pub pointer: &'a Pointer,
}

impl Reading<'_> {
    /// Whether the pointer may be followed at all.
    pub fn is_allowed(&self) -> bool {
        self.owner.has(self.offload, self.pointer)
            || (self.reads_foreign() && owner::is_readable(self.pointer))
    }

    fn reads_foreign(&self) -> bool {
        self.offload.foreign_pointers == ForeignPointers::Read
    }
}

/// The object's content, of at most `max_bytes`, verified against the pointer's size and SHA-256 (pydynox's pointers
/// have no SHA-256), and its metadata against the owner.
///
/// # Errors
///
/// `Invalid` for content that is not what the pointer says, and for none; `Foreign` for another item's; `Store` with
/// `TooLarge` for an object of more than `max_bytes`.
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
        Err(DownloadError::Store(error)) => return Err(of_store(error, max_bytes < pointer.size_bytes)),
    };
    if owner.claim(&object.metadata) == Claim::Other && !reading.reads_foreign() {
        return Err(ReadError::Foreign);
    }
    let content = object.content;
    if content.len() as u64 != pointer.size_bytes {
        return Err(invalid("it has another size than its pointer says"));
    }
    if !pointer.sha256.is_empty() && sha256_hex(content.clone()).await != pointer.sha256 {
        return Err(invalid("it has another content than its pointer says"));
    }
    Ok(content)
}

fn of_store(error: aws::Error, is_too_large: bool) -> ReadError {
    match error.kind {
        Kind::Missing {
            what: Resource::Object,
            ..
        } => invalid("it is not there"),
        Kind::TooLarge if !is_too_large => invalid("it is larger than its pointer says"),
        Kind::TooLarge
        | Kind::Missing {
            what: Resource::Bucket | Resource::Table | Resource::Key,
            ..
        }
        | Kind::ConditionFailed { .. }
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
