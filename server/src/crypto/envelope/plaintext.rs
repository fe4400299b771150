//! What is encrypted: the bytes of a value by its kind. Never keeps a plaintext that it does not hand on.
//!
//! | kind | value | bytes |
//! |---|---|---|
//! | 1 | S | UTF-8 |
//! | 2 | N | the canonical decimal text |
//! | 3 | B | as they are |
//! | 4 | any other | DynamoDB JSON in its one form: `json` |

use std::mem;

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

use super::{OpenError, SealError, json};
use crate::model::{Number, Value};

/// The kind of a plaintext; its id is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    S,
    N,
    B,
    Other,
}

impl Kind {
    pub(super) fn of(value: &Value) -> Kind {
        match value {
            Value::S(_) => Kind::S,
            Value::N(_) => Kind::N,
            Value::B(_) => Kind::B,
            _ => Kind::Other,
        }
    }

    pub(super) fn id(self) -> u8 {
        match self {
            Kind::S => 1,
            Kind::N => 2,
            Kind::B => 3,
            Kind::Other => 4,
        }
    }

    pub(super) fn from_id(id: u8) -> Option<Kind> {
        [Kind::S, Kind::N, Kind::B, Kind::Other]
            .into_iter()
            .find(|kind| kind.id() == id)
    }
}

/// How many bytes [`write()`] writes.
pub(super) fn length(value: &Value) -> Result<usize, SealError> {
    match value {
        Value::S(text) => Ok(text.len()),
        Value::N(number) => Ok(number.as_str().len()),
        Value::B(bytes) => Ok(bytes.len()),
        other => json::length(other),
    }
}

/// Appends the plaintext of a value; `out` has room for it, so that no reallocation leaves a copy.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), SealError> {
    match value {
        Value::S(text) => out.extend_from_slice(text.as_bytes()),
        Value::N(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Value::B(bytes) => out.extend_from_slice(bytes),
        other => json::write(other, out)?,
    }
    Ok(())
}

/// The value of a plaintext that was verified; strings and bytes take the buffer over.
pub(super) fn read(kind: Kind, mut plain: Zeroizing<Vec<u8>>) -> Result<Value, OpenError> {
    match kind {
        Kind::S => string(mem::take(&mut *plain)).map(Value::S),
        Kind::N => number(std::str::from_utf8(&plain).map_err(|_| OpenError::Plaintext)?).map(Value::N),
        Kind::B => Ok(Value::B(Bytes::from(mem::take(&mut *plain)))),
        Kind::Other => json::read(&plain),
    }
}

/// A number in canonical text; any other text is not what was sealed.
pub(super) fn number(text: &str) -> Result<Number, OpenError> {
    let number: Number = text.parse().map_err(|_| OpenError::Plaintext)?;
    if number.as_str() == text {
        Ok(number)
    } else {
        Err(OpenError::Plaintext)
    }
}

/// A text; other bytes are zeroised.
pub(super) fn string(bytes: Vec<u8>) -> Result<String, OpenError> {
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        OpenError::Plaintext
    })
}
