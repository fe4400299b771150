//! The fields of a line, in their order.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

/// Whether what was asked for was permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It was.
    Allow,
    /// It was not, or a part of it was not.
    Deny,
    /// The caller has no identity.
    Unauthenticated,
}

/// Most lines are shorter, with what follows their fields.
const USUAL_BYTES: usize = 768;
/// What follows the fields at most: the number and, in a chain, two HMACs in hexadecimal, with a line break.
const MORE_BYTES: usize = 192;

/// A line without its number.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    #[serde(serialize_with = "as_rfc3339")]
    pub(super) time: SystemTime,
    pub(super) caller: Option<&'a str>,
    pub(super) tenant: Option<&'a str>,
    pub(super) rpc: &'a str,
    pub(super) model: Option<Models<'a>>,
    pub(super) key: Option<Keys<'a>>,
    pub(super) decrypted: &'a BTreeSet<String>,
    pub(super) withheld: &'a BTreeSet<String>,
    pub(super) decision: Decision,
    pub(super) policies: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) denied: Option<DeniedParts<'a>>,
    pub(super) code: &'static str,
    pub(super) request_id: Option<&'a str>,
}

/// The HMACs of the items of a call.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Keys<'a> {
    /// That of the only item.
    One(&'a str),
    /// Those of the first items, and how many items there were.
    Several { first: &'a [String], count: u64 },
}

/// The models of a call.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Models<'a> {
    /// The only one.
    One(&'a str),
    /// Those of a batch or transaction.
    Several(&'a BTreeSet<String>),
}

/// The parts of a batch or transaction that were not permitted: the first ones, and how many there were.
#[derive(Debug, Serialize)]
pub(super) struct DeniedParts<'a> {
    pub(super) first: &'a [DeniedPart],
    pub(super) count: u64,
}

/// A part that was not permitted.
#[derive(Debug, Serialize)]
pub(super) struct DeniedPart {
    pub(super) model: String,
    /// The HMAC of its item; `None`: its key is not valid.
    pub(super) key: Option<String>,
}

impl Line<'_> {
    /// A change of what decides about calls.
    pub(super) fn of_change(what: &str) -> Unnumbered {
        let none = BTreeSet::new();
        let line = Line {
            time: SystemTime::now(),
            caller: None,
            tenant: None,
            rpc: what,
            model: None,
            key: None,
            decrypted: &none,
            withheld: &none,
            decision: Decision::Allow,
            policies: &none,
            denied: None,
            code: "OK",
            request_id: None,
        };
        line.unnumbered()
    }

    /// Its JSON, for its number to follow.
    pub(super) fn unnumbered(&self) -> Unnumbered {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut bytes, self).expect("a line has only texts and numbers");
        let mut text = String::from_utf8(bytes).expect("JSON is UTF-8");
        text.pop();
        Unnumbered(text)
    }
}

/// The JSON of a line up to its number, which it gets when it is written.
pub(super) struct Unnumbered(String);

impl Unnumbered {
    /// The line as JSON, without `prev` and without a line break.
    pub(super) fn numbered(&self, seq: u64) -> String {
        let mut text = String::with_capacity(self.0.len() + MORE_BYTES);
        text.push_str(&self.0);
        text.push_str(",\"seq\":");
        text.push_str(&seq.to_string());
        text.push('}');
        text
    }

    /// The memory that it uses.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Unnumbered>() + self.0.len()
    }
}

/// The time, in RFC 3339 with milliseconds.
fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}
