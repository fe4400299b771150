//! Format id 1, `pydynox`: as pydynox 1.8 writes and reads it. Type S, strings only: `ENC:` and standard, padded
//! base64 of
//!
//! | bytes | content |
//! |---|---|
//! | 1 | format id `0x01` |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` |
//! | 12 | nonce, random |
//! | rest | AES-256-GCM ciphertext of the string's UTF-8 and 16-byte tag; no associated data |
//!
//! Such a ciphertext is not bound to its item: it can be decrypted anywhere under the same KMS context. So it is read only
//! in attributes whose model allows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::layout::{Envelope, Head, Layout, read_tail, write_whole};
use super::plaintext::Kind;
use crate::crypto::data_key::{DataKey, NONCE_BYTES};
use crate::crypto::error::{OpenError, SealError};
use crate::model::Value;

/// The first byte of the decoded base64.
const FORMAT_ID: u8 = Layout::Pydynox.id();

/// The prefix of every stored string.
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
    let encoded = stored.strip_prefix(PREFIX).ok_or(OpenError::NotEncrypted)?;
    let whole = Bytes::from(STANDARD.decode(encoded).map_err(|_| OpenError::Malformed)?);
    match whole.first() {
        Some(&FORMAT_ID) => read_tail(Layout::Pydynox, Kind::S, &whole.slice(1..)),
        Some(&id) => Err(OpenError::UnknownFormat(id)),
        None => Err(OpenError::Malformed),
    }
}
