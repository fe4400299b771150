//! The header of an encrypted object, and the sizes of its segments.

use bytes::Bytes;

use crate::crypto::data_key::{COMMITMENT_BYTES, TAG_BYTES};
use crate::crypto::error::{OpenError, SealError};
use crate::model::limits::MAX_WRAPPED_KEY_BYTES;

/// The format id, the first byte.
pub(super) const FORMAT_ID: u8 = 3;
/// The second byte, and the kind in the associated data.
pub(super) const KIND: u8 = 0;
/// Bytes of the salt.
pub(super) const SALT_BYTES: usize = 16;
/// Bytes of the nonce prefix.
pub(super) const PREFIX_BYTES: usize = 7;

/// Bytes before the wrapped key.
const START_BYTES: usize = 4;
/// Bytes after it.
const END_BYTES: usize = COMMITMENT_BYTES + SALT_BYTES + PREFIX_BYTES;

/// The content of a segment, except the last.
pub const SEGMENT_BYTES: usize = 64 * 1024;
/// A stored segment, except the last.
pub const STORED_SEGMENT_BYTES: usize = SEGMENT_BYTES + TAG_BYTES;
/// The longest header.
pub const MAX_HEADER_BYTES: usize = START_BYTES + MAX_WRAPPED_KEY_BYTES + END_BYTES;

/// The header of an object, not yet authenticated.
pub struct Header {
    wrapped: Bytes,
    pub(super) commitment: [u8; COMMITMENT_BYTES],
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) prefix: [u8; PREFIX_BYTES],
}

impl Header {
    /// Parses the first bytes of a stored object. `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// `UnknownFormat` or `Malformed`.
    pub fn read(stored: &Bytes) -> Result<Option<Header>, OpenError> {
        if let Some(id) = stored.first()
            && *id != FORMAT_ID
        {
            return Err(OpenError::UnknownFormat(*id));
        }
        let Some(start) = stored.first_chunk::<START_BYTES>() else {
            return Ok(None);
        };
        let wrapped_bytes = usize::from(u16::from_be_bytes([start[2], start[3]]));
        if start[1] != KIND || !(1..=MAX_WRAPPED_KEY_BYTES).contains(&wrapped_bytes) {
            return Err(OpenError::Malformed);
        }
        let commitment_start = START_BYTES + wrapped_bytes;
        let Some(end) = stored.get(commitment_start..) else {
            return Ok(None);
        };
        let parts = end
            .split_first_chunk()
            .and_then(|(commitment, rest)| Some((commitment, rest.split_first_chunk()?)));
        let Some((commitment, (salt, rest))) = parts else {
            return Ok(None);
        };
        Ok(rest.first_chunk().map(|prefix| Header {
            wrapped: stored.slice(START_BYTES..commitment_start),
            commitment: *commitment,
            salt: *salt,
            prefix: *prefix,
        }))
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        START_BYTES + self.wrapped.len() + END_BYTES
    }

    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Bytes {
        &self.wrapped
    }
}

/// The stored header.
pub(super) fn header(
    wrapped: &[u8],
    commitment: &[u8; COMMITMENT_BYTES],
    salt: &[u8; SALT_BYTES],
    prefix: &[u8; PREFIX_BYTES],
) -> Result<Bytes, SealError> {
    let length = u16::try_from(wrapped.len()).map_err(|_| SealError::WrappedKey)?;
    if wrapped.is_empty() || wrapped.len() > MAX_WRAPPED_KEY_BYTES {
        return Err(SealError::WrappedKey);
    }
    let [high, low] = length.to_be_bytes();
    let start = [FORMAT_ID, KIND, high, low];
    let parts: [&[u8]; 5] = [&start, wrapped, commitment, salt, prefix];
    Ok(Bytes::from(parts.concat()))
}

/// The number of segments of a content.
pub fn segments(content_bytes: u64) -> u64 {
    content_bytes.div_ceil(SEGMENT_BYTES as u64).max(1)
}

/// The bytes of all stored segments of a content.
pub fn stored_bytes(content_bytes: u64) -> u64 {
    content_bytes.saturating_add(segments(content_bytes).saturating_mul(TAG_BYTES as u64))
}

/// The content of stored segments of this size in all; `None` if no content has that size.
pub fn content_bytes(stored_segments_bytes: u64) -> Option<u64> {
    let segments = stored_segments_bytes.div_ceil(STORED_SEGMENT_BYTES as u64);
    let content = stored_segments_bytes.checked_sub(segments.max(1) * TAG_BYTES as u64)?;
    (stored_bytes(content) == stored_segments_bytes).then_some(content)
}
