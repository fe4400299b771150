//! Decrypts the segments of an encrypted object as they arrive. Requests the object's data key from KMS when the header is
//! complete. Never returns content that is not authentic for the item and attribute.

use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

use super::key;
use super::reading::{ReadError, Reading, Sealing, invalid};
use crate::crypto::envelope::{self, Place};
use crate::crypto::object::{self, Header, MAX_HEADER_BYTES, ObjectOpener, STORED_SEGMENT_BYTES};
use crate::crypto::{CallKeys, Context, KeyIds, UnwrapError};
use crate::item::tenant;
use crate::model::EncryptionFormat;

/// What an object of one item and attribute is opened with.
pub(super) struct Unsealing {
    keys: CallKeys,
    context: Context,
    key_ids: KeyIds,
    may_cache: bool,
    place: Place,
    attribute: String,
}

/// The segments of an object that are being read.
pub(super) struct Opening {
    unsealing: Unsealing,
    /// The size of the stored object.
    stored_bytes: u64,
    /// The size of what is encrypted, where the pointer says it.
    content_bytes: Option<u64>,
    /// What has arrived and is not opened yet.
    pending: BytesMut,
    /// `None` until the header is complete.
    opened: Option<Opened>,
}

/// An object whose header has been read.
pub(super) struct Opened {
    opener: ObjectOpener,
    header_bytes: u64,
    /// The number of segments.
    segments: u64,
    /// The size of the last one as stored.
    last_bytes: usize,
    /// The index of the next one.
    next: u64,
}

impl Unsealing {
    pub(super) fn new(reading: Reading<'_>, sealing: Sealing<'_>) -> Result<Unsealing, ReadError> {
        let (model, key) = (reading.owner.model, reading.owner.key);
        let place = Place::new(&model.table, key.partition(), key.sort());
        let encryption = tenant::encryption(model, sealing.encryption, key);
        Ok(Unsealing {
            keys: sealing.keys.clone(),
            context: envelope::context(EncryptionFormat::Sealed, &encryption.context, &model.table),
            key_ids: encryption.key_ids().cloned().collect(),
            may_cache: model.kms_cache,
            place: place.ok_or_else(|| invalid("the item has no valid key"))?,
            attribute: sealing.attribute.to_owned(),
        })
    }

    /// Reads the header of an object of which these are the first bytes. `None` if more are needed.
    pub(super) async fn open(
        &self,
        start: &[u8],
        stored_bytes: u64,
        content_bytes: Option<u64>,
    ) -> Result<Option<Opened>, ReadError> {
        let start = Bytes::copy_from_slice(&start[..start.len().min(MAX_HEADER_BYTES)]);
        let read = Header::read(&start).map_err(|problem| invalid(&problem.to_string()))?;
        let Some(header) = read else {
            return match start.len() as u64 {
                bytes if bytes >= stored_bytes => Err(invalid("the object ends in its header")),
                _ => Ok(None),
            };
        };
        let header_bytes = header.bytes() as u64;
        let segments_bytes = stored_bytes.saturating_sub(header_bytes);
        let sealed_bytes = object::content_bytes(segments_bytes)
            .filter(|sealed_bytes| content_bytes.is_none_or(|expected| expected == *sealed_bytes))
            .ok_or_else(|| invalid("the object's size differs from its pointer"))?;
        let key = self
            .keys
            .open(
                header.wrapped_key(),
                &self.context,
                self.key_ids.clone(),
                self.may_cache,
            )
            .await
            .map_err(|error| self.unwrap_error(error.into()))?;
        let opener = ObjectOpener::new(&header, &key, &self.place, &self.attribute)
            .map_err(|problem| invalid(&problem.to_string()))?;
        let segments = object::segments(sealed_bytes);
        let last_bytes = segments_bytes - (segments - 1) * STORED_SEGMENT_BYTES as u64;
        Ok(Some(Opened {
            opener,
            header_bytes,
            segments,
            last_bytes: usize::try_from(last_bytes).unwrap_or(STORED_SEGMENT_BYTES),
            next: 0,
        }))
    }

