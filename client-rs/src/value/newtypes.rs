//! Field types for values that plain Rust types cannot express: bytes, DynamoDB's sets, and objects in S3.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Number, Value};

pub(super) const STRING_SET: &str = "$tollgate::StringSet";
pub(super) const NUMBER_SET: &str = "$tollgate::NumberSet";
pub(super) const BINARY_SET: &str = "$tollgate::BinarySet";
pub(super) const OBJECT: &str = "$tollgate::Object";

/// Bytes, stored as DynamoDB's `B`. To serde, a plain `Vec<u8>` is a list of numbers.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binary(pub Bytes);

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Bytes>> From<T> for Binary {
    fn from(bytes: T) -> Binary {
        Binary(bytes.into())
    }
}

/// Shows only the size, because the bytes may be secret.
impl fmt::Debug for Binary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "B({} bytes)", self.0.len())
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Binary, D::Error> {
        deserializer.deserialize_byte_buf(BinaryVisitor)
    }
}

struct BinaryVisitor;

impl<'de> Visitor<'de> for BinaryVisitor {
    type Value = Binary;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("binary")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(Binary(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(Binary(bytes.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Binary, A::Error> {
        let mut buffer = Vec::new();
        while let Some(byte) = bytes.next_element::<u8>()? {
            buffer.push(byte);
        }
        Ok(Binary(buffer.into()))
    }
}

macro_rules! sets {
    ($($(#[$doc:meta])* $set:ident of $member:ty = $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $set(pub BTreeSet<$member>);

        impl<M: Into<$member>> FromIterator<M> for $set {
            fn from_iter<I: IntoIterator<Item = M>>(members: I) -> $set {
                $set(members.into_iter().map(Into::into).collect())
            }
        }

        impl Deref for $set {
            type Target = BTreeSet<$member>;

            fn deref(&self) -> &BTreeSet<$member> {
                &self.0
            }
        }

        impl Serialize for $set {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_struct($name, &self.0)
            }
        }

        impl<'de> Deserialize<'de> for $set {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$set, D::Error> {
                BTreeSet::deserialize(deserializer).map($set)
            }
        }
    )*};
}

sets! {
    /// DynamoDB's set of strings (`SS`). Also accepts lists of strings.
    StringSet of String = STRING_SET;
    /// DynamoDB's set of numbers (`NS`). Also accepts lists of numbers.
    NumberSet of Number = NUMBER_SET;
    /// DynamoDB's set of byte strings (`BS`). Also accepts lists of binaries.
    BinarySet of Binary = BINARY_SET;
}

/// A value that is stored in S3. A writer sets `data`, and optionally `name`, `content_type` and `metadata`; the server sets
/// everything else. Reads return `data` only if `include_objects` requests it.
///
/// To keep an object when saving its item, send it as it was read, without `data`. Its `bucket`, `key` and `etag` must match
/// the stored ones.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "$tollgate::Object", default)]
pub struct Object {
    /// The content.
    pub data: Option<Binary>,
    /// The file name, which is the last part of the object's key.
    pub name: String,
    /// The media type, such as `application/pdf`.
    pub content_type: String,
    /// The caller's metadata, at most 1,790 bytes in total. Names are stored in lower case.
    pub metadata: HashMap<String, String>,
    /// The bucket that contains it.
    pub bucket: String,
    /// The key of the object. Keys are never reused.
    pub key: String,
    /// The content's size in bytes.
    pub size: u64,
    /// S3's entity tag.
    pub etag: String,
    /// S3's version, if the bucket has versioning.
    pub version_id: String,
    /// SHA-256 of the content in lower-case hex.
    pub sha256: String,
    /// What [`Client::presign`](crate::Client::presign) returned for an upload by URL, to take it up in place of `data`.
    /// Never returned.
    pub upload_token: String,
}

impl Object {
    /// Creates an object with this content, to be written.
    pub fn new(data: impl Into<Bytes>) -> Object {
        Object {
            data: Some(Binary(data.into())),
            ..Object::default()
        }
    }

    /// Creates an object from an upload by URL, to be written.
    pub fn uploaded(token: impl Into<String>) -> Object {
        Object {
            upload_token: token.into(),
            ..Object::default()
        }
    }

    pub(super) fn into_fields(self) -> HashMap<String, Value> {
        let metadata = self
            .metadata
            .into_iter()
            .map(|(name, text)| (name, Value::String(text)))
            .collect();
        let fields = [
            ("data", self.data.map_or(Value::Null, Value::Binary)),
            ("name", Value::String(self.name)),
            ("content_type", Value::String(self.content_type)),
            ("metadata", Value::Map(metadata)),
            ("bucket", Value::String(self.bucket)),
            ("key", Value::String(self.key)),
            ("size", Value::Number(self.size.into())),
            ("etag", Value::String(self.etag)),
            ("version_id", Value::String(self.version_id)),
            ("sha256", Value::String(self.sha256)),
            ("upload_token", Value::String(self.upload_token)),
        ];
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// Shows only the size, because content and names may be secret.
impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Object")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
