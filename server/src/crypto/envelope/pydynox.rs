//! Format id 1, `pydynox`: as pydynox 1.8 writes and reads it. Type S, strings only: `ENC:` and standard, padded
//! base64 of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x01` |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` |
//! | 12 | nonce, random |
//! | rest | AES-256-GCM ciphertext of the string's UTF-8 and 16-byte tag; no associated data |
//!
//! Nothing ties such a ciphertext to its item: it opens wherever the KMS context is the same. So it is read only in
//! attributes that say so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::plaintext::Kind;
use super::{Envelope, Head, Layout, OpenError, SealError, read_tail, write_whole};
use crate::crypto::data_key::{DataKey, NONCE_BYTES};
use crate::model::Value;

/// The first byte within the base64.
const FORMAT_ID: u8 = Layout::Pydynox.id();

/// What every stored string begins with.
const PREFIX: &str = "ENC:";

pub(super) fn write(
    value: &Value,
    key: &DataKey,
    wrapped: &[u8],
    nonce: &[u8; NONCE_BYTES],
) -> Result<String, SealError> {
    if !matches!(value, Value::S(_)) {
        return Err(SealError::NotAString);
    }
    let head = Head {
        start: &[FORMAT_ID],
        wrapped,
        commitment: &[],
        nonce,
    };
    let whole = write_whole(&head, value, |buffer| key.seal(nonce, &[], buffer))?;
    let mut text = String::from(PREFIX);
    STANDARD.encode_string(whole, &mut text);
    Ok(text)
}

pub(super) fn read(stored: &str) -> Result<Envelope, OpenError> {
    let encoded = stored.strip_prefix(PREFIX).ok_or(OpenError::NotSealed)?;
    let whole = Bytes::from(STANDARD.decode(encoded).map_err(|_| OpenError::Layout)?);
    match whole.first() {
        Some(&FORMAT_ID) => read_tail(Layout::Pydynox, Kind::S, &whole.slice(1..)),
        Some(&id) => Err(OpenError::UnknownFormat(id)),
        None => Err(OpenError::Layout),
    }
}
