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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Item, Model, UnknownAttributes};

    fn key(partition: Value, sort: Option<Value>) -> Key {
        let model = Model {
            name: "M".into(),
            table: "t".into(),
            partition_key: "pk".into(),
            sort_key: sort.as_ref().map(|_| "sk".into()),
            attributes: Vec::new(),
            unknown_attributes: UnknownAttributes::Keep,
        };
        let mut item = Item::from([("pk".to_owned(), partition)]);
        item.extend(sort.map(|sort| ("sk".to_owned(), sort)));
        Key::of_item(&model, &item).unwrap()
    }

    fn of(partition: &str, sort: Option<&str>, name: &str) -> String {
        let text = |text: &str| Value::S(text.to_owned());
        fresh("docs/", &key(text(partition), sort.map(text)), Ulid(7), name)
    }

    const ULID: &str = "00000000000000000000000007";

    #[test]
    fn parts_are_encoded_each_for_itself() {
        assert_eq!(
            of("A#B", Some("C/D"), "a b.pdf"),
            format!("docs/A%23B/C%2FD/{ULID}/a%20b.pdf")
        );
        assert_eq!(of("A/B", None, "ü%"), format!("docs/A%2FB/{ULID}/%C3%BC%25"));
        assert_eq!(
            of(".", Some(".."), ".."),
            format!("docs/%2E/%2E%2E/{ULID}/%2E%2E")
        );
        assert_eq!(of("p", None, ""), format!("docs/p/{ULID}/content"));
        assert_eq!(of("\0\n", None, "x"), format!("docs/%00%0A/{ULID}/x"));
        let typed = key(
            Value::N("-1.50".parse().unwrap()),
            Some(Value::B(Bytes::from_static(&[0, 255]))),
        );
        assert_eq!(fresh("", &typed, Ulid(7), "x"), format!("-1.5/00ff/{ULID}/x"));
    }

    #[test]
    fn long_parts_become_hashes_first_the_partition() {
        let long = of(&"p".repeat(900), Some(&"s".repeat(500)), "name");
        let partition = hex(&Sha256::digest("p".repeat(900)));
        assert_eq!(
            long,
            format!("docs/sha256-{partition}/{}/{ULID}/name", "s".repeat(500))
        );
        let longer = of(&"p".repeat(2048), Some(&"s".repeat(1024)), &"n".repeat(2000));
        assert!(
            longer.len() <= MAX_KEY_BYTES && longer.matches("sha256-").count() == 3,
            "{longer}"
        );
        let exact = of(&"p".repeat(1024 - 5 - 1 - 26 - 1 - 1), None, "n");
        assert!(exact.len() <= MAX_KEY_BYTES, "{}", exact.len());
    }

    proptest! {
        #[test]
        fn a_key_is_ascii_of_bounded_length_with_as_many_parts_as_it_should(
            partition in ".{1,1200}",
            sort in proptest::option::of(".{1,600}"),
            name in ".{0,900}",
        ) {
            let key = of(&partition, sort.as_deref(), &name);
            prop_assert!(key.len() <= MAX_KEY_BYTES && key.is_ascii());
            prop_assert_eq!(key.split('/').count(), if sort.is_some() { 5 } else { 4 });
            prop_assert!(key.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
        }

        #[test]
        fn different_items_have_different_folders(one in ".{1,40}", other in ".{1,40}") {
            prop_assume!(one != other);
            prop_assert_ne!(of(&one, None, "n"), of(&other, None, "n"));
            prop_assert_ne!(of(&one, Some(&other), "n"), of(&other, Some(&one), "n"));
        }
    }
}
