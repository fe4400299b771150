//! Format `sealed`, the default: type B, no base64. Writes id 4; also reads id 2, which the first version wrote.
//!
//! | bytes | id 4 | id 2 |
//! |---|---|---|
//! | 1 | format id `0x04` | format id `0x02` |
//! | 1 | kind of the plaintext ([`plaintext`](super::plaintext)): 1 S, 2 N, 3 B, 4 any other value | like id 4 |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 | like id 4 |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` | like id 4 |
//! | 32 | key commitment: HKDF-SHA256 of the data key, no salt, info `tollgate commit v4` | absent |
//! | 12 | nonce, random | like id 4 |
//! | rest | AES-256-GCM ciphertext and 16-byte tag under the attribute's key: HKDF-SHA256 of the data key, no salt, info `tollgate attribute v4` and the associated data | under the data key itself |
//!
//! Associated data: [`Place`], with the format id of the value.

use bytes::Bytes;

use super::layout::{Envelope, Head, Layout, read_tail, write_whole};
use super::place::Place;
use super::plaintext::Kind;
use crate::crypto::data_key::{DataKey, NONCE_BYTES};
use crate::crypto::error::{OpenError, SealError};
use crate::model::Value;

/// Bytes before the wrapped key's length.
const HEAD_BYTES: usize = 2;

pub(super) fn write(
    value: &Value,
    key: &DataKey,
    wrapped: &[u8],
    nonce: &[u8; NONCE_BYTES],
    place: &Place,
    attribute: &str,
) -> Result<Bytes, SealError> {
    let kind = Kind::from_value(value).id();
    let associated_data = place.associated_data(Layout::Sealed4.id(), kind, attribute);
    let commitment = key.commitment();
    let head = Head {
        start: &[Layout::Sealed4.id(), kind],
        wrapped,
        commitment: &commitment,
        nonce,
    };
    let whole = write_whole(&head, value, |buffer| {
        key.seal_attribute(nonce, &associated_data, buffer)
    });
    whole.map(Bytes::from)
}

/// Writes format id 2, as the first version did.
#[cfg(test)]
pub(super) fn write_id_2(
    value: &Value,
    key: &DataKey,
    wrapped: &[u8],
    nonce: &[u8; NONCE_BYTES],
    place: &Place,
    attribute: &str,
) -> Result<Bytes, SealError> {
    let kind = Kind::from_value(value).id();
    let associated_data = place.associated_data(Layout::Sealed2.id(), kind, attribute);
    let head = Head {
        start: &[Layout::Sealed2.id(), kind],
        wrapped,
        commitment: &[],
        nonce,
    };
    let whole = write_whole(&head, value, |buffer| key.seal(nonce, &associated_data, buffer));
    whole.map(Bytes::from)
}

pub(super) fn read(stored: &Bytes) -> Result<Envelope, OpenError> {
    let id = *stored.first().ok_or(OpenError::NotEncrypted)?;
    let layout = [Layout::Sealed2, Layout::Sealed4]
        .into_iter()
        .find(|layout| layout.id() == id)
        .ok_or(OpenError::UnknownFormat(id))?;
    let kind = stored.get(1).ok_or(OpenError::Malformed)?;
    let kind = Kind::from_id(*kind).ok_or(OpenError::Malformed)?;
    read_tail(layout, kind, &stored.slice(HEAD_BYTES..))
}
