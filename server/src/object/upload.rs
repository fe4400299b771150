//! Uploads a new object: one PutObject up to 5 MiB, and a multipart upload with parallel parts above. Never deletes an
//! object: records what S3 may hold, so that the `write` room can delete it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use ulid::Ulid;

use crate::aws::{Error, Kind, Location, MultipartUpload, S3, StoredObject};
use crate::call::Call;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::limits::{MAX_PARTS, MIN_PART_BYTES};
use crate::model::{Model, Object, Offload};

use super::key;
use super::owner::Owner;

/// The largest object that is uploaded with one PutObject; also the default size of a part.
pub const PART_BYTES: usize = MIN_PART_BYTES;
/// The largest content that is hashed on an async thread; larger contents are hashed on a blocking thread.
const MAX_INLINE_HASH_BYTES: usize = 256 * 1024;

/// An object to upload under a new key.
pub(crate) struct NewObject {
    offload: Offload,
    key: String,
    content: Bytes,
    name: String,
    content_type: String,
    /// The caller's metadata, with names in lower case.
    metadata: HashMap<String, String>,
    table: String,
    owner: Vec<(&'static str, String)>,
    /// Whether S3 may hold the object.
    stored: AtomicBool,
    /// The id of a multipart upload that is not completed.
    multipart: Mutex<Option<String>>,
}

impl NewObject {
    /// A new object of the item with this key. Sends nothing yet. `None` if the object has no data.
    pub(crate) fn new(model: &Model, item_key: &Key, offload: &Offload, object: Object) -> Option<NewObject> {
        let metadata: HashMap<_, _> = object
            .metadata
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let metadata_bytes = metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let owner = Owner { model, key: item_key };
        Some(NewObject {
            key: key::object_key(&offload.prefix, item_key, Ulid::generate(), &object.name),
            offload: offload.clone(),
            content: object.data?,
            name: object.name,
            content_type: object.content_type,
            metadata,
            table: model.table.clone(),
            owner: owner.metadata(metadata_bytes),
            stored: AtomicBool::new(false),
            multipart: Mutex::new(None),
        })
    }

    /// The location of the object.
    pub(crate) fn location(&self) -> Location<'_> {
        Location {
            bucket: &self.offload.bucket,
            key: &self.key,
            region: self.offload.region.as_deref(),
        }
    }

    /// Whether a pointer leads to this object.
    pub(crate) fn is_at(&self, pointer: &Pointer) -> bool {
        pointer.bucket == self.offload.bucket && pointer.key == self.key
    }

