//! Format `sealed`: what this program writes by default. Type B, no base64. Id 4 is written; id 2 is what the first
//! version wrote, and is read.
//!
//! | bytes | id 4 | id 2 |
//! |---|---|---|
//! | 1 | format id `0x04` | format id `0x02` |
//! | 1 | kind of the plaintext ([`plaintext`](super::plaintext)): 1 S, 2 N, 3 B, 4 any other value | the same |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 | the same |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` | the same |
//! | 32 | key commitment: HKDF-SHA256 of the data key, no salt, info `tollgate commit v4` | not there |
//! | 12 | nonce, random | the same |
//! | rest | AES-256-GCM ciphertext and 16-byte tag under the attribute's key: HKDF-SHA256 of the data key, no salt, info `tollgate attribute v4` and the associated data | under the data key itself |
//!
//! Associated data: [`Place`], with the value's own format id.

use bytes::Bytes;

use super::plaintext::Kind;
use super::{Envelope, Head, Layout, OpenError, Place, SealError, read_tail, write_whole};
use crate::crypto::data_key::{DataKey, NONCE_BYTES};
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
    let kind = Kind::of(value).id();
    let associated_data = place.associated_data(Layout::Committed.id(), kind, attribute);
    let commitment = key.commitment();
    let head = Head {
        start: &[Layout::Committed.id(), kind],
        wrapped,
        commitment: &commitment,
        nonce,
    };
    let whole = write_whole(&head, value, |buffer| {
        key.seal_attribute(nonce, &associated_data, buffer)
    });
    whole.map(Bytes::from)
}

/// What the first version wrote.
#[cfg(test)]
pub(super) fn write_id_2(
    value: &Value,
    key: &DataKey,
    wrapped: &[u8],
    nonce: &[u8; NONCE_BYTES],
    place: &Place,
    attribute: &str,
) -> Result<Bytes, SealError> {
    let kind = Kind::of(value).id();
    let associated_data = place.associated_data(Layout::Placed.id(), kind, attribute);
    let head = Head {
        start: &[Layout::Placed.id(), kind],
        wrapped,
        commitment: &[],
        nonce,
    };
    let whole = write_whole(&head, value, |buffer| key.seal(nonce, &associated_data, buffer));
    whole.map(Bytes::from)
}

pub(super) fn read(stored: &Bytes) -> Result<Envelope, OpenError> {
    let id = *stored.first().ok_or(OpenError::NotSealed)?;
    let layout = [Layout::Placed, Layout::Committed]
        .into_iter()
        .find(|layout| layout.id() == id)
        .ok_or(OpenError::UnknownFormat(id))?;
    let kind = stored.get(1).ok_or(OpenError::Layout)?;
    let kind = Kind::from_id(*kind).ok_or(OpenError::Layout)?;
    read_tail(layout, kind, &stored.slice(HEAD_BYTES..))
}
