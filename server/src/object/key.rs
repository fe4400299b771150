//! The S3 keys of an item's objects: `{prefix}{partition}/{sort}/{ulid}/{name}`, without the sort part if the table has
//! no sort key. Never returns a key twice, and never the same folder for two items.
//!
//! Every part is percent-encoded: all bytes except `A-Z a-z 0-9 - . _ ~`, and every dot of the parts `.` and `..`. Binary
//! key attributes are converted to lower-case hex first. A leading dot of the partition becomes `%2E`, which reserves
//! `{prefix}.uploads/`. If the key would exceed S3's limit of 1024 bytes, the partition, then the sort, then the name are
//! replaced by `sha256-` and the hex SHA-256 of their bytes, as needed; this leaves 750 bytes for the prefix. If a key
//! attribute looks like such a hash, its first letter is percent-encoded, so that it does not share the folder of the item
//! with that hash.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::item::Key;
use crate::model::Value;
use crate::model::limits::MAX_OBJECT_KEY_BYTES;

/// The name part of an object without a name.
const UNNAMED: &str = "content";
/// The folder that is reserved for uploads by presigned URLs.
pub(super) const UPLOADS: &str = ".uploads";
/// The prefix of a hashed part.
const HASH_PREFIX: &str = "sha256-";
/// The number of hex digits of a SHA-256.
const HASH_DIGITS: usize = 64;
/// Everything except the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A new key for an object of the item with `key`.
pub fn object_key(prefix: &str, key: &Key, ulid: Ulid, name: &str) -> String {
    let name = if name.is_empty() { UNNAMED } else { name };
    let ulid = ulid.to_string();
    let partition = key_text(key.partition());
    let sort = key.sort().map(key_text);
    let mut parts = [
        partition_part(&partition),
        sort.as_deref().map_or_else(String::new, item_part),
        encoded(name),
    ];
    for (index, whole) in [partition.as_str(), sort.as_deref().unwrap_or_default(), name]
        .into_iter()
        .enumerate()
    {
        if joined_bytes(prefix, &parts, &ulid) <= MAX_OBJECT_KEY_BYTES {
            break;
        }
        if let Some(hashed) = hashed_part(whole, &parts[index]) {
            parts[index] = hashed;
        }
    }
    let [partition, sort, name] = parts;
    if sort.is_empty() {
        return format!("{prefix}{partition}/{ulid}/{name}");
    }
    format!("{prefix}{partition}/{sort}/{ulid}/{name}")
}

/// A new key for an upload by URL.
pub fn upload_key(prefix: &str, ulid: Ulid) -> String {
    format!("{prefix}{UPLOADS}/{ulid}")
}

/// Whether [`object_key`] can return `object_key` for the item with `key`: the item's folder, followed by one part for the
/// ULID and one for the name. Compares the encoded parts byte by byte.
pub fn belongs_to(prefix: &str, key: &Key, object_key: &str) -> bool {
    if object_key.len() > MAX_OBJECT_KEY_BYTES {
        return false;
    }
    let Some(path) = object_key.strip_prefix(prefix) else {
        return false;
    };
    let parts: Vec<&str> = path.split('/').collect();
    let (partition, sort, [ulid, name]) = match (parts.as_slice(), key.sort()) {
        ([partition, sort, ulid, name], Some(key_sort)) => {
            (*partition, Some((*sort, key_sort)), [*ulid, *name])
        }
        ([partition, ulid, name], None) => (*partition, None, [*ulid, *name]),
        _ => return false,
    };
    is_partition_part(&key_text(key.partition()), partition)
        && sort.is_none_or(|(part, value)| is_item_part(&key_text(value), part))
        && [ulid, name].iter().all(|part| !matches!(*part, "" | "." | ".."))
}

fn is_partition_part(whole: &str, part: &str) -> bool {
    let encoded = partition_part(whole);
    // older versions did not encode leading dots
    let is_older = whole.starts_with('.') && part != UPLOADS && part == item_part(whole);
    part == encoded || is_older || hashed_part(whole, &encoded).is_some_and(|hashed| part == hashed)
}

fn is_item_part(whole: &str, part: &str) -> bool {
    let encoded = item_part(whole);
    part == encoded || hashed_part(whole, &encoded).is_some_and(|hashed| part == hashed)
}

