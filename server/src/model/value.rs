//! Attribute values: DynamoDB's types, and objects. `Debug` shows only their types.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use bytes::Bytes;

use super::number::Number;

/// An item or a key: values by attribute name.
pub type Item = HashMap<String, Value>;

/// One attribute value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A string.
    S(String),
    /// A number.
    N(Number),
    /// Bytes.
    B(Bytes),
    /// A boolean.
    Bool(bool),
    /// An explicit null.
    Null,
    /// A list.
    L(Vec<Value>),
    /// A map.
    M(HashMap<String, Value>),
    /// A non-empty string set.
    SS(BTreeSet<String>),
    /// A non-empty number set.
    NS(BTreeSet<Number>),
    /// A non-empty binary set.
    BS(BTreeSet<Bytes>),
    /// An object: on writes the one from the request, on reads the one that the stored pointer describes. DynamoDB stores
    /// only the pointer, as `M`.
    Object(Box<Object>),
}

/// A value that is stored in S3, as callers see it.
#[derive(Clone, Default, PartialEq)]
pub struct Object {
    /// The content. `None` if the request does not contain it or does not ask for it.
    pub data: Option<Bytes>,
    /// The name by which the chunks of an Upload call the content that follows. `None` if none follows.
    pub stream: Option<String>,
    /// The file name. Empty if not set.
    pub name: String,
    /// The media type. Empty if not set.
    pub content_type: String,
    /// The caller's own metadata.
    pub metadata: HashMap<String, String>,
    /// The bucket that contains it.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Size of the content in bytes.
    pub size_bytes: u64,
    /// S3's entity tag.
    pub etag: String,
    /// S3's version. Empty if the bucket has no versioning.
    pub version_id: String,
    /// SHA-256 of the content in lower-case hex. Empty if the pointer has none.
    pub sha256: String,
    /// What Presign returned for an upload by URL. Empty if there is none.
    pub upload_token: String,
    /// The upload of the token, once it was opened.
    pub upload: Option<Box<Upload>>,
}

/// Where the content of an upload by URL is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The region of the bucket, if it differs from the client's.
    pub region: Option<String>,
}

impl Object {
    /// Whether the object is to be stored: the request has its content. An object without one is a stored object.
    pub fn is_new(&self) -> bool {
        self.data.is_some() || self.stream.is_some() || !self.upload_token.is_empty()
    }
}

impl Value {
    /// DynamoDB's name of this type: `S`, `N`, `BOOL` …; `OBJECT` for an object.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::S(_) => "S",
            Value::N(_) => "N",
            Value::B(_) => "B",
            Value::Bool(_) => "BOOL",
            Value::Null => "NULL",
            Value::L(_) => "L",
            Value::M(_) => "M",
            Value::SS(_) => "SS",
            Value::NS(_) => "NS",
            Value::BS(_) => "BS",
            Value::Object(_) => "OBJECT",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.type_name())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Object")
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}
