//! Signs URLs of stored objects. Never signs one of an object that its caller could not read.

use std::time::Duration;

use super::download::store_error;
use super::owner::Claim;
use super::reading::{ReadError, Reading};
use crate::aws::{Location, S3, SignedUrl};
use crate::call::Call;

/// Signs a URL that reads an object. A pointer that names no table costs a HeadObject, which shows the object's owner.
///
/// # Errors
///
/// `Foreign` if the object belongs to another item, `Invalid` if it is missing, as far as S3 was called.
pub async fn presign(
    s3: &S3,
    call: &Call,
    reading: Reading<'_>,
    life: Duration,
) -> Result<SignedUrl, ReadError> {
    if !reading.is_allowed() {
        return Err(ReadError::Foreign);
    }
    let pointer = reading.pointer;
    let location = Location {
        bucket: &pointer.bucket,
        key: &pointer.key,
        region: reading.offload.region.as_deref(),
    };
    if pointer.table.is_empty() && !reading.reads_foreign() {
        let head = s3.head_object(call, location).await.map_err(store_error)?;
        if reading.owner.claim(&head.metadata) == Claim::Other {
            return Err(ReadError::Foreign);
        }
    }
    let version_id = Some(pointer.version_id.as_str()).filter(|version_id| !version_id.is_empty());
    Ok(s3.presign_get(call, location, version_id, life).await?)
}
