//! The pointer that an item stores in place of an object: an M value, in a format that pydynox reads and writes too. Holds
//! the location and the expected properties of an object; never reads the object.
//!
//! | field | type | |
//! |---|---|---|
//! | `bucket`, `key`, `etag` | S | always |
//! | `size` | N, bytes | always |
//! | `table` | S, the item's table | always, except in pointers of older versions |
//! | `content_type`, `version_id`, `name` | S | if set |
//! | `sha256` | S, lower-case hex of the content | always, unless the object is encrypted |
//! | `mac` | S, lower-case hex: see [`object`](crate::crypto::object) | if the object is encrypted |
//! | `encoding` | S, the algorithm: `zstd`, `lz4` or `gzip` | if the object is compressed |
//! | `kind` | S, the type of the value: `S` or `B` | if a string or binary attribute was offloaded |
//! | `metadata` | M of S | if not empty |
//!
//! Pointers of pydynox lack `table`, `sha256` and `name`. Other fields (such as `last_modified` of pydynox) are ignored, and
//! NULL means absent. A pointer with an unknown `encoding` or `kind` is none: its object could not be read.

use std::collections::HashMap;

use crate::model::{CompressionAlgorithm, Object, Value};

/// The location and the properties of an object.
#[derive(Clone, Default, PartialEq)]
pub struct Pointer {
    /// The bucket that holds it.
    pub bucket: String,
    /// Its key. Keys are never reused.
    pub key: String,
    /// Size of the content in bytes.
    pub size_bytes: u64,
    /// S3's entity tag.
    pub etag: String,
    /// The table of the item that owns it; empty in pointers of pydynox and older versions.
    pub table: String,
    /// The media type, or empty.
    pub content_type: String,
    /// S3's version id; empty if the bucket is not versioned.
    pub version_id: String,
    /// The caller's metadata.
    pub metadata: HashMap<String, String>,
    /// SHA-256 of the content in lower-case hex; empty in pydynox's pointers, and if the object is encrypted.
    pub sha256: String,
    /// The file name, or empty.
    pub name: String,
    /// The MAC of an encrypted object in lower-case hex; empty if it is not encrypted.
    pub mac: String,
    /// How the content is compressed, if it is.
    pub encoding: Option<CompressionAlgorithm>,
    /// The type of the value that was offloaded; `None` for an object.
    pub kind: Option<OffloadedKind>,
}

/// The type of a value that was offloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadedKind {
    /// S.
    String,
    /// B.
    Binary,
}

impl OffloadedKind {
    /// DynamoDB's name of the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            OffloadedKind::String => "S",
            OffloadedKind::Binary => "B",
        }
    }

    fn from_name(name: &str) -> Option<OffloadedKind> {
        [OffloadedKind::String, OffloadedKind::Binary]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl Pointer {
    /// The stored form.
    pub fn to_value(&self) -> Value {
        let text = |text: &String| Value::S(text.clone());
        let mut fields = HashMap::from([
            ("bucket".to_owned(), text(&self.bucket)),
            ("key".to_owned(), text(&self.key)),
            ("size".to_owned(), Value::N(decimal(self.size_bytes))),
            ("etag".to_owned(), text(&self.etag)),
        ]);
        let optional = [
            ("table", &self.table),
            ("content_type", &self.content_type),
            ("version_id", &self.version_id),
            ("sha256", &self.sha256),
            ("name", &self.name),
            ("mac", &self.mac),
        ];
        for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
            fields.insert(name.to_owned(), text(value));
        }
        let forms = [
            ("encoding", self.encoding.map(CompressionAlgorithm::as_str)),
            ("kind", self.kind.map(OffloadedKind::as_str)),
        ];
        for (name, form) in forms {
            fields.extend(form.map(|form| (name.to_owned(), Value::S(form.to_owned()))));
        }
        if !self.metadata.is_empty() {
            let metadata = self
                .metadata
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect();
            fields.insert("metadata".to_owned(), Value::M(metadata));
        }
        Value::M(fields)
    }

    /// Parses a stored value as a pointer. `None` if it is not a pointer.
    pub fn from_value(stored: &Value) -> Option<Pointer> {
        let Value::M(fields) = stored else { return None };
        let Some(Value::N(size)) = fields.get("size") else {
            return None;
        };
        Some(Pointer {
            bucket: required(fields, "bucket")?,
            key: required(fields, "key")?,
            size_bytes: size.as_str().parse().ok()?,
            etag: required(fields, "etag")?,
            table: optional(fields, "table")?,
            content_type: optional(fields, "content_type")?,
            version_id: optional(fields, "version_id")?,
            metadata: metadata(fields)?,
            sha256: optional(fields, "sha256")?,
            name: optional(fields, "name")?,
            mac: optional(fields, "mac")?,
            encoding: form(fields, "encoding", CompressionAlgorithm::from_name)?,
            kind: form(fields, "kind", OffloadedKind::from_name)?,
        })
    }

    /// The object as callers see it, without data.
    pub fn to_object(&self) -> Object {
        Object {
            name: self.name.clone(),
            content_type: self.content_type.clone(),
            metadata: self.metadata.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            size_bytes: self.size_bytes,
            etag: self.etag.clone(),
            version_id: self.version_id.clone(),
            sha256: self.sha256.clone(),
            ..Object::default()
        }
    }
}

