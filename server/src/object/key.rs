//! The S3 key of a fresh object: `{prefix}{partition}/{sort}/{ulid}/{name}`, without the sort part where the table has
//! no sort key. Never the same key twice, and never two items in one folder.
//!
//! Every part is percent-encoded (all bytes but `A-Z a-z 0-9 - . _ ~`; the parts `.` and `..` wholly), a binary key
//! attribute is in lower-case hex first. Where the whole key would be longer than S3's 1024 bytes, the partition, then
//! the sort, then the name become `sha256-` and the hex SHA-256 of their bytes, as far as it takes. That leaves room
//! for a prefix of 750 bytes.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::item::Key;
use crate::model::Value;

/// S3's limit.
pub const MAX_KEY_BYTES: usize = 1024;
/// What stands for the name of an object that has none.
const UNNAMED: &str = "content";
/// RFC 3986's unreserved characters stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The key of an object that the item with `key` will own.
pub fn fresh(prefix: &str, key: &Key, ulid: Ulid, name: &str) -> String {
    let name = if name.is_empty() { UNNAMED } else { name };
    let ulid = ulid.to_string();
    let partition = text(key.partition());
    let sort = key.sort().map(text);
    let mut parts = [
        encoded(&partition),
        sort.as_deref().map_or_else(String::new, encoded),
        encoded(name),
    ];
    for (index, whole) in [partition.as_str(), sort.as_deref().unwrap_or_default(), name]
        .into_iter()
        .enumerate()
    {
        if joined_bytes(prefix, &parts, &ulid) <= MAX_KEY_BYTES {
            break;
        }
        let hashed = format!("sha256-{}", hex(&Sha256::digest(whole)));
        if hashed.len() < parts[index].len() {
            parts[index] = hashed;
        }
    }
    let [partition, sort, name] = parts;
    if sort.is_empty() {
        return format!("{prefix}{partition}/{ulid}/{name}");
    }
    format!("{prefix}{partition}/{sort}/{ulid}/{name}")
}

/// A key attribute as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::S(text) => text.clone(),
        Value::N(number) => number.as_str().to_owned(),
        Value::B(bytes) => hex(bytes),
        // `Key` holds nothing else
        Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => String::new(),
    }
}

/// One part of a key, or a header's value: ASCII without separators.
pub(super) fn encoded(part: &str) -> String {
    match part {
        "." | ".." => part.replace('.', "%2E"),
        part => utf8_percent_encode(part, ENCODED).to_string(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

/// One byte too many where there is no sort part, which does not matter.
fn joined_bytes(prefix: &str, parts: &[String; 3], ulid: &str) -> usize {
    prefix.len() + parts.iter().map(String::len).sum::<usize>() + ulid.len() + 3
}
