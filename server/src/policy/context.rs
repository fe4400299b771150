//! The context of a decision: what policies may know about a request, beside who calls and what for.

use super::reads::{Attribute, Reads};

/// The key of the item that a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyParts {
    /// The text of the partition key. `None`: the request names none, or it is binary.
    pub partition_key: Option<String>,
    /// The parts of the templates of its keys, as they are in the keys.
    pub parts: Vec<(String, String)>,
}

/// What policies may know about a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The key of the item.
    pub key: KeyParts,
    /// Whether the read is strongly consistent.
    pub consistent: bool,
    /// The session that is billed.
    pub session: Option<String>,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// The time, in epoch seconds.
    pub time: i64,
}

impl Context {
    /// Adds what policies read of it to the parts of a cache key.
    pub(super) fn add_to(&self, reads: Reads, mut add: impl FnMut(&[u8])) {
        let mut optional = |text: Option<&str>| match text {
            Some(text) => {
                add(&[1]);
                add(text.as_bytes());
            }
            None => add(&[0]),
        };
        if reads.has(Attribute::PartitionKey) {
            optional(self.key.partition_key.as_deref());
        }
        if reads.has(Attribute::Session) {
            optional(self.session.as_deref());
        }
        if reads.has(Attribute::Key) {
            add(&(self.key.parts.len() as u64).to_be_bytes());
            for (name, text) in &self.key.parts {
                add(name.as_bytes());
                add(text.as_bytes());
            }
        }
        if reads.has(Attribute::Consistent) {
            add(&[u8::from(self.consistent)]);
        }
        if reads.has(Attribute::Tls) {
            add(&[u8::from(self.tls)]);
        }
        if reads.has(Attribute::Time) {
            add(&self.time.to_be_bytes());
        }
    }
}
