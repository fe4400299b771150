//! Copies the object of another item for a pointer that was copied in: under a new key of the item, with the item as its
//! owner. The copied object stays where it is.

use std::collections::HashMap;
use std::fmt;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use ulid::Ulid;

use super::key;
use super::owner::Owner;
use crate::aws::{
    CopySource, Error, Location, MAX_COPIED_BYTES, MultipartUpload, ObjectHead, S3, StoredObject,
};
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::model::Offload;
use crate::model::limits::MAX_PARTS;

/// The least size of a part.
const PART_BYTES: u64 = 512 << 20;

/// An object to copy for an item.
pub struct Adoption<'a> {
    /// The item.
    pub owner: Owner<'a>,
    /// The options of the attribute.
    pub offload: &'a Offload,
    /// The pointer in the item.
    pub pointer: &'a Pointer,
    /// What S3 has there.
    pub head: &'a ObjectHead,
    /// The region of the pointer's bucket, if it is not the client's.
    pub region: Option<&'a str>,
    /// The key of the copy.
    key: String,
}

impl fmt::Debug for Adoption<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Adoption")
    }
}

impl<'a> Adoption<'a> {
    /// A copy under a new key. `None` if the object cannot be copied: an encrypted one is tied to its item.
    pub fn new(
        owner: Owner<'a>,
        offload: &'a Offload,
        pointer: &'a Pointer,
        head: &'a ObjectHead,
        region: Option<&'a str>,
    ) -> Option<Adoption<'a>> {
        let is_as_stored = pointer.mac.is_empty() && pointer.etag == head.stored.etag;
        is_as_stored.then(|| Adoption {
            owner,
            offload,
            pointer,
            head,
            region,
            key: key::object_key(&offload.prefix, owner.key, Ulid::generate(), &pointer.name),
        })
    }

    /// Where the copy goes.
    pub fn location(&self) -> Location<'_> {
        Location {
            bucket: &self.offload.bucket,
            key: &self.key,
            region: self.offload.region.as_deref(),
        }
    }

    /// Copies the object, and returns the pointer to the copy. After an error there may be a copy, which no item points to.
    ///
    /// # Errors
    ///
    /// The errors of any request; `Refused` if the object was replaced.
    pub async fn copy(&self, s3: &S3, call: impl Fn() -> Call) -> Result<Pointer, Error> {
        let stored = match self.head.bytes <= MAX_COPIED_BYTES {
            true => {
                s3.copy_whole(
                    &call(),
                    self.source(),
                    self.location(),
                    self.content_type(),
                    &self.metadata(),
                )
                .await?
            }
            false => self.copy_in_parts(s3, &call).await?,
        };
        Ok(Pointer {
            bucket: self.offload.bucket.clone(),
            key: self.key.clone(),
            etag: stored.etag,
            version_id: stored.version_id.unwrap_or_default(),
            table: self.owner.model.table.clone(),
            ..self.pointer.clone()
        })
    }

    async fn copy_in_parts(&self, s3: &S3, call: &impl Fn() -> Call) -> Result<StoredObject, Error> {
        let metadata = self.metadata();
        let upload = s3
            .create_multipart_upload(&call(), self.location(), self.content_type(), &metadata)
            .await?;
        let copied = self.copy_parts(s3, call, &upload).await;
        if copied.is_err() {
            // the sweep finds what is left
            let _ = s3.abort_multipart_upload(&call(), &upload).await;
        }
        copied
    }

    async fn copy_parts(
        &self,
        s3: &S3,
        call: &impl Fn() -> Call,
        upload: &MultipartUpload<'_>,
    ) -> Result<StoredObject, Error> {
        let parts = ranges(self.head.bytes)
            .into_iter()
            .zip(1..)
            .map(|(range, number)| async move {
                s3.copy_part(&call(), self.source(), upload, number, range).await
            });
        let parts: Vec<_> = stream::iter(parts).buffered(s3.in_flight()).try_collect().await?;
        s3.complete_multipart_upload(&call(), upload, parts).await
    }

    fn source(&self) -> CopySource<'_> {
        CopySource {
            location: Location {
                bucket: &self.pointer.bucket,
                key: &self.pointer.key,
                region: self.region,
            },
            version_id: Some(self.pointer.version_id.as_str()).filter(|version| !version.is_empty()),
            etag: &self.pointer.etag,
        }
    }

    fn content_type(&self) -> Option<&str> {
        Some(self.pointer.content_type.as_str()).filter(|media_type| !media_type.is_empty())
    }

    fn metadata(&self) -> HashMap<String, String> {
        let own = &self.pointer.metadata;
        let own_bytes = own.iter().map(|(name, value)| name.len() + value.len()).sum();
        let owner = self.owner.metadata(own_bytes).into_iter();
        own.clone()
            .into_iter()
            .chain(owner.map(|(name, value)| (name.to_owned(), value)))
            .collect()
    }
}

/// The first and the last byte of each part.
fn ranges(bytes: u64) -> Vec<(u64, u64)> {
    let part_bytes = PART_BYTES.max(bytes.div_ceil(MAX_PARTS as u64));
    let mut ranges = Vec::new();
    let mut first = 0;
    while first < bytes {
        let last = (first + part_bytes).min(bytes) - 1;
        ranges.push((first, last));
        first = last + 1;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_object_up_to_the_limits_of_s3() {
        for bytes in [1, PART_BYTES, MAX_COPIED_BYTES + 1, 5 << 40] {
            let ranges = ranges(bytes);
            assert!(ranges.len() <= MAX_PARTS, "{bytes}");
            assert_eq!(ranges.first().map(|(first, _)| *first), Some(0));
            assert_eq!(ranges.last().map(|(_, last)| last + 1), Some(bytes));
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
            assert!(ranges.iter().all(|(first, last)| last - first < MAX_COPIED_BYTES));
        }
    }
}
