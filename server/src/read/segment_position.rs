//! Where the segments of a Query or Scan continue, and how a page token encodes that.

use bytes::Bytes;
use prost::Message;

use super::error::Error;
use crate::model::{Item, Value};

/// Where a segment continues.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentPosition {
    /// Nothing of the segment has been returned.
    AtStart,
    /// The segment continues after this key.
    After(Item),
    /// The segment has been returned completely.
    AtEnd,
}

/// The positions as a page token encrypts them.
pub(super) fn encode(positions: &[SegmentPosition]) -> Result<Vec<u8>, Error> {
    let segments = positions.iter().map(encode_position);
    let token = TokenPositions {
        segments: segments.collect::<Result<_, _>>()?,
    };
    Ok(token.encode_to_vec())
}

/// The positions of a decrypted page token; `None` if it is malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<SegmentPosition>> {
    let token = TokenPositions::decode(bytes).ok()?;
    token.segments.into_iter().map(decode_position).collect()
}

#[derive(Clone, PartialEq, Message)]
struct TokenPositions {
    #[prost(message, repeated, tag = "1")]
    segments: Vec<TokenSegment>,
}

#[derive(Clone, PartialEq, Message)]
struct TokenSegment {
    #[prost(enumeration = "Progress", tag = "1")]
    progress: i32,
    #[prost(message, repeated, tag = "2")]
    key: Vec<KeyPart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Progress {
    AtStart = 0,
    After = 1,
    AtEnd = 2,
}

#[derive(Clone, PartialEq, Message)]
struct KeyPart {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "KeyValue", tags = "2, 3, 4")]
    value: Option<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum KeyValue {
    #[prost(string, tag = "2")]
    S(String),
    #[prost(string, tag = "3")]
    N(String),
    #[prost(bytes = "bytes", tag = "4")]
    B(Bytes),
}

fn encode_position(position: &SegmentPosition) -> Result<TokenSegment, Error> {
    let (progress, key) = match position {
        SegmentPosition::AtStart => (Progress::AtStart, Vec::new()),
        SegmentPosition::AtEnd => (Progress::AtEnd, Vec::new()),
        SegmentPosition::After(key) => {
            let mut key: Vec<_> = key.iter().collect();
            key.sort_by_key(|(name, _)| *name);
            let parts = key.into_iter().map(encode_part);
            (Progress::After, parts.collect::<Result<_, _>>()?)
        }
    };
    Ok(TokenSegment {
        progress: progress.into(),
        key,
    })
}

fn encode_part((name, value): (&String, &Value)) -> Result<KeyPart, Error> {
    let value = match value {
        Value::S(text) => KeyValue::S(text.clone()),
        Value::N(number) => KeyValue::N(number.as_str().to_owned()),
        Value::B(bytes) => KeyValue::B(bytes.clone()),
        Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => {
            return Err(Error::Internal(
                "a key attribute is not a string, number or binary",
            ));
        }
    };
    Ok(KeyPart {
        name: name.clone(),
        value: Some(value),
    })
}

fn decode_position(segment: TokenSegment) -> Option<SegmentPosition> {
    Some(match segment.progress() {
        Progress::AtStart => SegmentPosition::AtStart,
        Progress::AtEnd => SegmentPosition::AtEnd,
        Progress::After => {
            let key = segment
                .key
                .into_iter()
                .map(|part| Some((part.name, decode_value(part.value?)?)));
            SegmentPosition::After(key.collect::<Option<Item>>()?)
        }
    })
}

fn decode_value(value: KeyValue) -> Option<Value> {
    Some(match value {
        KeyValue::S(text) => Value::S(text),
        KeyValue::N(text) => Value::N(text.parse().ok()?),
        KeyValue::B(bytes) => Value::B(bytes),
    })
}
