//! Reads a whole object into memory. Never returns content that fails verification, nor content of another item unless the
//! attribute allows it.

use bytes::Bytes;

use super::download::{Download, HeldBack};
use crate::aws::S3;
use crate::call::Call;

pub use super::reading::{ReadError, Reading, Sealing};

/// The content of an object.
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// Their SHA-256 in hex, if the pointer has a hash.
    pub sha256: Option<String>,
}

/// Reads an object, whose size according to its pointer the caller has checked.
///
/// # Errors
///
/// `Invalid` if the object is missing or does not match the pointer; `Foreign` if it belongs to another item.
pub async fn read(s3: &S3, call: &Call, reading: Reading<'_>) -> Result<Content, ReadError> {
    let whole = 0..reading.pointer.size_bytes;
    let mut download = Download::open(s3, call, reading, whole, HeldBack::Everything).await?;
    let bytes = download.next().await?.unwrap_or_default();
    Ok(Content {
        bytes,
        sha256: download.sha256().map(str::to_owned),
    })
}
