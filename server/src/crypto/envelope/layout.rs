//! What all layouts have in common: a ciphertext with its parts, read from and written to bytes.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::place::Place;
use super::plaintext::{self, Kind};
use crate::crypto::data_key::{COMMITMENT_BYTES, DataKey, NONCE_BYTES, TAG_BYTES};
use crate::crypto::error::{OpenError, SealError};
use crate::model::limits::MAX_WRAPPED_KEY_BYTES;
use crate::model::{EncryptionFormat, Value};

/// The parts of a ciphertext, not yet authenticated.
pub struct Envelope {
    layout: Layout,
    kind: Kind,
    wrapped: Bytes,
    /// All zero in layouts without a commitment.
    commitment: [u8; COMMITMENT_BYTES],
    nonce: [u8; NONCE_BYTES],
    /// Ends with the tag.
    ciphertext: Bytes,
}

/// The layouts; each has a format id, its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Format id 1: bound to nothing.
    Pydynox,
    /// Format id 2: bound to its item and attribute.
    Sealed2,
    /// Format id 4: bound to its item, its attribute and its data key.
    Sealed4,
}

impl Layout {
    pub(super) const fn id(self) -> u8 {
        match self {
            Layout::Pydynox => 1,
            Layout::Sealed2 => 2,
            Layout::Sealed4 => 4,
        }
    }

    const fn format(self) -> EncryptionFormat {
        match self {
            Layout::Pydynox => EncryptionFormat::Pydynox,
            Layout::Sealed2 | Layout::Sealed4 => EncryptionFormat::Sealed,
        }
    }

    const fn commitment_bytes(self) -> usize {
        match self {
            Layout::Pydynox | Layout::Sealed2 => 0,
            Layout::Sealed4 => COMMITMENT_BYTES,
        }
    }
}

impl Envelope {
    /// Its format.
    pub fn format(&self) -> EncryptionFormat {
        self.layout.format()
    }

    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Bytes {
        &self.wrapped
    }

    /// Decrypts the value, if it is authentic for this item and attribute.
    ///
    /// # Errors
    ///
    /// `Commitment`, `Authentication` or `Plaintext`.
    pub fn open(&self, key: &DataKey, place: &Place, attribute: &str) -> Result<Value, OpenError> {
        let (ciphertext, tag) = self
            .ciphertext
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(OpenError::Malformed)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let associated_data = || place.associated_data(self.layout.id(), self.kind.id(), attribute);
        match self.layout {
            Layout::Pydynox => key.open(&self.nonce, &[], &mut buffer, tag)?,
            Layout::Sealed2 => key.open(&self.nonce, &associated_data(), &mut buffer, tag)?,
            Layout::Sealed4 => key.open_attribute(
                &self.commitment,
                &self.nonce,
                &associated_data(),
                &mut buffer,
                tag,
            )?,
        }
        plaintext::read(self.kind, buffer)
    }
}

/// Parses `L (u16 big-endian) | wrapped key | commitment | nonce | ciphertext and tag`, the tail of all layouts. The last
/// part takes all remaining bytes, which the tag authenticates.
pub(super) fn read_tail(layout: Layout, kind: Kind, tail: &Bytes) -> Result<Envelope, OpenError> {
    let (length, rest) = tail.split_first_chunk::<2>().ok_or(OpenError::Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let fixed_bytes = layout.commitment_bytes() + NONCE_BYTES + TAG_BYTES;
    if length == 0 || length > MAX_WRAPPED_KEY_BYTES || rest.len() < length + fixed_bytes {
        return Err(OpenError::Malformed);
    }
    let commitment_start = 2 + length;
    let nonce_start = commitment_start + layout.commitment_bytes();
    let ciphertext_start = nonce_start + NONCE_BYTES;
    let mut commitment = [0; COMMITMENT_BYTES];
    commitment[..layout.commitment_bytes()].copy_from_slice(&tail[commitment_start..nonce_start]);
    let nonce = tail[nonce_start..ciphertext_start]
        .try_into()
        .map_err(|_| OpenError::Malformed)?;
    Ok(Envelope {
        layout,
        kind,
        wrapped: tail.slice(2..commitment_start),
        commitment,
        nonce,
        ciphertext: tail.slice(ciphertext_start..),
    })
}

/// The bytes before the ciphertext: `start | L | wrapped key | commitment | nonce`.
pub(super) struct Head<'a> {
    pub(super) start: &'a [u8],
    pub(super) wrapped: &'a [u8],
    /// Empty in layouts without a commitment.
    pub(super) commitment: &'a [u8],
    pub(super) nonce: &'a [u8; NONCE_BYTES],
}

/// Writes head, ciphertext and tag to one buffer of the exact size. The plaintext is encrypted in place, so that no copy
/// of it remains in memory.
pub(super) fn write_whole(
    head: &Head<'_>,
    value: &Value,
    encrypt: impl FnOnce(&mut [u8]) -> Result<[u8; TAG_BYTES], SealError>,
) -> Result<Vec<u8>, SealError> {
    let Head {
        start,
        wrapped,
        commitment,
        nonce,
    } = head;
    if wrapped.is_empty() || wrapped.len() > MAX_WRAPPED_KEY_BYTES {
        return Err(SealError::WrappedKey);
    }
    let wrapped_length = u16::try_from(wrapped.len()).map_err(|_| SealError::WrappedKey)?;
    let plain_start = start.len() + 2 + wrapped.len() + commitment.len() + NONCE_BYTES;
    let plain_bytes = plaintext::length(value)?;
    let mut whole = Zeroizing::new(Vec::with_capacity(plain_start + plain_bytes + TAG_BYTES));
    whole.extend_from_slice(start);
    whole.extend_from_slice(&wrapped_length.to_be_bytes());
    whole.extend_from_slice(wrapped);
    whole.extend_from_slice(commitment);
    whole.extend_from_slice(*nonce);
    plaintext::write(value, &mut whole)?;
    let tag = encrypt(&mut whole[plain_start..])?;
    whole.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *whole))
}
