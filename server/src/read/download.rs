//! Streams the content of one object of an item, whole or a range of it.
//!
//! An object that is missing, or does not match its pointer, may have been replaced since the item was read. The item is
//! then read again, consistently. If it points to another object now, the download begins again with that one, unless a
//! part has been returned; an unchanged pointer means that the object is lost. The description of the object is returned
//! with the first bytes, so that both belong to one object.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, Stream};

use super::error::Error;
use super::memory::reserve_content;
use super::reader::Reader;
use super::stored_pointer::StoredPointer;
use super::view::View;
use crate::call::Call;
use crate::capacity::Reservation;
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::item::tenant;
use crate::model::{Object, Offload};
use crate::object::download::{Download as Content, HeldBack, PIECE_BYTES};
use crate::object::owner::Owner;
use crate::object::read::{ReadError, Reading, Sealing};

/// How often a download begins before it gives up.
const MAX_ATTEMPTS: usize = 5;

/// The object to read, as far as the request has been checked.
pub struct Download {
    /// The item's key.
    pub key: Key,
    /// The part of the item that is read: the attribute.
    pub view: View,
    /// The placeholder names of the view's projection.
    pub names: HashMap<String, String>,
    /// The object attribute.
    pub attribute: String,
    /// Where its options say that objects are.
    pub offload: Offload,
    /// The first byte to read.
    pub offset: u64,
    /// The number of bytes to read; 0: all.
    pub length: u64,
    /// The etag that the object must have, if any.
    pub if_match: Option<String>,
    /// Whether to see every write that was acknowledged before.
    pub consistent_read: bool,
}

/// A part of a download.
pub enum DownloadPart {
    /// The description of the whole object; the first part.
    Object(Box<Object>),
    /// The next bytes, at least one.
    Content(Bytes),
}

/// A download of a call.
struct Downloader {
    reader: Reader,
    call: Call,
    keys: CallKeys,
    request: Download,
}

/// A download that has begun.
struct Begun {
    downloader: Downloader,
    pointer: Pointer,
    content: Content,
    /// Parts that were read and not returned yet, the last one first.
    ready: Vec<DownloadPart>,
    /// Bytes that were not read yet.
    remaining_bytes: u64,
    ended: bool,
    _memory: Reservation,
}

impl Reader {
    /// Begins to read an object, and returns its parts once the first bytes have arrived.
    ///
    /// # Errors
    ///
    /// `ItemNotFound` and `ObjectNotFound`; `EtagMismatch` before S3 is called; `ObjectChanged` if the object is replaced
    /// meanwhile; otherwise see [`Error`].
    pub async fn download(
        &self,
        call: &Call,
        request: Download,
    ) -> Result<impl Stream<Item = Result<DownloadPart, Error>> + Send + use<>, Error> {
        tenant::check(&request.view.model, call, &request.key)?;
        let downloader = Downloader {
            reader: self.clone(),
            call: call.clone(),
            keys: self.keyring.for_call(call),
            request,
        };
        let begun = downloader.begin().await?;
        Ok(stream::unfold(begun, |mut begun| async move {
            let part = begun.next().await.transpose()?;
            Some((part, begun))
        }))
    }
}

impl Downloader {
    /// Records what is decrypted for the audit log.
    fn record(&self) {
        let (model, attribute) = (&self.request.view.model, &self.request.attribute);
        let is_encrypted = model
            .attribute(attribute)
            .is_some_and(|attribute| attribute.encrypted.is_some());
        if let Some(record) = self.call.audit().filter(|_| is_encrypted) {
            record.add_decrypted([attribute.as_str()]);
        }
    }

    async fn begin(self) -> Result<Begun, Error> {
        let mut pointer = self.find(self.request.consistent_read, false).await?;
        for _ in 0..MAX_ATTEMPTS {
            self.check_etag(&pointer)?;
            let range = self.range(&pointer)?;
            let memory = self.reserve(&range).await?;
            let range_bytes = range.end - range.start;
            let error = match self.open(&pointer, range).await {
                Ok((content, first)) => {
                    self.record();
                    let object = DownloadPart::Object(Box::new(pointer.to_object()));
                    let remaining_bytes = range_bytes.saturating_sub(first.as_ref().map_or(0, size_of));
                    let first = first.map(DownloadPart::Content);
                    return Ok(Begun {
                        downloader: self,
                        pointer,
                        content,
                        ready: first.into_iter().chain([object]).collect(),
                        remaining_bytes,
                        ended: false,
                        _memory: memory,
                    });
                }
                Err(error) => error,
            };
            if !error.may_be_replaced() {
                return Err(self.error(error));
            }
            let current = self.find(true, true).await?;
            if current == pointer {
                return Err(self.error(error));
            }
            pointer = current;
        }
        Err(self.object_changed())
    }

