//! Envelopes: the stored bytes of an encrypted attribute value, per format. Pure: no KMS, no clock, no model.
//!
//! | id | format | stored as | layout | tied to its place by |
//! |---|---|---|---|---|
//! | 1 | `pydynox` | S, `ENC:` + base64 | `pydynox.rs` | nothing; KMS context exactly the attribute's |
//! | 2 | `sealed`, of the first version | B | `sealed.rs` | associated data ([`Place`]); KMS context the attribute's and `tollgate:table` |
//! | 3 | objects in S3 | | | |
//! | 4 | `sealed` | B | `sealed.rs` | as id 2, and a key per attribute and a commitment to the data key |
//!
//! Ids 1, 2 and 4 open forever: `../golden/` has stored values of each. An id that is not in this table is an error.

mod json;
mod place;
mod plaintext;
mod pydynox;
mod sealed;

use std::collections::BTreeMap;

use bytes::Bytes;
use zeroize::Zeroizing;

pub use place::Place;

use super::data_key::{COMMITMENT_BYTES, DataKey, NONCE_BYTES, TAG_BYTES};
use crate::model::limits::{MAX_ENCRYPTED_DEPTH, MAX_WRAPPED_KEY_BYTES};
use crate::model::{EncryptionFormat, Value};
use plaintext::Kind;

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
    /// Lists and maps beyond [`MAX_ENCRYPTED_DEPTH`].
    #[error("the value has more than {MAX_ENCRYPTED_DEPTH} levels")]
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
    #[error("it is stored in plaintext")]
    NotSealed,
    /// Another format, of a newer version or of nobody.
    #[error("its format id {0} is unknown")]
    UnknownFormat(u8),
    /// It begins as a ciphertext, but its lengths or its base64 are wrong.
    #[error("it is no whole ciphertext")]
    Layout,
    /// It was sealed under another data key than the one that it carries.
    #[error("its data key is not the one that sealed it")]
    Commitment,
    /// It was changed, cut, or belongs to another item, table, attribute or key.
    #[error("it does not verify at this place")]
    Forged,
    /// It verifies, but its plaintext is not what its kind says.
    #[error("its plaintext is not of its kind")]
    Plaintext,
}

/// One ciphertext, taken apart and not yet verified.
pub struct Envelope {
    layout: Layout,
    kind: Kind,
    wrapped: Bytes,
    /// All zero in layouts without one.
    commitment: [u8; COMMITMENT_BYTES],
    nonce: [u8; NONCE_BYTES],
    /// With the tag at its end, at least.
    ciphertext: Bytes,
}

/// The layouts, each with the id that its bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Tied to nothing.
    Pydynox,
    /// Tied to its place.
    Placed,
    /// Tied to its place and its data key.
    Committed,
}

impl Layout {
    const fn id(self) -> u8 {
        match self {
            Layout::Pydynox => 1,
            Layout::Placed => 2,
            Layout::Committed => 4,
        }
    }

    const fn format(self) -> EncryptionFormat {
        match self {
            Layout::Pydynox => EncryptionFormat::Pydynox,
            Layout::Placed | Layout::Committed => EncryptionFormat::Sealed,
        }
    }

    const fn commitment_bytes(self) -> usize {
        match self {
            Layout::Pydynox | Layout::Placed => 0,
            Layout::Committed => COMMITMENT_BYTES,
        }
    }
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
        self.layout.format()
    }

    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Bytes {
        &self.wrapped
    }

    /// The value, if all of it verifies for this place.
    ///
    /// # Errors
    ///
    /// `Commitment`, `Forged` or `Plaintext`.
    pub fn open(&self, key: &DataKey, place: &Place, attribute: &str) -> Result<Value, OpenError> {
        let (ciphertext, tag) = self
            .ciphertext
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(OpenError::Layout)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let associated_data = || place.associated_data(self.layout.id(), self.kind.id(), attribute);
        match self.layout {
            Layout::Pydynox => key.open(&self.nonce, &[], &mut buffer, tag)?,
            Layout::Placed => key.open(&self.nonce, &associated_data(), &mut buffer, tag)?,
            Layout::Committed => key.open_attribute(
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

fn random_nonce() -> Result<[u8; NONCE_BYTES], SealError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
    Ok(nonce)
}

/// Takes `L (u16 big-endian) | wrapped key | commitment | nonce | ciphertext and tag` apart: the end of all layouts.
/// Every byte belongs to a part; the last takes the rest, which the tag verifies.
fn read_tail(layout: Layout, kind: Kind, tail: &Bytes) -> Result<Envelope, OpenError> {
    let (length, rest) = tail.split_first_chunk::<2>().ok_or(OpenError::Layout)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let fixed_bytes = layout.commitment_bytes() + NONCE_BYTES + TAG_BYTES;
    if length == 0 || length > MAX_WRAPPED_KEY_BYTES || rest.len() < length + fixed_bytes {
        return Err(OpenError::Layout);
    }
    let commitment_start = 2 + length;
    let nonce_start = commitment_start + layout.commitment_bytes();
    let ciphertext_start = nonce_start + NONCE_BYTES;
    let mut commitment = [0; COMMITMENT_BYTES];
    commitment[..layout.commitment_bytes()].copy_from_slice(&tail[commitment_start..nonce_start]);
    let nonce = tail[nonce_start..ciphertext_start]
        .try_into()
        .map_err(|_| OpenError::Layout)?;
    Ok(Envelope {
        layout,
        kind,
        wrapped: tail.slice(2..commitment_start),
        commitment,
        nonce,
        ciphertext: tail.slice(ciphertext_start..),
    })
}

/// What stands before the ciphertext: `start | L | wrapped key | commitment | nonce`.
struct Head<'a> {
    start: &'a [u8],
    wrapped: &'a [u8],
    /// Empty in layouts without one.
    commitment: &'a [u8],
    nonce: &'a [u8; NONCE_BYTES],
}

/// Head, ciphertext and tag of a plaintext, in one buffer of the exact size: the plaintext is encrypted where it
/// stands, so that no copy of it is left behind.
fn write_whole(
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

#[cfg(test)]
mod tests;
