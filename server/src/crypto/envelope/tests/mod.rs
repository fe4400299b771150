//! The stored formats. Also the key, the values and the helpers that these tests share.

mod golden;
mod item_seal;
mod json;
mod malformed;
mod properties;
mod pydynox;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::*;
use crate::model::{EncryptionFormat, Value};

const KEY: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";
const NONCE: [u8; 12] = *b"\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab";
const WRAPPED: &[u8] = b"wrapped data key";

fn key() -> DataKey {
    DataKey::new(Zeroizing::new(KEY))
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(text: &str) -> Value {
    Value::N(text.parse().unwrap())
}

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn place() -> Place {
    Place::new("users", &text("USER#1"), Some(&number("42"))).unwrap()
}

fn sealed(value: &Value) -> Value {
    seal(EncryptionFormat::Sealed, value, &key(), WRAPPED, &place(), "ssn").unwrap()
}

/// Decrypts as `item::load` does: only the stored wrapped key yields the data key.
fn open(stored: &Value, place: &Place, attribute: &str) -> Result<Value, OpenError> {
    let envelope = Envelope::read(stored)?;
    if envelope.wrapped_key() != WRAPPED {
        return Err(OpenError::Authentication);
    }
    envelope.open(&key(), place, attribute)
}
