//! From the stored bytes of an object to its content: decrypts, decompresses, takes the range, and verifies.

use std::ops::Range;

use bytes::Bytes;

use super::hashing::Hashing;
use super::inflating::Inflating;
use super::key;
use super::opening::Opening;
use super::reading::{ReadError, invalid};
use crate::item::pointer::Pointer;

/// Decodes one object.
pub(super) struct Decoder {
    opening: Option<Opening>,
    inflating: Option<Inflating>,
    /// What is decrypted, and not decompressed yet.
    ready: Bytes,
    /// The range of the content to return.
    range: Range<u64>,
    /// Where the content begins that this decodes.
    start: u64,
    /// Where the next byte is in the content.
    at: u64,
    /// `None` if the content is not decoded from its first to its last byte.
    verification: Option<Verification>,
    /// The SHA-256 that the whole content turned out to have.
    sha256: Option<String>,
    size_bytes: u64,
}

/// The checks of a whole content.
struct Verification {
    /// `None` if the pointer has no hash.
    hashing: Option<Hashing>,
    sha256: String,
    mac: String,
}

impl Decoder {
    /// Decodes `range` of the object of this pointer, from stored bytes whose content begins at `start`.
    pub(super) fn new(
        pointer: &Pointer,
        range: Range<u64>,
        start: u64,
        opening: Option<Opening>,
    ) -> Result<Decoder, ReadError> {
        let inflating = match pointer.encoding {
            Some(algorithm) => Some(Inflating::new(algorithm, pointer.size_bytes)?),
            None => None,
        };
        let is_to_the_end = start == 0 && range.end == pointer.size_bytes;
        // only of a compressed object, the bytes before the range are read too
        let is_verified = is_to_the_end && (range.start == 0 || inflating.is_some());
        Ok(Decoder {
            opening,
            inflating,
            ready: Bytes::new(),
            range,
            start,
            at: start,
            verification: is_verified.then(|| Verification::new(pointer)),
            sha256: None,
            size_bytes: pointer.size_bytes,
        })
    }

    /// Decodes nothing.
    pub(super) fn empty() -> Decoder {
        Decoder {
            opening: None,
            inflating: None,
            ready: Bytes::new(),
            range: 0..0,
            start: 0,
            at: 0,
            verification: None,
            sha256: None,
            size_bytes: 0,
        }
    }

    /// Begins again at the first stored byte.
    pub(super) fn restart(&mut self) -> Result<(), ReadError> {
        if let Some(opening) = &mut self.opening {
            opening.restart();
        }
        if let Some(inflating) = &mut self.inflating {
            inflating.restart(self.size_bytes)?;
        }
        if let Some(verification) = &mut self.verification {
            verification.restart();
        }
        self.ready = Bytes::new();
        self.at = self.start;
        Ok(())
    }

    /// Takes the next stored bytes. [`Decoder::pull`] has returned false before.
    pub(super) async fn push(&mut self, stored: Bytes) -> Result<(), ReadError> {
        self.ready = match &mut self.opening {
            Some(opening) => opening.push(&stored).await?,
            None => stored,
        };
        Ok(())
    }

    /// A piece of the content, which is empty if nothing of it is in the range. `None`: more stored bytes are needed.
    pub(super) async fn pull(&mut self) -> Result<Option<Bytes>, ReadError> {
        let before = self.ready.len();
        let piece = match &mut self.inflating {
            Some(inflating) => inflating.pull(&mut self.ready)?,
            None => std::mem::take(&mut self.ready),
        };
        if piece.is_empty() {
            let goes_on = self.ready.len() < before && !self.ready.is_empty();
            return Ok(goes_on.then(Bytes::new));
        }
        if let Some(verification) = &mut self.verification {
            verification.update(piece.clone()).await;
        }
        let start = self.at;
        self.at += piece.len() as u64;
        let wanted = self.range.start.max(start)..self.range.end.min(self.at);
        let within = |at: u64| usize::try_from(at - start).unwrap_or(piece.len());
        Ok(Some(match wanted.start < wanted.end {
            true => piece.slice(within(wanted.start)..within(wanted.end)),
            false => Bytes::new(),
        }))
    }

    /// Whether nothing of the stored bytes that are left is needed.
    pub(super) fn is_done(&self) -> bool {
        self.inflating.is_some() && self.verification.is_none() && self.at >= self.range.end
    }

    /// Verifies the content when all stored bytes were taken.
    pub(super) async fn finish(&mut self) -> Result<(), ReadError> {
        if self.verification.is_some()
            && let Some(inflating) = &self.inflating
        {
            inflating.finish()?;
        }
        if self.at < self.range.end {
            return Err(invalid("the object is shorter than its pointer says"));
        }
        if let Some(verification) = self.verification.take() {
            self.sha256 = verification.finish(self.opening.as_ref()).await?;
        }
        Ok(())
    }

    /// The SHA-256 that the whole content turned out to have, in hex, where it was verified.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }
}

impl Verification {
    fn new(pointer: &Pointer) -> Verification {
        let has_hash = !pointer.sha256.is_empty() || !pointer.mac.is_empty();
        Verification {
            hashing: has_hash.then(Hashing::new),
            sha256: pointer.sha256.clone(),
            mac: pointer.mac.clone(),
        }
    }

    fn restart(&mut self) {
        self.hashing = self.hashing.is_some().then(Hashing::new);
    }

    async fn update(&mut self, content: Bytes) {
        if let Some(hashing) = &mut self.hashing {
            hashing.update(content).await;
        }
    }

    /// The SHA-256 of the content, if its pointer has a hash.
    async fn finish(self, opening: Option<&Opening>) -> Result<Option<String>, ReadError> {
        let Some(hashing) = self.hashing else {
            return Ok(None);
        };
        let digest = hashing.finish().await;
        let hash = key::hex(&digest);
        let is_of_pointer = match opening {
            Some(opening) => opening.has_mac(&digest, &self.mac),
            None => hash == self.sha256,
        };
        match is_of_pointer {
            true => Ok(Some(hash)),
            false => Err(invalid("the object's SHA-256 differs from its pointer")),
        }
    }
}
