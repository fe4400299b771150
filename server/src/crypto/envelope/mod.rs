//! Envelopes: the stored bytes of an encrypted attribute value, per format. Pure: no KMS, no clock, no model.
//!
//! | id | format | stored as | layout | tied to its place by |
//! |---|---|---|---|---|
//! | 1 | `pydynox` | S, `ENC:` + base64 | `pydynox.rs` | nothing; KMS context exactly the attribute's |
//! | 2 | `sealed` | B | `sealed.rs` | associated data ([`Place`]); KMS context the attribute's and `tollgate:table` |
//!
//! Every id opens for ever: `../golden/` has stored values of each. An id that is not in this table is an error.

mod json;
mod place;
mod plaintext;
mod pydynox;
mod sealed;

use std::collections::BTreeMap;

use bytes::Bytes;
use zeroize::Zeroizing;

pub use place::Place;

use super::data_key::{DataKey, NONCE_BYTES, TAG_BYTES};
use crate::model::{EncryptionFormat, Value};
use plaintext::Kind;

/// The longest wrapped key that is read or written: the limit of KMS's `CiphertextBlob`.
///
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html>
pub const MAX_WRAPPED_KEY_BYTES: usize = 6144;

/// Levels of lists and maps that a plaintext may have, the outermost value being the first: DynamoDB's 32, and one.
pub const MAX_LEVELS: usize = 33;

/// The part of the KMS encryption context that names the table.
pub const TABLE_CONTEXT: &str = "tollgate:table";

/// Why a value was not sealed; always a fault of this program or its models, never of the value's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The format holds strings alone.
    #[error("the format pydynox holds strings alone")]
    NotAString,
    /// Objects are sealed as their pointers.
    #[error("an object is no value to seal, its pointer is")]
    Object,
    /// Lists and maps beyond [`MAX_LEVELS`].
    #[error("the value has more than {MAX_LEVELS} levels")]
    TooDeep,
    /// The wrapped key is empty or longer than [`MAX_WRAPPED_KEY_BYTES`].
    #[error("the wrapped key has no length that can be stored")]
    WrappedKey,
    /// More than AES-GCM takes.
    #[error("the value is longer than AES-GCM takes")]
    TooLong,
    /// The data key has sealed 2^32 values.
    #[error("the data key has sealed as many values as it may")]
    KeyWorn,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// Why a stored value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not even begin as a ciphertext.
    #[error("it is stored in clear")]
    NotSealed,
    /// Another format, of a newer version or of nobody.
    #[error("its format id {0} is unknown")]
    UnknownFormat(u8),
    /// It begins as a ciphertext, but its lengths or its base64 are wrong.
    #[error("it is no whole ciphertext")]
    Layout,
    /// It was changed, cut, or belongs to another item, table, attribute or key.
    #[error("it does not verify at this place")]
    Forged,
    /// It verifies, but its plaintext is not what its kind says.
    #[error("its plaintext is not of its kind")]
    Plaintext,
}

/// One ciphertext, taken apart and not yet verified.
pub struct Envelope {
    format: EncryptionFormat,
    kind: Kind,
    wrapped: Bytes,
    nonce: [u8; NONCE_BYTES],
    /// With the tag at its end, at least.
    ciphertext: Bytes,
}

/// Seals a value for its place under a data key, with a random nonce.
///
/// # Errors
///
/// See [`SealError`].
pub fn seal(
    format: EncryptionFormat,
    value: &Value,
    key: &DataKey,
    wrapped: &[u8],
    place: &Place,
    attribute: &str,
) -> Result<Value, SealError> {
    let nonce = random_nonce()?;
    match format {
        EncryptionFormat::Sealed => {
            sealed::write(value, key, wrapped, &nonce, place, attribute).map(Value::B)
        }
        EncryptionFormat::Pydynox => pydynox::write(value, key, wrapped, &nonce).map(Value::S),
    }
}