    /// Whether S3 may hold the object.
    pub(crate) fn may_be_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    /// The multipart upload that is not completed, if any.
    pub(crate) fn open_multipart(&self) -> Option<MultipartUpload<'_>> {
        let id = self.multipart.lock().clone()?;
        Some(MultipartUpload {
            location: self.location(),
            id,
        })
    }

    /// Uploads the content. `slots` limits the requests that the call has in flight.
    pub(crate) async fn upload(&self, s3: &S3, call: &Call, slots: &Semaphore) -> Result<Pointer, Error> {
        let (sha256, stored) = tokio::join!(sha256_hex(self.content.clone()), self.store(s3, call, slots));
        let stored = stored?;
        Ok(Pointer {
            bucket: self.offload.bucket.clone(),
            key: self.key.clone(),
            size_bytes: self.content.len() as u64,
            etag: stored.etag,
            table: self.table.clone(),
            content_type: self.content_type.clone(),
            version_id: stored.version_id.unwrap_or_default(),
            metadata: self.metadata.clone(),
            sha256,
            name: self.name.clone(),
        })
    }

    async fn store(&self, s3: &S3, call: &Call, slots: &Semaphore) -> Result<StoredObject, Error> {
        let metadata = self.object_metadata();
        if self.content.len() > PART_BYTES {
            return self.store_in_parts(s3, call, slots, &metadata).await;
        }
        let _slot = slots.acquire().await.expect("the semaphore is never closed");
        self.stored.store(true, Ordering::Release);
        let stored = s3
            .put_object(
                call,
                self.location(),
                self.content.clone(),
                self.content_type(),
                &metadata,
            )
            .await;
        if stored
            .as_ref()
            .is_err_and(|error| !may_have_been_applied(&error.kind))
        {
            self.stored.store(false, Ordering::Release);
        }
        stored
    }

    async fn store_in_parts(
        &self,
        s3: &S3,
        call: &Call,
        slots: &Semaphore,
        metadata: &HashMap<String, String>,
    ) -> Result<StoredObject, Error> {
        let upload = {
            let _slot = slots.acquire().await.expect("the semaphore is never closed");
            s3.create_multipart_upload(call, self.location(), self.content_type(), metadata)
                .await?
        };
        self.set_multipart(Some(upload.id.clone()));
        let upload = &upload;
        let part_bytes = part_bytes(self.content.len());
        let starts = (0..self.content.len()).step_by(part_bytes);
        let parts = starts.zip(1..).map(|(start, number)| async move {
            let content = self
                .content
                .slice(start..self.content.len().min(start + part_bytes));
            let _slot = slots.acquire().await.expect("the semaphore is never closed");
            s3.upload_part(call, upload, number, content).await
        });
        let parts: Vec<_> = stream::iter(parts).buffered(s3.in_flight()).try_collect().await?;
        self.stored.store(true, Ordering::Release);
        let stored = s3.complete_multipart_upload(call, upload, parts).await?;
        self.set_multipart(None);
        Ok(stored)
    }

    fn content_type(&self) -> Option<&str> {
        if self.content_type.is_empty() {
            None
        } else {
            Some(&self.content_type)
        }
    }

    fn set_multipart(&self, id: Option<String>) {
        *self.multipart.lock() = id;
    }

    /// The metadata of the caller and of the owner. Checked items do not exceed S3's limit.
    fn object_metadata(&self) -> HashMap<String, String> {
        let owner = self
            .owner
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        self.metadata.clone().into_iter().chain(owner).collect()
    }
}

/// 5 MiB, or more if the content needs more than 10,000 such parts.
fn part_bytes(content_bytes: usize) -> usize {
    PART_BYTES.max(content_bytes.div_ceil(MAX_PARTS))
}

/// Whether a failed request may have been applied.
fn may_have_been_applied(kind: &Kind) -> bool {
    match kind {
        Kind::Unavailable | Kind::OutcomeUnknown | Kind::Deadline { .. } => true,
        Kind::ConditionFailed { .. }
        | Kind::TransactionCancelled { .. }
        | Kind::Conflict
        | Kind::TokenMismatch
        | Kind::Missing { .. }
        | Kind::Throttled
        | Kind::Denied
        | Kind::KeyUnusable
        | Kind::InvalidCiphertext
        | Kind::IncorrectKey
        | Kind::UnknownKey
        | Kind::TooLarge
        | Kind::Refused => false,
    }
}

/// SHA-256 in lower-case hex.
pub(crate) async fn sha256_hex(content: Bytes) -> String {
    if content.len() <= MAX_INLINE_HASH_BYTES {
        return key::hex(&Sha256::digest(&content));
    }
    let hashed = tokio::task::spawn_blocking(move || key::hex(&Sha256::digest(&content))).await;
    hashed.expect("hashing does not panic, and nobody aborts it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_beyond_5_mib_only_if_10_000_are_not_enough() {
        assert_eq!(part_bytes(6 * 1024 * 1024), PART_BYTES);
        assert_eq!(part_bytes(PART_BYTES * MAX_PARTS), PART_BYTES);
        let larger = part_bytes(PART_BYTES * MAX_PARTS + 1);
        assert_eq!(larger, PART_BYTES + 1);
        assert!((PART_BYTES * MAX_PARTS + 1).div_ceil(larger) <= MAX_PARTS);
    }

    #[tokio::test]
    async fn hashes_are_equal_on_async_and_blocking_threads() {
        let small = Bytes::from_static(b"abc");
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(small).await, digest);
        let large = Bytes::from(vec![0; MAX_INLINE_HASH_BYTES + 1]);
        assert_eq!(sha256_hex(large.clone()).await, key::hex(&Sha256::digest(&large)));
    }
}
