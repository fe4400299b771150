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

/// How objects are copied, except in tests.
const SIZES: Sizes = Sizes {
    whole_bytes: MAX_COPIED_BYTES,
    part_bytes: 512 << 20,
};

/// How objects are copied.
#[derive(Clone, Copy)]
struct Sizes {
    /// Larger objects are copied in parts.
    whole_bytes: u64,
    /// The least size of a part.
    part_bytes: u64,
}

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
    sizes: Sizes,
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
            sizes: SIZES,
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
        let stored = match self.head.bytes <= self.sizes.whole_bytes {
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
        let parts = ranges(self.head.bytes, self.sizes.part_bytes)
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
fn ranges(bytes: u64, least_bytes: u64) -> Vec<(u64, u64)> {
    let part_bytes = least_bytes.max(bytes.div_ceil(MAX_PARTS as u64));
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
    use crate::aws::testing::{Fault, FaultyStores};
    use crate::item::Key;
    use crate::model::testing::{model, object};
    use crate::model::{Item, Model, Models, Value};

    const MIB: u64 = 1 << 20;

    #[test]
    fn parts_cover_the_object_up_to_the_limits_of_s3() {
        let Sizes { part_bytes, .. } = SIZES;
        for bytes in [1, part_bytes, MAX_COPIED_BYTES + 1, 5 << 40] {
            let ranges = ranges(bytes, part_bytes);
            assert!(ranges.len() <= MAX_PARTS, "{bytes}");
            assert_eq!(ranges.first().map(|(first, _)| *first), Some(0));
            assert_eq!(ranges.last().map(|(_, last)| last + 1), Some(bytes));
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
            assert!(ranges.iter().all(|(first, last)| last - first < MAX_COPIED_BYTES));
        }
    }

    /// An item's pointer to a large object of another one.
    struct Copied {
        model: Model,
        key: Key,
        pointer: Pointer,
        content: Vec<u8>,
        faulty: FaultyStores,
    }

    impl Copied {
        async fn new(bytes: u64) -> Copied {
            let model = model(vec![object("file", "docs/")]);
            let faulty = FaultyStores::new(&Models::new([model.clone()])).await;
            let content: Vec<u8> = (0..bytes).map(|index| (index / 7 % 251) as u8).collect();
            let put = faulty.stores.s3.raw().put_object().bucket("files");
            let put = put.key("docs/other").body(content.clone().into()).send();
            let etag = put.await.expect("it is stored").e_tag.expect("an etag");
            faulty.take_sent();
            let text = |text: &str| Value::S(text.to_owned());
            let item = Item::from([("pk".to_owned(), text("A")), ("sk".to_owned(), text("B"))]);
            Copied {
                key: Key::from_item(&model, &item).expect("a key"),
                model,
                pointer: Pointer {
                    bucket: "files".to_owned(),
                    key: "docs/other".to_owned(),
                    size_bytes: bytes,
                    etag,
                    ..Pointer::default()
                },
                content,
                faulty,
            }
        }

        /// Adopts the object in parts of 5 MiB.
        async fn adopt(&self) -> Result<Pointer, Error> {
            let (s3, pointer) = (&self.faulty.stores.s3, &self.pointer);
            let location = Location {
                bucket: &pointer.bucket,
                key: &pointer.key,
                region: None,
            };
            let head = s3.head_object(&Call::for_test(), location).await?;
            let owner = Owner {
                model: &self.model,
                key: &self.key,
            };
            let offload = self.model.attribute("file").and_then(|file| file.s3.as_ref());
            let offload = offload.expect("it is in S3");
            let adoption = Adoption::new(owner, offload, pointer, &head, None).expect("it can be copied");
            let adoption = Adoption {
                sizes: Sizes {
                    whole_bytes: 5 * MIB,
                    part_bytes: 5 * MIB,
                },
                ..adoption
            };
            self.faulty.take_sent();
            adoption.copy(s3, Call::for_test).await
        }
    }

    #[tokio::test]
    async fn a_large_object_is_copied_in_parts() {
        let copied = Copied::new(12 * MIB + 3).await;
        let pointer = copied.adopt().await.expect("it is copied");
        let mut sent = copied.faulty.take_sent();
        sent.sort();
        let parts = ["UploadPart"; 3].map(str::to_owned);
        let expected = [
            &[
                "CompleteMultipartUpload".to_owned(),
                "CreateMultipartUpload".to_owned(),
            ][..],
            &parts,
        ];
        assert_eq!(sent, expected.concat());
        assert!(pointer.key.starts_with("docs/A/B/"), "{}", pointer.key);
        assert!(pointer.etag.ends_with("-3\""), "{}", pointer.etag);
        let location = Location {
            bucket: "files",
            key: &pointer.key,
            region: None,
        };
        let s3 = &copied.faulty.stores.s3;
        let whole = s3.whole_object(&Call::for_test(), location).await;
        assert!(whole.expect("it is stored") == copied.content);
    }

    #[tokio::test]
    async fn an_object_that_is_replaced_meanwhile_is_not_copied() {
        let mut copied = Copied::new(6 * MIB).await;
        copied
            .faulty
            .inject("UploadPart", Fault::Respond(412, "PreconditionFailed"));
        copied.adopt().await.expect_err("it was replaced");
        let sent = copied.faulty.take_sent();
        assert_eq!(sent.last().map(String::as_str), Some("AbortMultipartUpload"));
        copied.pointer.key = "docs/none".to_owned();
        copied.adopt().await.expect_err("it is missing");
    }
}
