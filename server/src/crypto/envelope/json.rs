//! DynamoDB JSON in canonical form, the plaintext of kind 4: any value but S, N and B. Writes and accepts only the
//! canonical form.
//!
//! | value | JSON |
//! |---|---|
//! | BOOL, NULL | `{"BOOL":true}`, `{"NULL":true}` |
//! | L, M | `{"L":[…]}`, `{"M":{"name":…}}`, names in the order of their UTF-8 bytes |
//! | SS, NS, BS | `{"SS":["…"]}` in the order of UTF-8 bytes, of values, of bytes; at least one member |
//! | S, N, B within | `{"S":"…"}`, `{"N":"1.5"}` canonical decimal, `{"B":"…"}` standard padded base64 |
//!
//! No spaces; strings are escaped as serde_json does: `\"`, `\\`, `\b`, `\f`, `\n`, `\r`, `\t`, other control
//! characters `\u00xx` in lower case, everything else unescaped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use zeroize::Zeroizing;

use super::scalar;
use crate::crypto::error::{OpenError, SealError};
use crate::model::limits::MAX_ENCRYPTED_DEPTH;
use crate::model::{Number, Value};

/// The number of bytes that [`write()`] writes.
pub(super) fn length(value: &Value) -> Result<usize, SealError> {
    check(value, 1)?;
    let mut count = ByteCount(0);
    put(value, &mut count).map_err(|_| SealError::TooLong)?;
    Ok(count.0)
}

/// Appends the JSON of a value.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), SealError> {
    check(value, 1)?;
    put(value, out).map_err(|_| SealError::TooLong)
}

/// The value of a plaintext in exactly the form above.
pub(super) fn read(plain: &[u8]) -> Result<Value, OpenError> {
    let mut reader = Reader { rest: plain };
    let value = reader.value(1)?;
    if !reader.rest.is_empty() || matches!(value, Value::S(_) | Value::N(_) | Value::B(_)) {
        return Err(OpenError::Plaintext);
    }
    // the reader accepts names and members in any order, and some escapes that are never written
    let mut comparison = Comparison { rest: plain };
    put(&value, &mut comparison).map_err(|_| OpenError::Plaintext)?;
    if comparison.rest.is_empty() {
        Ok(value)
    } else {
        Err(OpenError::Plaintext)
    }
}

