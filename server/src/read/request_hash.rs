//! A hash of a request: a page token opens only with the hash that it was sealed with, and a write is a repeat of another
//! only if both have the same one. Independent of the order of names in maps.

use sha2::{Digest as _, Sha256};

use crate::expression::Expression;
use crate::model::{Item, Object, Value};

/// The SHA-256 of a request, without what may change from page to page, or from repeat to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHash([u8; 32]);

/// Hashes the parts of a request. Each part is length-prefixed, and maps are hashed in the order of their names.
pub struct RequestHasher(Sha256);

impl RequestHash {
    /// The hash as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl RequestHasher {
    /// Starts the hash of a request to this RPC.
    pub fn new(rpc: &str) -> RequestHasher {
        let mut hasher = RequestHasher(Sha256::new());
        hasher.text(rpc);
        hasher
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        self.part(0, text.as_bytes());
    }

    /// Adds the caller, so that the hash is that of its requests alone. Nothing if callers are not authenticated.
    pub fn caller(&mut self, id: &[u8]) {
        if !id.is_empty() {
            self.part(3, id);
        }
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.part(1, &number.to_be_bytes());
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    /// Adds an expression with its placeholders; `None` is distinct from an empty one.
    pub fn expression(&mut self, expression: Option<&Expression>) {
        let Some(expression) = expression else {
            return self.number(0);
        };
        self.text(&expression.text);
        let mut names: Vec<_> = expression.names.iter().collect();
        names.sort();
        self.number(names.len() as u64);
        for (placeholder, name) in names {
            self.text(placeholder);
            self.text(name);
        }
        self.fields(&expression.values);
    }

    /// Adds an item or a key.
    pub fn item(&mut self, item: &Item) {
        self.fields(item);
    }

    /// The hash of everything that was added.
    pub fn finish(self) -> RequestHash {
        RequestHash(self.0.finalize().into())
    }

    fn fields(&mut self, fields: &Item) {
        let mut fields: Vec<_> = fields.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        self.number(fields.len() as u64);
        for (name, value) in fields {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        self.text(value.type_name());
        match value {
            Value::S(text) => self.text(text),
            Value::N(number) => self.text(number.as_str()),
            Value::B(bytes) => self.part(2, bytes),
            Value::Bool(flag) => self.number(u64::from(*flag)),
            Value::Null => {}
            Value::L(values) => {
                self.number(values.len() as u64);
                values.iter().for_each(|inner| self.value(inner));
            }
            Value::M(fields) => self.fields(fields),
            Value::SS(members) => {
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.text(member));
            }
            Value::NS(members) => {
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.text(member.as_str()));
            }
            Value::BS(members) => {
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.part(2, member));
            }
            Value::Object(object) => self.object(object),
        }
    }

    fn object(&mut self, object: &Object) {
        // lists every field, so that none is left out
        let Object {
            data,
            stream,
            name,
            content_type,
            metadata,
            bucket,
            key,
            size_bytes,
            etag,
            version_id,
            sha256,
            upload_token,
            upload: _,
        } = object;
        match data {
            Some(data) => self.part(2, data),
            None => self.number(u64::from(stream.is_some())),
        }
        for text in [name, content_type, bucket, key, etag, version_id, sha256] {
            self.text(text);
        }
        // the hashes of requests without a token are stored
        if !upload_token.is_empty() {
            self.text(upload_token);
        }
        self.number(*size_bytes);
        let mut metadata: Vec<_> = metadata.iter().collect();
        metadata.sort();
        self.number(metadata.len() as u64);
        for (name, value) in metadata {
            self.text(name);
            self.text(value);
        }
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update([tag]);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn separates_adjacent_parts() {
        let hash = |parts: &[&str]| {
            let mut hasher = RequestHasher::new("Scan");
            parts.iter().for_each(|part| hasher.text(part));
            hasher.finish()
        };
        assert!(hash(&["ab", "c"]) != hash(&["a", "bc"]));
    }

    #[test]
    fn every_field_of_an_object_makes_a_difference() {
        let hash = |object: Object| {
            let mut hasher = RequestHasher::new("Save");
            hasher.item(&[("photo".to_owned(), Value::Object(Box::new(object)))].into());
            hasher.finish()
        };
        let data = |content: &'static [u8]| Some(Bytes::from_static(content));
        let text = || "x".to_owned();
        let plain = || Object {
            data: data(b"1"),
            ..Object::default()
        };
        let objects = [
            Object::default(),
            plain(),
            Object {
                data: data(b"2"),
                ..plain()
            },
            Object {
                name: text(),
                ..plain()
            },
            Object {
                content_type: text(),
                ..plain()
            },
            Object {
                metadata: [(text(), text())].into(),
                ..plain()
            },
            Object {
                size_bytes: 1,
                ..plain()
            },
            Object {
                sha256: text(),
                ..plain()
            },
        ];
        let hashes: Vec<_> = objects.into_iter().map(hash).collect();
        for (index, one) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(one), "object {index} equals another");
        }
    }

    #[test]
    fn the_order_of_names_makes_no_difference() {
        let hash = |names: &[&str]| {
            let mut hasher = RequestHasher::new("Save");
            let fields = names.iter().map(|name| ((*name).to_owned(), Value::Null));
            hasher.item(&fields.collect());
            hasher.finish()
        };
        let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let forwards: Vec<&str> = names.iter().map(String::as_str).collect();
        let backwards: Vec<&str> = forwards.iter().rev().copied().collect();
        assert_eq!(hash(&forwards), hash(&backwards));
    }

    #[test]
    fn separates_the_members_of_a_set_from_the_next_value() {
        let hash = |values: [(&str, Value); 2]| {
            let mut hasher = RequestHasher::new("Scan");
            let values = values.map(|(name, value)| (name.to_owned(), value));
            hasher.expression(Some(&Expression {
                text: "a = :a AND b = :b".to_owned(),
                values: values.into(),
                names: [].into(),
            }));
            hasher.finish()
        };
        let texts = |members: &[&str]| Value::SS(members.iter().map(|member| (*member).to_owned()).collect());
        let bytes = |members: &[&[u8]]| {
            Value::BS(
                members
                    .iter()
                    .map(|member| Bytes::copy_from_slice(member))
                    .collect(),
            )
        };
        // without a member count, the text after a shorter set would hash like a longer set
        let long = hash([(":a", texts(&["1", ":b", "SS"])), (":b", texts(&["x"]))]);
        let short = hash([(":a", texts(&["1"])), (":b", texts(&[":b", "SS", "x"]))]);
        assert!(long != short);
        let long = hash([(":a", bytes(&[b"1", b"2"])), (":b", Value::Null)]);
        let short = hash([(":a", bytes(&[b"1"])), (":b", bytes(&[b"2"]))]);
        assert!(long != short);
    }
}
