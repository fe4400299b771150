//! Streams an object, whole or a range of it. A whole object is verified against its pointer's size and SHA-256, which
//! pointers of pydynox lack; its last bytes are held back until then. A range is verified only by S3, and is read only from
//! an object with the pointer's etag.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use super::key;
use super::owner::Claim;
use super::reading::{ReadError, Reading};
use crate::aws::{self, DownloadError, Kind, ObjectBody, Resource, S3, Wanted};
use crate::call::Call;
use crate::item::pointer::Pointer;

/// The largest piece that [`Download::next`] returns, unless everything is held back.
pub const PIECE_BYTES: usize = 256 * 1024;

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
    /// The checks at the end; `None`: a range, which has none.
    verification: Option<Verification>,
    held_back: HeldBack,
    held: BytesMut,
    /// Whether a piece has been returned.
    has_begun: bool,
}

/// The checks of a whole content.
struct Verification {
    hasher: Option<Sha256>,
    sha256: String,
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
        let is_whole = range == (0..pointer.size_bytes);
        let mut download = Download {
            stored: None,
            verification: is_whole.then(|| Verification::new(pointer)),
            held_back,
            held: BytesMut::new(),
            has_begun: false,
        };
        if !is_whole && range.is_empty() {
            return Ok(download);
        }
        let read_bytes = range.end - range.start;
        let wanted = wanted(reading, (!is_whole).then_some(range));
        let stored = s3.open_object(call, wanted).await.map_err(read_error)?;
        if reading.owner.claim(stored.metadata()) == Claim::Other && !reading.reads_foreign() {
            return Err(ReadError::Foreign);
        }
        if stored.object_bytes() != pointer.size_bytes || stored.bytes() != read_bytes {
            return Err(invalid("the object's size differs from its pointer"));
        }
        let capacity = match held_back {
            HeldBack::LastPiece => read_bytes.min(2 * PIECE_BYTES as u64),
            HeldBack::Everything => read_bytes,
        };
        download.held.reserve(usize::try_from(capacity).unwrap_or(0));
        download.stored = Some(stored);
        Ok(download)
    }

    /// The next piece of the content, which is not empty; `None` at the end, when all is verified. Not to be called again
    /// after an error.
    ///
    /// # Errors
    ///
    /// `Invalid` if the object does not match its pointer, or was replaced or removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        while let Some(stored) = &mut self.stored {
            if self.held_back == HeldBack::LastPiece && self.held.len() > PIECE_BYTES {
                self.has_begun = true;
                return Ok(Some(self.held.split_to(PIECE_BYTES).freeze()));
            }
            match stored.next().await {
                Ok(Some(chunk)) => {
                    if let Some(verification) = &mut self.verification {
                        verification.update(&chunk);
                    }
                    self.held.extend_from_slice(&chunk);
                }
                Ok(None) => {
                    self.stored = None;
                    if let Some(verification) = self.verification.take() {
                        verification.finish()?;
                    }
                }
                Err(DownloadError::Checksum) if !self.has_begun => {
                    stored.restart().map_err(read_error)?;
                    self.held.clear();
                    if let Some(verification) = &mut self.verification {
                        verification.restart();
                    }
                }
                Err(error) => return Err(read_error(error)),
            }
        }
        let last = std::mem::take(&mut self.held).freeze();
        Ok(Some(last).filter(|last| !last.is_empty()))
    }
}

impl Verification {
    fn new(pointer: &Pointer) -> Verification {
        Verification {
            hasher: (!pointer.sha256.is_empty()).then(Sha256::new),
            sha256: pointer.sha256.clone(),
        }
    }

    fn restart(&mut self) {
        self.hasher = self.hasher.is_some().then(Sha256::new);
    }

    fn update(&mut self, chunk: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
    }

    /// The size was compared before, and S3 has sent all of it.
    fn finish(self) -> Result<(), ReadError> {
        let hash = self.hasher.map(|hasher| key::hex(&hasher.finalize()));
        match hash.is_none_or(|hash| hash == self.sha256) {
            true => Ok(()),
            false => Err(invalid("the object's SHA-256 differs from its pointer")),
        }
    }
}

/// The request for the object of a pointer. Only a range needs the etag: a whole content is verified.
fn wanted(reading: Reading<'_>, range: Option<Range<u64>>) -> Wanted {
    let pointer = reading.pointer;
    let version_id = Some(&pointer.version_id).filter(|version_id| !version_id.is_empty());
    Wanted {
        bucket: pointer.bucket.clone(),
        key: pointer.key.clone(),
        region: reading.offload.region.clone(),
        version_id: version_id.cloned(),
        if_match: range.as_ref().map(|_| quoted(&pointer.etag)),
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

fn invalid(description: &str) -> ReadError {
    ReadError::Invalid {
        description: description.to_owned(),
    }
}