    /// The pointer in the stored item.
    async fn find(&self, consistent_read: bool, uncounted: bool) -> Result<Pointer, Error> {
        let Download {
            key,
            view,
            names,
            attribute,
            ..
        } = &self.request;
        let stored = StoredPointer {
            key,
            view,
            names,
            attribute,
        };
        stored
            .read(&self.reader, &self.call, &self.keys, consistent_read, uncounted)
            .await
    }

    fn check_etag(&self, pointer: &Pointer) -> Result<(), Error> {
        let unquoted = |etag: &str| etag.trim_matches('"').to_owned();
        match &self.request.if_match {
            Some(wanted) if unquoted(wanted) != unquoted(&pointer.etag) => Err(Error::EtagMismatch),
            Some(_) | None => Ok(()),
        }
    }

    /// The bytes to read, as far as the object has them.
    fn range(&self, pointer: &Pointer) -> Result<Range<u64>, Error> {
        let Download { offset, length, .. } = self.request;
        let size_bytes = pointer.size_bytes;
        if offset > size_bytes {
            return Err(Error::OffsetTooLarge { size_bytes });
        }
        let end = match length {
            0 => size_bytes,
            length => offset.saturating_add(length).min(size_bytes),
        };
        Ok(offset..end)
    }

    /// Waits for the memory of the pieces that are held, hashed and sent.
    async fn reserve(&self, range: &Range<u64>) -> Result<Reservation, Error> {
        let held_bytes = (range.end - range.start).min(4 * PIECE_BYTES as u64);
        reserve_content(&self.call, held_bytes, 0).await
    }

    /// Opens the object, and reads its first bytes.
    async fn open(
        &self,
        pointer: &Pointer,
        range: Range<u64>,
    ) -> Result<(Content, Option<Bytes>), ReadError> {
        let Download {
            key, view, offload, ..
        } = &self.request;
        let attribute = view.model.attribute(&self.request.attribute);
        let encryption =
            attribute.and_then(|attribute| Some((&*attribute.stored_name, attribute.encrypted.as_ref()?)));
        let reading = Reading {
            owner: Owner {
                model: &view.model,
                key,
            },
            offload,
            pointer,
            sealing: encryption.map(|(attribute, encryption)| Sealing {
                attribute,
                encryption,
                keys: &self.keys,
            }),
        };
        let s3 = &self.reader.stores.s3;
        let mut content = Content::open(s3, &self.call, reading, range, HeldBack::LastPiece).await?;
        let first = content.next().await?;
        Ok((content, first))
    }

    fn error(&self, error: ReadError) -> Error {
        Error::from_object(&self.request.attribute, error)
    }

    fn object_changed(&self) -> Error {
        Error::ObjectChanged {
            attribute: self.request.attribute.clone(),
        }
    }
}

fn size_of(piece: &Bytes) -> u64 {
    piece.len() as u64
}

impl Begun {
    async fn next(&mut self) -> Result<Option<DownloadPart>, Error> {
        if self.ended {
            return Ok(None);
        }
        if let Some(part) = self.ready.pop() {
            return Ok(Some(part));
        }
        // the end follows the last bytes at once
        if self.remaining_bytes > 0 {
            self.downloader.call.wait_for_debt().await;
        }
        match self.content.next().await {
            Ok(Some(piece)) => {
                self.remaining_bytes = self.remaining_bytes.saturating_sub(size_of(&piece));
                Ok(Some(DownloadPart::Content(piece)))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => {
                self.ended = true;
                Err(self.verdict(error).await)
            }
        }
    }

    /// Whether the object was replaced, or is damaged.
    async fn verdict(&self, error: ReadError) -> Error {
        let downloader = &self.downloader;
        if !error.may_be_replaced() {
            return downloader.error(error);
        }
        match downloader.find(true, true).await {
            Ok(current) if current == self.pointer => downloader.error(error),
            Ok(_) | Err(Error::ItemNotFound { .. } | Error::ObjectNotFound { .. }) => {
                downloader.object_changed()
            }
            Err(error) => error,
        }
    }
}
