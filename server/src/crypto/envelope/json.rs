//! DynamoDB JSON in one form, the plaintext of kind 4: what is neither S, N nor B. Writes that form alone and reads
//! nothing but it.
//!
//! | value | JSON |
//! |---|---|
//! | BOOL, NULL | `{"BOOL":true}`, `{"NULL":true}` |
//! | L, M | `{"L":[…]}`, `{"M":{"name":…}}`, names in the order of their UTF-8 bytes |
//! | SS, NS, BS | `{"SS":["…"]}` in the order of UTF-8 bytes, of values, of bytes; at least one member |
//! | S, N, B within | `{"S":"…"}`, `{"N":"1.5"}` canonical decimal, `{"B":"…"}` standard padded base64 |
//!
//! No spaces; strings are escaped as serde_json does: `\"`, `\\`, `\b`, `\f`, `\n`, `\r`, `\t`, other control
//! characters `\u00xx` in lower case, everything else as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{MAX_LEVELS, OpenError, SealError, plaintext};
use crate::model::Value;

/// How many bytes [`write()`] writes, and whether it can.
pub(super) fn length(value: &Value) -> Result<usize, SealError> {
    check(value, 1)?;
    let mut count = Count(0);
    put(value, &mut count).map_err(|_| SealError::TooLong)?;
    Ok(count.0)
}

/// Appends the JSON of a value.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), SealError> {
    check(value, 1)?;
    put(value, out).map_err(|_| SealError::TooLong)
}

/// The value of a plaintext in the form above, byte for byte.
pub(super) fn read(plain: &[u8]) -> Result<Value, OpenError> {
    // serde_json's own bound of 128 levels holds: a level of ours is two of JSON's
    let json: Json = serde_json::from_slice(plain).map_err(|_| OpenError::Plaintext)?;
    let value = take(json, 1)?;
    if matches!(value, Value::S(_) | Value::N(_) | Value::B(_)) {
        return Err(OpenError::Plaintext);
    }
    let mut same = Same { rest: plain };
    put(&value, &mut same).map_err(|_| OpenError::Plaintext)?;
    if same.rest.is_empty() {
        Ok(value)
    } else {
        Err(OpenError::Plaintext)
    }
}

fn check(value: &Value, level: usize) -> Result<(), SealError> {
    if level > MAX_LEVELS {
        return Err(SealError::TooDeep);
    }
    match value {
        Value::L(values) => values.iter().try_for_each(|value| check(value, level + 1)),
        Value::M(fields) => fields.values().try_for_each(|value| check(value, level + 1)),
        Value::Object(_) => Err(SealError::Object),
        _ => Ok(()),
    }
}

fn put(value: &Value, out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "{{\"{}\":", value.type_name())?;
    match value {
        Value::S(text) => put_string(text, out)?,
        Value::N(number) => put_string(number.as_str(), out)?,
        Value::B(bytes) => put_bytes(bytes, out)?,
        Value::Bool(flag) => write!(out, "{flag}")?,
        Value::Null => out.write_all(b"true")?,
        Value::L(values) => put_all(values, out, put)?,
        Value::M(fields) => put_fields(fields.iter().collect(), out)?,
        Value::SS(members) => put_all(members, out, |text, out| put_string(text, out))?,
        Value::NS(members) => put_all(members, out, |number, out| put_string(number.as_str(), out))?,
        Value::BS(members) => put_all(members, out, |bytes, out| put_bytes(bytes, out))?,
        Value::Object(_) => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
    out.write_all(b"}")
}

fn put_all<'a, T: 'a>(
    members: impl IntoIterator<Item = &'a T>,
    out: &mut dyn io::Write,
    put_one: fn(&T, &mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut separator: &[u8] = b"[";
    let mut members = members.into_iter().peekable();
    if members.peek().is_none() {
        return out.write_all(b"[]");
    }
    for member in members {
        out.write_all(separator)?;
        put_one(member, out)?;
        separator = b",";
    }
    out.write_all(b"]")
}

fn put_fields(fields: BTreeMap<&String, &Value>, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(b"{")?;
    let mut separator: &[u8] = b"";
    for (name, value) in fields {
        out.write_all(separator)?;
        put_string(name, out)?;
        out.write_all(b":")?;
        put(value, out)?;
        separator = b",";
    }
    out.write_all(b"}")
}

fn put_string(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

fn put_bytes(bytes: &Bytes, out: &mut dyn io::Write) -> io::Result<()> {
    let encoded = Zeroizing::new(STANDARD.encode(bytes));
    put_string(&encoded, out)
}

fn take(json: Json, level: usize) -> Result<Value, OpenError> {
    if level > MAX_LEVELS {
        return Err(OpenError::Plaintext);
    }
    let Json::Object(typed) = json else {
        return Err(OpenError::Plaintext);
    };
    let mut typed = typed.into_iter();
    let (Some((name, content)), None) = (typed.next(), typed.next()) else {
        return Err(OpenError::Plaintext);
    };
    match (name.as_str(), content) {
        ("S", Json::String(text)) => Ok(Value::S(text)),
        ("N", Json::String(text)) => plaintext::number(&text).map(Value::N),
        ("B", content) => take_bytes(content).map(Value::B),
        ("BOOL", Json::Bool(flag)) => Ok(Value::Bool(flag)),
        ("NULL", Json::Bool(true)) => Ok(Value::Null),
        ("L", Json::Array(values)) => values
            .into_iter()
            .map(|value| take(value, level + 1))
            .collect::<Result<_, _>>()
            .map(Value::L),
        ("M", Json::Object(fields)) => fields
            .into_iter()
            .map(|(name, value)| Ok((name, take(value, level + 1)?)))
            .collect::<Result<_, _>>()
            .map(Value::M),
        ("SS", Json::Array(members)) => take_set(members, take_string).map(Value::SS),
        ("NS", Json::Array(members)) => {
            take_set(members, |member| plaintext::number(&take_string(member)?)).map(Value::NS)
        }
        ("BS", Json::Array(members)) => take_set(members, take_bytes).map(Value::BS),
        _ => Err(OpenError::Plaintext),
    }
}

fn take_set<T: Ord>(
    members: Vec<Json>,
    take_one: fn(Json) -> Result<T, OpenError>,
) -> Result<BTreeSet<T>, OpenError> {
    if members.is_empty() {
        return Err(OpenError::Plaintext);
    }
    members.into_iter().map(take_one).collect()
}

fn take_string(json: Json) -> Result<String, OpenError> {
    match json {
        Json::String(text) => Ok(text),
        _ => Err(OpenError::Plaintext),
    }
}

fn take_bytes(json: Json) -> Result<Bytes, OpenError> {
    let encoded = Zeroizing::new(take_string(json)?);
    STANDARD
        .decode(encoded.as_bytes())
        .map(Bytes::from)
        .map_err(|_| OpenError::Plaintext)
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares what is written with what is there, without a copy of it.
struct Same<'a> {
    rest: &'a [u8],
}

impl io::Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                Ok(bytes.len())
            }
            None => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