/// The KMS encryption context of an attribute's data keys.
pub fn context(
    format: EncryptionFormat,
    own: &BTreeMap<String, String>,
    table: &str,
) -> BTreeMap<String, String> {
    let mut context = own.clone();
    if format == EncryptionFormat::Sealed {
        context.insert(TABLE_CONTEXT.to_owned(), table.to_owned());
    }
    context
}

impl Envelope {
    /// Takes a stored value apart. What it claims is not verified before [`Envelope::open`].
    ///
    /// # Errors
    ///
    /// `NotSealed`, `UnknownFormat` or `Layout`.
    pub fn read(stored: &Value) -> Result<Envelope, OpenError> {
        match stored {
            Value::B(bytes) => sealed::read(bytes),
            Value::S(text) => pydynox::read(text),
            _ => Err(OpenError::NotSealed),
        }
    }

    /// Which format it has.
    pub fn format(&self) -> EncryptionFormat {
        self.format
    }

    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Bytes {
        &self.wrapped
    }

    /// The value, where all of it verifies for this place.
    ///
    /// # Errors
    ///
    /// `Forged` or `Plaintext`.
    pub fn open(&self, key: &DataKey, place: &Place, attribute: &str) -> Result<Value, OpenError> {
        let associated_data = match self.format {
            EncryptionFormat::Sealed => place.associated_data(sealed::FORMAT_ID, self.kind.id(), attribute),
            EncryptionFormat::Pydynox => Vec::new(),
        };
        let (ciphertext, tag) = self
            .ciphertext
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(OpenError::Layout)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        key.open(&self.nonce, &associated_data, &mut buffer, tag)?;
        plaintext::read(self.kind, buffer)
    }
}

fn random_nonce() -> Result<[u8; NONCE_BYTES], SealError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
    Ok(nonce)
}

/// Takes `L (u16 big-endian) | wrapped key | nonce | ciphertext and tag` apart: the end of both formats. Every byte
/// belongs to a part; the last takes the rest, which the tag verifies.
fn read_tail(format: EncryptionFormat, kind: Kind, tail: &Bytes) -> Result<Envelope, OpenError> {
    let (length, rest) = tail.split_first_chunk::<2>().ok_or(OpenError::Layout)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > MAX_WRAPPED_KEY_BYTES || rest.len() < length + NONCE_BYTES + TAG_BYTES {
        return Err(OpenError::Layout);
    }
    let nonce_start = 2 + length;
    let ciphertext_start = nonce_start + NONCE_BYTES;
    let nonce = tail[nonce_start..ciphertext_start]
        .try_into()
        .map_err(|_| OpenError::Layout)?;
    Ok(Envelope {
        format,
        kind,
        wrapped: tail.slice(2..nonce_start),
        nonce,
        ciphertext: tail.slice(ciphertext_start..),
    })
}

/// `head | L | wrapped key | nonce | ciphertext and tag` of a plaintext, in one buffer of the exact size: the
/// plaintext is encrypted where it stands, so that no copy of it is left behind.
fn write_whole(
    head: &[u8],
    value: &Value,
    key: &DataKey,
    wrapped: &[u8],
    nonce: &[u8; NONCE_BYTES],
    associated_data: &[u8],
) -> Result<Vec<u8>, SealError> {
    if wrapped.is_empty() || wrapped.len() > MAX_WRAPPED_KEY_BYTES {
        return Err(SealError::WrappedKey);
    }
    let wrapped_length = u16::try_from(wrapped.len()).map_err(|_| SealError::WrappedKey)?;
    let plain_start = head.len() + 2 + wrapped.len() + NONCE_BYTES;
    let plain_bytes = plaintext::length(value)?;
    let mut whole = Zeroizing::new(Vec::with_capacity(plain_start + plain_bytes + TAG_BYTES));
    whole.extend_from_slice(head);
    whole.extend_from_slice(&wrapped_length.to_be_bytes());
    whole.extend_from_slice(wrapped);
    whole.extend_from_slice(nonce);
    plaintext::write(value, &mut whole)?;
    let tag = key.seal(nonce, associated_data, &mut whole[plain_start..])?;
    whole.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *whole))
}

#[cfg(test)]
mod tests;
