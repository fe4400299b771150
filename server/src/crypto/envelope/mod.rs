//! Envelopes: the stored bytes of an encrypted attribute value, per format. Pure: no KMS, no clock, no model.
//!
//! | id | format | stored as | layout | bound to its item by |
//! |---|---|---|---|---|
//! | 1 | `pydynox` | S, `ENC:` + base64 | `pydynox.rs` | nothing; its KMS context is exactly the attribute's |
//! | 2 | `sealed`, of the first version | B | `sealed.rs` | associated data ([`Place`]); its KMS context is the attribute's and `tollgate:table` |
//! | 3 | objects in S3 | an object | [`object`](super::object) | like id 4, with one nonce per segment |
//! | 4 | `sealed` | B | `sealed.rs` | like id 2, and a key per attribute and a commitment to the data key |
//! | 5 | the seal of an item | B | `item_seal.rs` | a code over [`Place`] and the covered attributes |
//!
//! Every later version reads ids 1, 2, 4 and 5: `../golden/` has stored values of each. Any other id is an error.

mod item_seal;
mod json;
mod layout;
mod place;
mod plaintext;
mod pydynox;
mod scalar;
mod sealed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use super::error::{OpenError, SealError};
pub use item_seal::{Covered, ItemSeal, WriteId, item_seal_bytes, seal_item};
pub use layout::Envelope;
pub use place::Place;

use super::data_key::{DataKey, NONCE_BYTES};
use crate::model::{EncryptionFormat, Value};

/// The name in the KMS encryption context whose value is the table.
pub const TABLE_CONTEXT: &str = "tollgate:table";

/// Encrypts a value for an attribute of the item at `place`, under a data key and with a random nonce.
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
    /// Parses a stored value. Nothing in it is authenticated before [`Envelope::open`].
    ///
    /// # Errors
    ///
    /// `NotEncrypted`, `UnknownFormat` or `Malformed`.
    pub fn read(stored: &Value) -> Result<Envelope, OpenError> {
        match stored {
            Value::B(bytes) => sealed::read(bytes),
            Value::S(text) => pydynox::read(text),
            Value::N(_)
            | Value::Bool(_)
            | Value::Null
            | Value::L(_)
            | Value::M(_)
            | Value::SS(_)
            | Value::NS(_)
            | Value::BS(_)
            | Value::Object(_) => Err(OpenError::NotEncrypted),
        }
    }
}

fn random_nonce() -> Result<[u8; NONCE_BYTES], SealError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
    Ok(nonce)
}
