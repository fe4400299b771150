//! Streams an object, whole or a range of it. A whole object is verified against its pointer's size and SHA-256 (or the MAC,
//! if it is encrypted), which pointers of pydynox lack; its last bytes are held back until then. A range is read only from an
//! object with the pointer's etag. Of a plain object it is verified only by S3; of an encrypted one by the tags of the
//! segments, which are all that is read besides the header. A compressed object is read from its start.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::decoder::Decoder;
use super::held::Held;
use super::opening::{Opening, Unsealing};
use super::owner::Claim;
use super::reading::{ReadError, Reading, Sealing, invalid};
use crate::aws::{self, DownloadError, Kind, ObjectBody, Resource, S3, Wanted};
use crate::call::Call;
use crate::crypto::object::MAX_HEADER_BYTES;
use crate::item::pointer::Pointer;

pub use super::held::PIECE_BYTES;

const ANOTHER_SIZE: &str = "the object's size differs from its pointer";

/// What is held back until the content is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// The last piece.
    LastPiece,
    /// Everything: the content is one piece.
    Everything,
}

/// An object that is being read.
pub struct Download {
    /// `None` if there is nothing to read.
    stored: Option<ObjectBody>,
    decoder: Decoder,
    held: Held,
    /// Whether what was read can be read again: it begins at the first byte, and no piece has been returned.
    may_restart: bool,
}

impl Download {
    /// Opens an object. `range` is within the size that its pointer has; one of the whole size is the whole object.
    ///
    /// # Errors
    ///
    /// `Invalid` if the object is missing or does not match the pointer; `Foreign` if it belongs to another item.
    pub async fn open(
        s3: &S3,
        call: &Call,
        reading: Reading<'_>,
        range: Range<u64>,
        held_back: HeldBack,
    ) -> Result<Download, ReadError> {
        if !reading.is_allowed() {
            return Err(ReadError::Foreign);
        }
        let pointer = reading.pointer;
        let sealing = reading.sealing()?;
        let is_whole = range == (0..pointer.size_bytes);
        let mut download = Download {
            stored: None,
            decoder: Decoder::new(pointer, range.clone(), 0, None)?,
            held: match held_back {
                HeldBack::LastPiece => Held::pieces(),
                HeldBack::Everything => Held::whole(0),
            },
            may_restart: true,
        };
        if !is_whole && range.is_empty() {
            download.decoder = Decoder::empty();
            return Ok(download);
        }
        let range_bytes = range.end - range.start;
        // a compressed object is read from its start
        let is_ranged = !is_whole && pointer.encoding.is_none();
        let (stored, decoder) = match (sealing, is_ranged) {
            (None, false) => {
                let stored = open_object(s3, call, reading, None, is_whole).await?;
                if pointer.encoding.is_none() && stored.object_bytes() != pointer.size_bytes {
                    return Err(invalid(ANOTHER_SIZE));
                }
                (stored, Decoder::new(pointer, range, 0, None)?)
            }
            (None, true) => {
                let stored = open_object(s3, call, reading, Some(range.clone()), false).await?;
                if stored.object_bytes() != pointer.size_bytes {
                    return Err(invalid(ANOTHER_SIZE));
                }
                let start = range.start;
                (stored, Decoder::new(pointer, range, start, None)?)
            }
            (Some(sealing), false) => {
                let stored = open_object(s3, call, reading, None, is_whole).await?;
                let unsealing = Unsealing::new(reading, sealing)?;
                let opening = Opening::whole(unsealing, stored.object_bytes(), sealed_bytes(pointer));
                (stored, Decoder::new(pointer, range, 0, Some(opening))?)
            }
            (Some(sealing), true) => open_segments(s3, call, reading, sealing, range).await?,
        };
        if held_back == HeldBack::Everything {
            download.held = Held::whole(range_bytes);
        }
        download.may_restart = !is_ranged;
        download.decoder = decoder;
        download.stored = Some(stored);
        Ok(download)
    }

