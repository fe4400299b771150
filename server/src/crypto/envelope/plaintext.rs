//! The plaintext of a value: its bytes, by kind. Zeroises every plaintext that it does not return.
//!
//! | kind | value | bytes |
//! |---|---|---|
//! | 1 | S | UTF-8 |
//! | 2 | N | the canonical decimal text |
//! | 3 | B | the bytes |
//! | 4 | any other | DynamoDB JSON in canonical form: `json` |

use std::mem;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{json, scalar};
use crate::crypto::error::{OpenError, SealError};
use crate::model::Value;

/// The kind of a plaintext, stored as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    S,
    N,
    B,
    Other,
}

impl Kind {
    pub(super) fn from_value(value: &Value) -> Kind {
        match value {
            Value::S(_) => Kind::S,
            Value::N(_) => Kind::N,
            Value::B(_) => Kind::B,
            Value::Bool(_)
            | Value::Null
            | Value::L(_)
            | Value::M(_)
            | Value::SS(_)
            | Value::NS(_)
            | Value::BS(_)
            | Value::Object(_) => Kind::Other,
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

/// The number of bytes that [`write()`] writes.
pub(super) fn length(value: &Value) -> Result<usize, SealError> {
    match value {
        Value::S(text) => Ok(text.len()),
        Value::N(number) => Ok(number.as_str().len()),
        Value::B(bytes) => Ok(bytes.len()),
        other => json::length(other),
    }
}

/// Appends the plaintext of a value. `out` must have the capacity for it, so that no reallocation leaves a copy.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), SealError> {
    match value {
        Value::S(text) => out.extend_from_slice(text.as_bytes()),
        Value::N(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Value::B(bytes) => out.extend_from_slice(bytes),
        other => json::write(other, out)?,
    }
    Ok(())
}

/// The value of an authenticated plaintext; strings and bytes take over the buffer.
pub(super) fn read(kind: Kind, mut plain: Zeroizing<Vec<u8>>) -> Result<Value, OpenError> {
    match kind {
        Kind::S => scalar::string(mem::take(&mut *plain)).map(Value::S),
        Kind::N => {
            scalar::number(std::str::from_utf8(&plain).map_err(|_| OpenError::Plaintext)?).map(Value::N)
        }
        Kind::B => Ok(Value::B(Bytes::from(mem::take(&mut *plain)))),
        Kind::Other => json::read(&plain),
    }
}