/// The text form of a key attribute.
pub(super) fn key_text(value: &Value) -> String {
    match value {
        Value::S(text) => text.clone(),
        Value::N(number) => number.as_str().to_owned(),
        Value::B(bytes) => hex(bytes),
        // a `Key` has no other types
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

/// Encodes a part as ASCII without separators.
fn encoded(part: &str) -> String {
    match part {
        "." | ".." => part.replace('.', "%2E"),
        part => utf8_percent_encode(part, ENCODED).to_string(),
    }
}

/// Encodes the partition.
fn partition_part(whole: &str) -> String {
    let part = item_part(whole);
    match part.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => part,
    }
}

/// Encodes a key attribute for an object's key or metadata.
pub(super) fn item_part(whole: &str) -> String {
    if is_hash(whole) {
        return whole.replacen('s', "%73", 1);
    }
    encoded(whole)
}

/// The hash that replaces a part; `None` if it is not shorter than the part.
pub(super) fn hashed_part(whole: &str, part: &str) -> Option<String> {
    let hashed = format!("{HASH_PREFIX}{}", hex(&Sha256::digest(whole)));
    Some(hashed).filter(|hashed| hashed.len() < part.len())
}

pub(super) fn is_hash(text: &str) -> bool {
    text.strip_prefix(HASH_PREFIX).is_some_and(|digits| {
        digits.len() == HASH_DIGITS
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

/// The bytes of a SHA-256 or MAC in hex; `None` if it is none.
pub(super) fn unhex(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u32> = hex
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks(2);
    let bytes = pairs.map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// The length of the key. Without a sort part it is one less, which makes no difference.
fn joined_bytes(prefix: &str, parts: &[String; 3], ulid: &str) -> usize {
    prefix.len() + parts.iter().map(String::len).sum::<usize>() + ulid.len() + 3
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::model::testing::model;
    use crate::model::{Item, Model};

    fn key(partition: Value, sort: Option<Value>) -> Key {
        let model = Model {
            sort_key: sort.as_ref().map(|_| "sk".into()),
            ..model(Vec::new())
        };
        let mut item = Item::from([("pk".to_owned(), partition)]);
        item.extend(sort.map(|sort| ("sk".to_owned(), sort)));
        Key::from_item(&model, &item).unwrap()
    }

    fn text_key(partition: &str, sort: Option<&str>, name: &str) -> String {
        let text = |text: &str| Value::S(text.to_owned());
        object_key("docs/", &key(text(partition), sort.map(text)), Ulid(7), name)
    }

    const ULID: &str = "00000000000000000000000007";

    #[test]
    fn encodes_each_part() {
        assert_eq!(
            text_key("A#B", Some("C/D"), "a b.pdf"),
            format!("docs/A%23B/C%2FD/{ULID}/a%20b.pdf")
        );
        assert_eq!(
            text_key("A/B", None, "ü%"),
            format!("docs/A%2FB/{ULID}/%C3%BC%25")
        );
        assert_eq!(
            text_key(".", Some(".."), ".."),
            format!("docs/%2E/%2E%2E/{ULID}/%2E%2E")
        );
        assert_eq!(text_key("p", None, ""), format!("docs/p/{ULID}/content"));
        assert_eq!(text_key("\0\n", None, "x"), format!("docs/%00%0A/{ULID}/x"));
        let typed = key(
            Value::N("-1.50".parse().unwrap()),
            Some(Value::B(Bytes::from_static(&[0, 255]))),
        );
        assert_eq!(
            object_key("", &typed, Ulid(7), "x"),
            format!("-1.5/00ff/{ULID}/x")
        );
    }

    #[test]
    fn encodes_a_leading_dot_of_the_partition() {
        assert_eq!(
            text_key(".uploads", Some(".s"), ".n"),
            format!("docs/%2Euploads/.s/{ULID}/.n")
        );
        assert_eq!(text_key("..", None, "n"), format!("docs/%2E%2E/{ULID}/n"));
        assert_eq!(text_key("...", None, "n"), format!("docs/%2E../{ULID}/n"));
    }

    #[test]
    fn a_key_that_looks_like_a_hash_has_a_separate_folder() {
        let long = "p".repeat(1100);
        let hashed = format!("sha256-{}", hex(&Sha256::digest(&long)));
        assert_eq!(text_key(&long, None, "n"), format!("docs/{hashed}/{ULID}/n"));
        assert_eq!(
            text_key(&hashed, None, "n"),
            format!("docs/%73{}/{ULID}/n", &hashed[1..])
        );
        let text = |text: &str| Value::S(text.to_owned());
        assert!(belongs_to(
            "docs/",
            &key(text(&long), None),
            &text_key(&long, None, "n")
        ));
        assert!(!belongs_to(
            "docs/",
            &key(text(&hashed), None),
            &text_key(&long, None, "n")
        ));
        let short = key(text("p"), None);
        let hash_of_short = format!("sha256-{}", hex(&Sha256::digest("p")));
        assert!(!belongs_to(
            "docs/",
            &short,
            &format!("docs/{hash_of_short}/{ULID}/n")
        ));
    }

    #[test]
    fn accepts_only_keys_in_the_folder_of_the_item() {
        let text = |text: &str| Value::S(text.to_owned());
        let item = key(text("A#B"), Some(text("V 1")));
        let is_own = |object_key: &str| belongs_to("docs/", &item, object_key);
        assert!(is_own(&text_key("A#B", Some("V 1"), "a/b")));
        assert!(is_own("docs/A%23B/V%201/any/name"));
        for other in [
            "",
            "docs/",
            "docs/A%23B",
            "docs/A%23B/V%201",
            "docs/A%23B/V%201/",
            "docs/A%23B/V%201/u",
            "docs/A%23B/V%201/u/",
            "docs/A%23B/V%201//n",
            "docs/A%23B/V%201/u/n/",
            "docs/A%23B/V%201/u/n/m",
            "docs/A%23B/V%201/../n",
            "docs/A%23B/V%201/u/..",
            "docs/A%23B/V%201/../V%202/u/n",
            "docs/A%23B/V%202/u/n",
            "docs/A%23B/V%201x/u/n",
            "docs/A%23/V%201/u/n",
            "docs/A#B/V 1/u/n",
            "docs/A%2523B/V%201/u/n",
            "docs/a%23b/V%201/u/n",
            "docs/A%23B/V+1/u/n",
            "/docs/A%23B/V%201/u/n",
            "docs//A%23B/V%201/u/n",
            "Docs/A%23B/V%201/u/n",
            "A%23B/V%201/u/n",
            "docs/A/B/V%201/u/n",
        ] {
            assert!(!is_own(other), "{other}");
        }
        assert!(!is_own(&format!(
            "docs/A%23B/V%201/u/{}",
            "n".repeat(MAX_OBJECT_KEY_BYTES)
        )));
        let without_sort = key(text("A"), None);
        assert!(belongs_to("docs/", &without_sort, "docs/A/u/n"));
        assert!(!belongs_to("docs/", &without_sort, "docs/A/V1/u/n"));
        let dotted = key(text(".a"), None);
        assert!(belongs_to("docs/", &dotted, "docs/%2Ea/u/n") && belongs_to("docs/", &dotted, "docs/.a/u/n"));
        assert!(!belongs_to(
            "docs/",
            &key(text(".uploads"), None),
            "docs/.uploads/u/n"
        ));
    }

    #[test]
    fn hashes_long_parts_beginning_with_the_partition() {
        let long = text_key(&"p".repeat(900), Some(&"s".repeat(500)), "name");
        let partition = hex(&Sha256::digest("p".repeat(900)));
        assert_eq!(
            long,
            format!("docs/sha256-{partition}/{}/{ULID}/name", "s".repeat(500))
        );
        let longer = text_key(&"p".repeat(2048), Some(&"s".repeat(1024)), &"n".repeat(2000));
        assert!(
            longer.len() <= MAX_OBJECT_KEY_BYTES && longer.matches("sha256-").count() == 3,
            "{longer}"
        );
        let exact = text_key(&"p".repeat(1024 - 5 - 1 - 26 - 1 - 1), None, "n");
        assert!(exact.len() <= MAX_OBJECT_KEY_BYTES, "{}", exact.len());
    }

    proptest! {
        #[test]
        fn keys_are_ascii_with_limited_length_and_the_right_parts(
            partition in ".{1,1200}",
            sort in proptest::option::of(".{1,600}"),
            name in ".{0,900}",
        ) {
            let key = text_key(&partition, sort.as_deref(), &name);
            prop_assert!(key.len() <= MAX_OBJECT_KEY_BYTES && key.is_ascii());
            prop_assert_eq!(key.split('/').count(), if sort.is_some() { 5 } else { 4 });
            prop_assert!(key.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            let text = |text: &str| Value::S(text.to_owned());
            let item = self::key(text(&partition), sort.as_deref().map(text));
            prop_assert!(belongs_to("docs/", &item, &key));
        }

        #[test]
        fn different_items_have_different_folders(one in ".{1,40}", other in ".{1,40}") {
            prop_assume!(one != other);
            prop_assert_ne!(text_key(&one, None, "n"), text_key(&other, None, "n"));
            prop_assert_ne!(text_key(&one, Some(&other), "n"), text_key(&other, Some(&one), "n"));
            let text = |text: &str| Value::S(text.to_owned());
            prop_assert!(!belongs_to("docs/", &key(text(&one), None), &text_key(&other, None, "n")));
            let swapped = key(text(&other), Some(text(&one)));
            prop_assert!(!belongs_to("docs/", &swapped, &text_key(&one, Some(&other), "n")));
        }
    }
}
