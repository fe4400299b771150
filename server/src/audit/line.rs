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

    /// The line as JSON, without `prev` and without a line break.
    pub(super) fn numbered(&self, seq: u64) -> String {
        let mut text = serde_json::to_string(self).expect("a line has only texts and numbers");
        // appended, since serde builds a map of fields to flatten a struct into another
        text.pop();
        text.push_str(",\"seq\":");
        text.push_str(&seq.to_string());
        text.push('}');
        text
    }

    /// About how much memory it uses.
    pub(super) fn bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + size_of::<String>()).sum();
        let lists: usize = [&self.decrypted, &self.withheld, &self.policies]
            .map(|list| texts(list))
            .iter()
            .sum();
        let keys = match &self.key {
            Some(Keys::Several { first, .. }) => texts(first),
            Some(Keys::One(_)) | None => 0,
        };
        let models = match &self.model {
            Some(Models::Several(names)) => texts(names),
            Some(Models::One(name)) => name.len(),
            None => 0,
        };
        let denied = self.denied.iter().flat_map(|denied| &denied.first);
        let denied: usize = denied
            .map(|part| size_of::<DeniedPart>() + part.model.len() + part.key.as_ref().map_or(0, String::len))
            .sum();
        size_of::<Line>() + lists + keys + models + denied
    }
}

/// The time, in RFC 3339 with milliseconds.
pub(super) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