fn check(value: &Value, level: usize) -> Result<(), SealError> {
    if level > MAX_ENCRYPTED_DEPTH {
        return Err(SealError::TooDeep);
    }
    match value {
        Value::L(values) => values.iter().try_for_each(|value| check(value, level + 1)),
        Value::M(fields) => fields.values().try_for_each(|value| check(value, level + 1)),
        Value::Object(_) => Err(SealError::Object),
        Value::S(_)
        | Value::N(_)
        | Value::B(_)
        | Value::Bool(_)
        | Value::Null
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_) => Ok(()),
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

/// Parses a plaintext. Strings go into buffers of sufficient capacity, so that no reallocation leaves a copy; numbers and
/// base64 are zeroised after parsing.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, level: usize) -> Result<Value, OpenError> {
        if level > MAX_ENCRYPTED_DEPTH {
            return Err(OpenError::Plaintext);
        }
        self.expect(b"{\"")?;
        let name_bytes = self.rest.iter().position(|byte| *byte == b'"');
        let (name, rest) = self
            .rest
            .split_at_checked(name_bytes.ok_or(OpenError::Plaintext)?)
            .ok_or(OpenError::Plaintext)?;
        self.rest = rest;
        self.expect(b"\":")?;
        let value = self.content(name, level)?;
        self.expect(b"}")?;
        Ok(value)
    }

    fn content(&mut self, type_name: &[u8], level: usize) -> Result<Value, OpenError> {
        match type_name {
            b"S" => self.string().map(Value::S),
            b"N" => self.number().map(Value::N),
            b"B" => self.bytes().map(Value::B),
            b"BOOL" if self.takes(b"true") => Ok(Value::Bool(true)),
            b"BOOL" if self.takes(b"false") => Ok(Value::Bool(false)),
            b"NULL" if self.takes(b"true") => Ok(Value::Null),
            b"L" => self.members(|reader| reader.value(level + 1)).map(Value::L),
            b"M" => self.fields(level).map(Value::M),
            b"SS" => self.set(Reader::string).map(Value::SS),
            b"NS" => self.set(Reader::number).map(Value::NS),
            b"BS" => self.set(Reader::bytes).map(Value::BS),
            _ => Err(OpenError::Plaintext),
        }
    }

    fn members<T>(
        &mut self,
        mut read_one: impl FnMut(&mut Self) -> Result<T, OpenError>,
    ) -> Result<Vec<T>, OpenError> {
        self.expect(b"[")?;
        let mut members = Vec::new();
        if self.takes(b"]") {
            return Ok(members);
        }
        loop {
            members.push(read_one(self)?);
            if !self.takes(b",") {
                break;
            }
        }
        self.expect(b"]")?;
        Ok(members)
    }

    fn set<T: Ord>(
        &mut self,
        read_one: fn(&mut Self) -> Result<T, OpenError>,
    ) -> Result<BTreeSet<T>, OpenError> {
        let members = self.members(read_one)?;
        if members.is_empty() {
            return Err(OpenError::Plaintext);
        }
        Ok(members.into_iter().collect())
    }

    fn fields(&mut self, level: usize) -> Result<HashMap<String, Value>, OpenError> {
        self.expect(b"{")?;
        let mut fields = HashMap::new();
        if self.takes(b"}") {
            return Ok(fields);
        }
        loop {
            let name = self.string()?;
            self.expect(b":")?;
            fields.insert(name, self.value(level + 1)?);
            if !self.takes(b",") {
                break;
            }
        }
        self.expect(b"}")?;
        Ok(fields)
    }

    fn number(&mut self) -> Result<Number, OpenError> {
        let text = Zeroizing::new(self.string()?);
        scalar::number(&text)
    }

    fn bytes(&mut self) -> Result<Bytes, OpenError> {
        let encoded = Zeroizing::new(self.string()?);
        STANDARD
            .decode(encoded.as_bytes())
            .map(Bytes::from)
            .map_err(|_| OpenError::Plaintext)
    }

    fn string(&mut self) -> Result<String, OpenError> {
        let mut rest = self.raw_string()?;
        let mut text = Zeroizing::new(Vec::with_capacity(rest.len()));
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'\\' {
                text.push(unescaped(&mut rest)?);
            } else {
                text.push(byte);
            }
        }
        scalar::string(std::mem::take(&mut *text))
    }

    /// The bytes between the quotes, with their escapes.
    fn raw_string(&mut self) -> Result<&'a [u8], OpenError> {
        self.expect(b"\"")?;
        let whole = self.rest;
        let mut end = 0;
        loop {
            match whole.get(end).ok_or(OpenError::Plaintext)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        self.rest = &whole[end + 1..];
        Ok(&whole[..end])
    }

    fn expect(&mut self, text: &[u8]) -> Result<(), OpenError> {
        self.takes(text).then_some(()).ok_or(OpenError::Plaintext)
    }

    fn takes(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

/// The character after a backslash: only ASCII characters are ever escaped.
fn unescaped(rest: &mut &[u8]) -> Result<u8, OpenError> {
    let (&escape, after) = rest.split_first().ok_or(OpenError::Plaintext)?;
    *rest = after;
    Ok(match escape {
        b'"' | b'\\' => escape,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (digits, after) = rest.split_first_chunk::<4>().ok_or(OpenError::Plaintext)?;
            *rest = after;
            let digits = std::str::from_utf8(digits).map_err(|_| OpenError::Plaintext)?;
            u8::from_str_radix(digits, 16)
                .ok()
                .filter(u8::is_ascii_control)
                .ok_or(OpenError::Plaintext)?
        }
        _ => return Err(OpenError::Plaintext),
    })
}

/// Counts the bytes written.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares the bytes written with the expected ones, without a copy.
struct Comparison<'a> {
    rest: &'a [u8],
}

impl io::Write for Comparison<'_> {
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
