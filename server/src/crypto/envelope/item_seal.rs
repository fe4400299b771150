//! The seal of an item: a message authentication code over several of its attributes, in the attribute `tollgate:seal`.
//! Type B.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x05` |
//! | 1 | coverage: 1 the encrypted attributes, 2 all |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` |
//! | 16 | write id, random |
//! | 32 | HMAC-SHA256 of the text below, under the seal's key: HKDF-SHA256 of the data key, no salt, info `tollgate seal v5` |
//!
//! The text consists of parts, each its length (u32 big-endian) and its bytes: format id (1 byte), coverage (1 byte), then
//! table, partition key and sort key as in [`Place`]; the write id; and of each covered attribute, sorted by its stored
//! name: the name, and 33 bytes: the kind of the stored value and the SHA-256 of its bytes. Kinds and bytes are those of
//! [`plaintext`].

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::place::Place;
use super::plaintext::{self, Kind};
use crate::crypto::data_key::{DataKey, MAC_BYTES};
use crate::crypto::error::{OpenError, SealError};
use crate::model::limits::MAX_WRAPPED_KEY_BYTES;
use crate::model::{Coverage, Value};

/// The format id.
const ID: u8 = 5;
/// Bytes of a write id.
const WRITE_ID_BYTES: usize = 16;
/// Bytes of a seal beside its wrapped key.
const FIXED_BYTES: usize = 2 + 2 + WRITE_ID_BYTES + MAC_BYTES;

/// The covered attributes by their stored names.
pub type Covered<'a> = BTreeMap<&'a str, &'a Value>;

/// Distinguishes the seals of two writes.
#[derive(Clone, Copy)]
pub struct WriteId([u8; WRITE_ID_BYTES]);

/// The parts of a seal, not yet authenticated.
pub struct ItemSeal {
    coverage: Coverage,
    wrapped: Bytes,
    write_id: WriteId,
    mac: [u8; MAC_BYTES],
}

impl WriteId {
    /// A new one.
    ///
    /// # Errors
    ///
    /// `Random`.
    pub fn random() -> Result<WriteId, SealError> {
        let mut id = [0; WRITE_ID_BYTES];
        getrandom::fill(&mut id).map_err(|_| SealError::Random)?;
        Ok(WriteId(id))
    }

    /// This one.
    #[cfg(test)]
    pub(super) fn of(id: [u8; WRITE_ID_BYTES]) -> WriteId {
        WriteId(id)
    }
}

/// The bytes of a seal with a wrapped key of this length.
pub fn item_seal_bytes(wrapped_bytes: usize) -> usize {
    FIXED_BYTES + wrapped_bytes
}

/// The seal of the item at `place`.
///
/// # Errors
///
/// `WrappedKey`, and `TooDeep` or `Object` for values that no item has.
pub fn seal_item(
    coverage: Coverage,
    key: &DataKey,
    wrapped: &[u8],
    write_id: WriteId,
    place: &Place,
    covered: &Covered<'_>,
) -> Result<Value, SealError> {
    if wrapped.is_empty() || wrapped.len() > MAX_WRAPPED_KEY_BYTES {
        return Err(SealError::WrappedKey);
    }
    let length = u16::try_from(wrapped.len()).map_err(|_| SealError::WrappedKey)?;
    let mac = key.item_mac(&text(coverage, write_id, place, covered)?);
    let mut seal = Vec::with_capacity(item_seal_bytes(wrapped.len()));
    seal.extend_from_slice(&[ID, coverage_id(coverage)]);
    seal.extend_from_slice(&length.to_be_bytes());
    seal.extend_from_slice(wrapped);
    seal.extend_from_slice(&write_id.0);
    seal.extend_from_slice(&mac);
    Ok(Value::B(seal.into()))
}

impl ItemSeal {
    /// Parses a stored seal. Nothing in it is authenticated before [`ItemSeal::verify`].
    ///
    /// # Errors
    ///
    /// `NotEncrypted` if it is not B, `UnknownFormat` or `Malformed`.
    pub fn read(stored: &Value) -> Result<ItemSeal, OpenError> {
        let Value::B(bytes) = stored else {
            return Err(OpenError::NotEncrypted);
        };
        let [id, coverage, high, low, ..] = bytes[..] else {
            return Err(match bytes.first() {
                Some(&id) if id != ID => OpenError::UnknownFormat(id),
                Some(_) | None => OpenError::Malformed,
            });
        };
        if id != ID {
            return Err(OpenError::UnknownFormat(id));
        }
        let wrapped_bytes = usize::from(u16::from_be_bytes([high, low]));
        let is_of_length = bytes.len() == item_seal_bytes(wrapped_bytes);
        if wrapped_bytes == 0 || wrapped_bytes > MAX_WRAPPED_KEY_BYTES || !is_of_length {
            return Err(OpenError::Malformed);
        }
        let rest = &bytes[4 + wrapped_bytes..];
        let (write_id, mac) = rest
            .split_first_chunk::<WRITE_ID_BYTES>()
            .ok_or(OpenError::Malformed)?;
        Ok(ItemSeal {
            coverage: coverage_of(coverage).ok_or(OpenError::Malformed)?,
            wrapped: bytes.slice(4..4 + wrapped_bytes),
            write_id: WriteId(*write_id),
            mac: mac.try_into().map_err(|_| OpenError::Malformed)?,
        })
    }

    /// Which attributes it covers.
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Bytes {
        &self.wrapped
    }

    /// What the seal is a code of, if these are the covered attributes of the item at `place`.
    ///
    /// # Errors
    ///
    /// `Malformed` if the item has a value that cannot be covered.
    pub fn text(&self, place: &Place, covered: &Covered<'_>) -> Result<Vec<u8>, OpenError> {
        text(self.coverage, self.write_id, place, covered).map_err(|_| OpenError::Malformed)
    }

    /// Verifies the seal of a text.
    ///
    /// # Errors
    ///
    /// `Authentication`.
    pub fn verify(&self, key: &DataKey, text: &[u8]) -> Result<(), OpenError> {
        match key.is_item_mac(text, &self.mac) {
            true => Ok(()),
            false => Err(OpenError::Authentication),
        }
    }
}

fn text(
    coverage: Coverage,
    write_id: WriteId,
    place: &Place,
    covered: &Covered<'_>,
) -> Result<Vec<u8>, SealError> {
    let mut text = place.item_text(ID, coverage_id(coverage));
    push(&mut text, &write_id.0);
    for (name, value) in covered {
        let mut bytes = Zeroizing::new(Vec::with_capacity(plaintext::length(value)?));
        plaintext::write(value, &mut bytes)?;
        let mut of_value = [0; 1 + MAC_BYTES];
        of_value[0] = Kind::from_value(value).id();
        of_value[1..].copy_from_slice(&Sha256::digest(&*bytes));
        push(&mut text, name.as_bytes());
        push(&mut text, &of_value);
    }
    Ok(text)
}

fn push(out: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("names are far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(part);
}

const fn coverage_id(coverage: Coverage) -> u8 {
    match coverage {
        Coverage::Sealed => 1,
        Coverage::All => 2,
    }
}

fn coverage_of(id: u8) -> Option<Coverage> {
    [Coverage::Sealed, Coverage::All]
        .into_iter()
        .find(|coverage| coverage_id(*coverage) == id)
}
