//! The fields of a line, in their order.

use std::time::SystemTime;

use serde::Serialize;

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

/// What follows the fields at most: the number and, in a chain, two HMACs in hexadecimal.
const MORE_BYTES: usize = 192;

/// A line without its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) time: String,
    pub(super) caller: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) rpc: String,
    pub(super) model: Option<Models>,
    pub(super) key: Option<Keys>,
    pub(super) decrypted: Vec<String>,
    pub(super) withheld: Vec<String>,
    pub(super) decision: Decision,
    pub(super) policies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) denied: Option<DeniedParts>,
    pub(super) code: &'static str,
    pub(super) request_id: Option<String>,
}

/// The HMACs of the items of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Keys {
    /// That of the only item.
    One(String),
    /// Those of the first items, and how many items there were.
    Several { first: Vec<String>, count: u64 },
}

/// The models of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Models {
    /// The only one.
    One(String),
    /// Those of a batch or transaction.
    Several(Vec<String>),
}

/// The parts of a batch or transaction that were not permitted: the first ones, and how many there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DeniedParts {
    pub(super) first: Vec<DeniedPart>,
    pub(super) count: u64,
}

/// A part that was not permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DeniedPart {
    pub(super) model: String,
    /// The HMAC of its item; `None`: its key is not valid.
    pub(super) key: Option<String>,
}

impl Line {
    /// A change of what decides about calls.
    pub(super) fn of_change(what: &'static str) -> Line {
        Line {
            time: now(),
            caller: None,
            tenant: None,
            rpc: what.to_owned(),
            model: None,
            key: None,
            decrypted: Vec::new(),
            withheld: Vec::new(),
            decision: Decision::Allow,
            policies: Vec::new(),
            denied: None,
            code: "OK",
            request_id: None,
        }
    }

    /// Its JSON, for its number to follow.
    pub(super) fn unnumbered(&self) -> Unnumbered {
        let mut text = serde_json::to_string(self).expect("a line has only texts and numbers");
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
pub(super) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