    /// The next piece of the content, which is not empty, and has at most [`PIECE_BYTES`] unless everything is held back.
    /// `None` at the end, when all is verified. Not to be called again after an error.
    ///
    /// # Errors
    ///
    /// `Invalid` if the object does not match its pointer, or was replaced or removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(piece) = self.held.take_piece() {
                self.may_restart = false;
                return Ok(Some(piece));
            }
            let Some(stored) = &mut self.stored else {
                let last = self.held.take_all();
                return Ok(Some(last).filter(|last| !last.is_empty()));
            };
            match self.decoder.pull().await {
                Ok(Some(piece)) => {
                    self.held.push(piece);
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    self.restart(error)?;
                    continue;
                }
            }
            let read = match self.decoder.is_done() {
                true => Ok(None),
                false => stored.next().await,
            };
            match read {
                Ok(Some(chunk)) => {
                    if let Err(error) = self.decoder.push(chunk).await {
                        self.restart(error)?;
                    }
                }
                Ok(None) => match self.decoder.finish().await {
                    Ok(()) => self.stored = None,
                    Err(error) => return Err(error),
                },
                Err(error @ DownloadError::Checksum) => self.restart(read_error(error))?,
                Err(error) => return Err(read_error(error)),
            }
        }
    }

    /// The SHA-256 of the content in hex, if all of it was read and its pointer has a hash.
    pub fn sha256(&self) -> Option<&str> {
        self.decoder.sha256()
    }

    /// Begins again after content that was damaged on its way, if that is still possible.
    fn restart(&mut self, error: ReadError) -> Result<(), ReadError> {
        let is_damaged = matches!(error, ReadError::Invalid { .. });
        let stored = self.stored.as_mut().filter(|_| self.may_restart && is_damaged);
        if stored.is_none_or(|stored| stored.restart().is_err()) {
            return Err(error);
        }
        self.held.clear();
        self.decoder.restart()
    }
}

/// Opens the object, or a range of its stored bytes. Only a whole content is verified; otherwise the etag must match.
async fn open_object(
    s3: &S3,
    call: &Call,
    reading: Reading<'_>,
    range: Option<Range<u64>>,
    is_verified: bool,
) -> Result<ObjectBody, ReadError> {
    let wanted = wanted(reading, range, is_verified);
    let stored = s3.open_object(call, wanted).await.map_err(read_error)?;
    if reading.owner.claim(stored.metadata()) == Claim::Other && !reading.reads_foreign() {
        return Err(ReadError::Foreign);
    }
    Ok(stored)
}

/// Opens the segments of an encrypted object that have a range of its content: one request for its header, one for them.
async fn open_segments(
    s3: &S3,
    call: &Call,
    reading: Reading<'_>,
    sealing: Sealing<'_>,
    range: Range<u64>,
) -> Result<(ObjectBody, Decoder), ReadError> {
    let pointer = reading.pointer;
    let unsealing = Unsealing::new(reading, sealing)?;
    let start = Some(0..MAX_HEADER_BYTES as u64);
    let mut header = open_object(s3, call, reading, start, false).await?;
    let stored_bytes = header.object_bytes();
    let mut start = BytesMut::new();
    let mut opened = loop {
        let chunk = header.next().await.map_err(read_error)?;
        start.extend_from_slice(&chunk.ok_or_else(|| invalid("the object ends in its header"))?);
        let opening = unsealing.open(&start, stored_bytes, sealed_bytes(pointer));
        if let Some(opened) = opening.await? {
            break opened;
        }
    };
    drop(header);
    let segments = opened.seek(&range);
    let content_start = opened.content_start();
    let stored = open_object(s3, call, reading, Some(segments), false).await?;
    if stored.object_bytes() != stored_bytes {
        return Err(invalid(ANOTHER_SIZE));
    }
    let opening = Opening::range(unsealing, stored_bytes, opened);
    Ok((
        stored,
        Decoder::new(pointer, range, content_start, Some(opening))?,
    ))
}

/// The size of what is encrypted; `None` if that is compressed.
fn sealed_bytes(pointer: &Pointer) -> Option<u64> {
    match pointer.encoding {
        Some(_) => None,
        None => Some(pointer.size_bytes),
    }
}

/// The request for the object of a pointer. A content that is verified does not need the etag.
fn wanted(reading: Reading<'_>, range: Option<Range<u64>>, is_verified: bool) -> Wanted {
    let pointer = reading.pointer;
    let version_id = Some(&pointer.version_id).filter(|version_id| !version_id.is_empty());
    Wanted {
        bucket: pointer.bucket.clone(),
        key: pointer.key.clone(),
        region: reading.offload.region.clone(),
        version_id: version_id.cloned(),
        if_match: (!is_verified).then(|| quoted(&pointer.etag)),
        range,
    }
}

/// An etag as headers have it: pointers of pydynox leave out the quotes.
fn quoted(etag: &str) -> String {
    match etag.starts_with('"') {
        true => etag.to_owned(),
        false => format!("\"{etag}\""),
    }
}

fn read_error(error: DownloadError) -> ReadError {
    match error {
        DownloadError::Damaged(description) => invalid(description),
        DownloadError::Checksum => invalid(&error.to_string()),
        DownloadError::Store(error) => store_error(error),
    }
}

pub(super) fn store_error(error: aws::Error) -> ReadError {
    match error.kind {
        Kind::Missing {
            what: Resource::Object,
            ..
        } => invalid("the object is missing"),
        Kind::Missing {
            what: Resource::Bucket | Resource::Table | Resource::Key,
            ..
        }
        | Kind::TooLarge
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
