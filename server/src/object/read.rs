//! Reads an object whole and verifies it against its pointer. Never answers content that does not verify.

use bytes::Bytes;

use crate::aws::{self, Kind, Location, Resource, S3};
use crate::billing::Call;
use crate::item::pointer::Pointer;

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
    /// S3 did not give it.
    #[error(transparent)]
    Store(#[from] aws::Error),
}

/// The object's content, of at most `max_bytes`, verified against the pointer's size and SHA-256 (pydynox's pointers
/// have no SHA-256). `region` is the bucket's, where it is not the client's.
///
/// # Errors
///
/// `Invalid` for content that is not what the pointer says, and for none; `Store` with `TooLarge` for an object of more
/// than `max_bytes`.
pub async fn read(
    s3: &S3,
    call: &Call,
    region: Option<&str>,
    pointer: &Pointer,
    max_bytes: usize,
) -> Result<Bytes, ReadError> {
    let location = Location {
        bucket: &pointer.bucket,
        key: &pointer.key,
        region,
    };
    let max_bytes = (max_bytes as u64).min(pointer.size_bytes);
    let content = match s3.get_object(call, location, max_bytes).await {
        Ok(content) => content,
        Err(error) => return Err(of_store(error, max_bytes < pointer.size_bytes)),
    };
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