    fn unwrap_error(&self, error: UnwrapError) -> ReadError {
        match error {
            UnwrapError::Invalid => invalid("KMS cannot decrypt its data key"),
            UnwrapError::KeyNotAccepted => ReadError::KeyNotAccepted {
                tried: self.key_ids.clone(),
            },
            UnwrapError::Kms(error) => ReadError::Key(error),
        }
    }
}

impl Opening {
    /// Opens an object from its first byte.
    pub(super) fn whole(unsealing: Unsealing, stored_bytes: u64, content_bytes: Option<u64>) -> Opening {
        Opening {
            unsealing,
            stored_bytes,
            content_bytes,
            pending: BytesMut::new(),
            opened: None,
        }
    }

    /// Opens some segments of an object, whose header has been read.
    pub(super) fn range(unsealing: Unsealing, stored_bytes: u64, opened: Opened) -> Opening {
        Opening {
            unsealing,
            stored_bytes,
            content_bytes: None,
            pending: BytesMut::new(),
            opened: Some(opened),
        }
    }

    /// Begins again at the first byte.
    pub(super) fn restart(&mut self) {
        self.pending.clear();
        self.opened = None;
    }

    /// The content of all segments that are complete with these bytes.
    pub(super) async fn push(&mut self, stored: &[u8]) -> Result<Bytes, ReadError> {
        self.pending.extend_from_slice(stored);
        if self.opened.is_none() {
            let start = &self.pending;
            let opening = self.unsealing.open(start, self.stored_bytes, self.content_bytes);
            let Some(opened) = opening.await? else {
                return Ok(Bytes::new());
            };
            self.pending
                .advance(usize::try_from(opened.header_bytes).unwrap_or(MAX_HEADER_BYTES));
            self.opened = Some(opened);
        }
        match &mut self.opened {
            Some(opened) => opened.drain(&mut self.pending),
            None => Ok(Bytes::new()),
        }
    }

    /// Whether content with this SHA-256 has this MAC, in hex.
    pub(super) fn has_mac(&self, sha256: &[u8; 32], mac: &str) -> bool {
        let opener = self.opened.as_ref().map(|opened| &opened.opener);
        opener
            .zip(key::unhex(mac))
            .is_some_and(|(opener, mac)| opener.has_mac(sha256, &mac))
    }
}

impl Opened {
    /// Begins with the segments of a range of the content, which is not empty. Returns the stored bytes to read.
    pub(super) fn seek(&mut self, range: &Range<u64>) -> Range<u64> {
        let segment = object::SEGMENT_BYTES as u64;
        let stored_segment = STORED_SEGMENT_BYTES as u64;
        self.next = range.start / segment;
        let end = range.end.div_ceil(segment).min(self.segments);
        let last = match end == self.segments {
            true => self.last_bytes as u64,
            false => stored_segment,
        };
        let start = self.header_bytes + self.next * stored_segment;
        start..self.header_bytes + (end - 1) * stored_segment + last
    }

    /// The first byte of the content in the next segment.
    pub(super) fn content_start(&self) -> u64 {
        self.next * object::SEGMENT_BYTES as u64
    }

    fn drain(&mut self, pending: &mut BytesMut) -> Result<Bytes, ReadError> {
        let mut out = BytesMut::new();
        while self.next < self.segments {
            let is_last = self.next + 1 == self.segments;
            let bytes = match is_last {
                true => self.last_bytes,
                false => STORED_SEGMENT_BYTES,
            };
            if pending.len() < bytes {
                break;
            }
            let index = u32::try_from(self.next).map_err(|_| invalid("the object has too many segments"))?;
            self.opener
                .open(index, is_last, &pending[..bytes], &mut out)
                .map_err(|problem| invalid(&problem.to_string()))?;
            pending.advance(bytes);
            self.next += 1;
        }
        Ok(out.freeze())
    }
}