impl std::fmt::Debug for Pointer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pointer")
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

fn decimal(count: u64) -> crate::model::Number {
    count.to_string().parse().expect("20 digits are a number")
}

fn required(fields: &HashMap<String, Value>, name: &str) -> Option<String> {
    optional(fields, name).filter(|text| !text.is_empty())
}

/// An empty string if the field is absent; `None` if it is not a string.
fn optional(fields: &HashMap<String, Value>, name: &str) -> Option<String> {
    match fields.get(name) {
        Some(Value::S(text)) => Some(text.clone()),
        Some(Value::Null) | None => Some(String::new()),
        Some(_) => None,
    }
}

/// `None` inside if the field is absent; `None` if it is not one of the known names.
fn form<T>(
    fields: &HashMap<String, Value>,
    name: &str,
    known: impl Fn(&str) -> Option<T>,
) -> Option<Option<T>> {
    match optional(fields, name)?.as_str() {
        "" => Some(None),
        text => known(text).map(Some),
    }
}

fn metadata(fields: &HashMap<String, Value>) -> Option<HashMap<String, String>> {
    match fields.get("metadata") {
        Some(Value::M(metadata)) => metadata
            .keys()
            .map(|name| Some((name.clone(), optional(metadata, name)?)))
            .collect(),
        Some(Value::Null) | None => Some(HashMap::new()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::S(text.to_owned())
    }

    fn stored(fields: &[(&str, Value)]) -> Value {
        Value::M(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }

    fn pydynox_fields() -> Vec<(&'static str, Value)> {
        vec![
            ("bucket", text("files")),
            ("key", text("docs/DOC/1/report.pdf")),
            ("size", Value::N("6291456".parse().unwrap())),
            ("etag", text("\"d41d8-2\"")),
            ("last_modified", text("2026-01-01T00:00:00Z")),
        ]
    }

    fn whole() -> Pointer {
        Pointer {
            bucket: "files".into(),
            key: "docs/a/b/c".into(),
            size_bytes: u64::MAX,
            etag: "\"e\"".into(),
            table: "documents".into(),
            content_type: "text/plain".into(),
            version_id: "v1".into(),
            metadata: HashMap::from([("author".into(), "somebody".into())]),
            sha256: "00ff".into(),
            name: "ñ.txt".into(),
            mac: "ff00".into(),
            encoding: Some(CompressionAlgorithm::Gzip),
            kind: Some(OffloadedKind::Binary),
        }
    }

    #[test]
    fn round_trips_pointers() {
        let few = Pointer {
            bucket: "b".into(),
            key: "k".into(),
            etag: "e".into(),
            ..Pointer::default()
        };
        for pointer in [whole(), few] {
            assert_eq!(Pointer::from_value(&pointer.to_value()), Some(pointer));
        }
    }

    #[test]
    fn does_not_store_empty_fields() {
        let few = Pointer {
            bucket: "b".into(),
            key: "k".into(),
            etag: "e".into(),
            ..Pointer::default()
        };
        let Value::M(fields) = few.to_value() else {
            panic!("a pointer is a map")
        };
        let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["bucket", "etag", "key", "size"]);
    }

    #[test]
    fn reads_pointers_of_pydynox() {
        let pointer = Pointer::from_value(&stored(&pydynox_fields())).unwrap();
        assert_eq!((pointer.size_bytes, pointer.sha256.as_str()), (6_291_456, ""));
        assert_eq!(pointer.key, "docs/DOC/1/report.pdf");
    }

    #[test]
    fn rejects_pointers_without_required_fields() {
        for missing in 0..4 {
            let mut fields = pydynox_fields();
            fields.remove(missing);
            assert!(Pointer::from_value(&stored(&fields)).is_none(), "field {missing}");
        }
        let mut wrong = pydynox_fields();
        wrong[2].1 = text("6291456");
        assert!(Pointer::from_value(&stored(&wrong)).is_none());
        wrong[2].1 = Value::N("1.5".parse().unwrap());
        assert!(Pointer::from_value(&stored(&wrong)).is_none());
        assert!(Pointer::from_value(&text("s3://files/docs")).is_none());
        for unknown in [("encoding", text("br")), ("kind", text("N"))] {
            let mut fields = pydynox_fields();
            fields.push(unknown);
            assert!(Pointer::from_value(&stored(&fields)).is_none());
        }
    }

    #[test]
    fn copies_the_pointer_to_the_object() {
        let object = whole().to_object();
        assert_eq!(
            (object.data, object.size_bytes, object.name.as_str()),
            (None, u64::MAX, "ñ.txt")
        );
    }
}
