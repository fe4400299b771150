//! Format id 2, `sealed`: what this program writes by default. Type B, no base64.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x02` |
//! | 1 | kind of the plaintext ([`plaintext`](super::plaintext)): 1 S, 2 N, 3 B, 4 any other value |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` |
//! | 12 | nonce, random |
//! | rest | AES-256-GCM ciphertext and 16-byte tag; associated data: [`Place`] |

use bytes::Bytes;

use super::plaintext::Kind;
use super::{Envelope, OpenError, Place, SealError, read_tail, write_whole};
use crate::crypto::data_key::{DataKey, NONCE_BYTES};
use crate::model::{EncryptionFormat, Value};

/// The first byte.
pub(super) const FORMAT_ID: u8 = 2;

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
    let associated_data = place.associated_data(FORMAT_ID, kind, attribute);
    let head: [u8; HEAD_BYTES] = [FORMAT_ID, kind];
    write_whole(&head, value, key, wrapped, nonce, &associated_data).map(Bytes::from)
}

pub(super) fn read(stored: &Bytes) -> Result<Envelope, OpenError> {
    let kind = match stored[..] {
        [] => return Err(OpenError::NotSealed),
        [FORMAT_ID, kind, ..] => Kind::from_id(kind).ok_or(OpenError::Layout)?,
        [FORMAT_ID] => return Err(OpenError::Layout),
        [id, ..] => return Err(OpenError::UnknownFormat(id)),
    };
    read_tail(EncryptionFormat::Sealed, kind, &stored.slice(HEAD_BYTES..))
}
