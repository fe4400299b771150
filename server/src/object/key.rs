//! The S3 keys of an item's objects: `{prefix}{partition}/{sort}/{ulid}/{name}`, without the sort part if the table has
//! no sort key. A key is never used twice, and two items never share a folder.
//!
//! Every part is percent-encoded (all bytes but `A-Z a-z 0-9 - . _ ~`; the parts `.` and `..` wholly); a binary key
//! attribute is in lower-case hex first. A leading dot of the partition is `%2E`, so that `{prefix}.uploads/` is nobody's
//! folder. If the whole key would be longer than S3's 1024 bytes, the partition, then the sort, then the name become
//! `sha256-` and the hex SHA-256 of their bytes, as far as needed. That leaves room for a prefix of 750 bytes. A key
//! attribute that looks like such a hash has its first letter encoded, so that it never shares the folder of the item
//! that the hash stands for.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::item::Key;
use crate::model::Value;
use crate::model::limits::MAX_OBJECT_KEY_BYTES;

/// What stands for the name of an object that has none.
const UNNAMED: &str = "content";
/// What uploads by presigned URLs are kept under.
const UPLOADS: &str = ".uploads";
/// What the hash of a long part begins with.
const HASHED: &str = "sha256-";
/// Hex digits of a SHA-256.
const HASH_DIGITS: usize = 64;
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

/// Whether an object's key is one that [`fresh`] may give to an object of the item with `key`: in the item's own folder,
/// one part for the ULID and one for the name below it. Parts are compared as they are encoded, byte by byte.
pub fn is_of_item(prefix: &str, key: &Key, object_key: &str) -> bool {
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
    is_partition_part(&text(key.partition()), partition)
        && sort.is_none_or(|(part, value)| is_item_part(&text(value), part))
        && [ulid, name].iter().all(|part| !matches!(*part, "" | "." | ".."))
}

fn is_partition_part(whole: &str, part: &str) -> bool {
    let encoded = partition_part(whole);
    // keys written before leading dots were encoded
    let before = whole.starts_with('.') && part != UPLOADS && part == item_part(whole);
    part == encoded || before || hashed_part(whole, &encoded).is_some_and(|hashed| part == hashed)
}

fn is_item_part(whole: &str, part: &str) -> bool {
    let encoded = item_part(whole);
    part == encoded || hashed_part(whole, &encoded).is_some_and(|hashed| part == hashed)
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

/// One part of a key: ASCII without separators.
fn encoded(part: &str) -> String {
    match part {
        "." | ".." => part.replace('.', "%2E"),
        part => utf8_percent_encode(part, ENCODED).to_string(),
    }
}

/// The partition's part of a key.
fn partition_part(whole: &str) -> String {
    let part = item_part(whole);
    match part.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => part,
    }
}

/// A key attribute as a part of a key, or as a value of an object's metadata.
pub(super) fn item_part(whole: &str) -> String {
    if is_hash(whole) {
        return whole.replacen('s', "%73", 1);
    }
    encoded(whole)
}

/// What stands for a part that is too long; none if the part is no longer than that.
pub(super) fn hashed_part(whole: &str, part: &str) -> Option<String> {
    let hashed = format!("{HASHED}{}", hex(&Sha256::digest(whole)));
    Some(hashed).filter(|hashed| hashed.len() < part.len())
}

fn is_hash(text: &str) -> bool {
    text.strip_prefix(HASHED).is_some_and(|digits| {
        digits.len() == HASH_DIGITS
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
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
    use crate::model::testing::model;
    use crate::model::{Item, Model};

    fn key(partition: Value, sort: Option<Value>) -> Key {
        let model = Model {
            sort_key: sort.as_ref().map(|_| "sk".into()),
            ..model(Vec::new())
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
    fn a_leading_dot_of_the_partition_is_encoded() {
        assert_eq!(
            of(".uploads", Some(".s"), ".n"),
            format!("docs/%2Euploads/.s/{ULID}/.n")
        );
        assert_eq!(of("..", None, "n"), format!("docs/%2E%2E/{ULID}/n"));
        assert_eq!(of("...", None, "n"), format!("docs/%2E../{ULID}/n"));
    }

    #[test]
    fn an_item_that_is_called_like_a_hash_has_its_own_folder() {
        let long = "p".repeat(1100);
        let hashed = format!("sha256-{}", hex(&Sha256::digest(&long)));
        assert_eq!(of(&long, None, "n"), format!("docs/{hashed}/{ULID}/n"));
        assert_eq!(
            of(&hashed, None, "n"),
            format!("docs/%73{}/{ULID}/n", &hashed[1..])
        );
        let text = |text: &str| Value::S(text.to_owned());
        assert!(is_of_item(
            "docs/",
            &key(text(&long), None),
            &of(&long, None, "n")
        ));
        assert!(!is_of_item(
            "docs/",
            &key(text(&hashed), None),
            &of(&long, None, "n")
        ));
        let short = key(text("p"), None);
        let hash_of_short = format!("sha256-{}", hex(&Sha256::digest("p")));
        assert!(!is_of_item(
            "docs/",
            &short,
            &format!("docs/{hash_of_short}/{ULID}/n")
        ));
    }

    #[test]
    fn only_keys_of_the_form_that_is_written_are_the_items() {
        let text = |text: &str| Value::S(text.to_owned());
        let item = key(text("A#B"), Some(text("V 1")));
        let is_own = |object_key: &str| is_of_item("docs/", &item, object_key);
        assert!(is_own(&of("A#B", Some("V 1"), "a/b")));
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
        assert!(is_of_item("docs/", &without_sort, "docs/A/u/n"));
        assert!(!is_of_item("docs/", &without_sort, "docs/A/V1/u/n"));
        let dotted = key(text(".a"), None);
        assert!(is_of_item("docs/", &dotted, "docs/%2Ea/u/n") && is_of_item("docs/", &dotted, "docs/.a/u/n"));
        assert!(!is_of_item(
            "docs/",
            &key(text(".uploads"), None),
            "docs/.uploads/u/n"
        ));
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
            longer.len() <= MAX_OBJECT_KEY_BYTES && longer.matches("sha256-").count() == 3,
            "{longer}"
        );
        let exact = of(&"p".repeat(1024 - 5 - 1 - 26 - 1 - 1), None, "n");
        assert!(exact.len() <= MAX_OBJECT_KEY_BYTES, "{}", exact.len());
    }

    proptest! {
        #[test]
        fn a_key_is_ascii_of_bounded_length_with_as_many_parts_as_it_should(
            partition in ".{1,1200}",
            sort in proptest::option::of(".{1,600}"),
            name in ".{0,900}",
        ) {
            let key = of(&partition, sort.as_deref(), &name);
            prop_assert!(key.len() <= MAX_OBJECT_KEY_BYTES && key.is_ascii());
            prop_assert_eq!(key.split('/').count(), if sort.is_some() { 5 } else { 4 });
            prop_assert!(key.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            let text = |text: &str| Value::S(text.to_owned());
            let item = self::key(text(&partition), sort.as_deref().map(text));
            prop_assert!(is_of_item("docs/", &item, &key));
        }

        #[test]
        fn different_items_have_different_folders(one in ".{1,40}", other in ".{1,40}") {
            prop_assume!(one != other);
            prop_assert_ne!(of(&one, None, "n"), of(&other, None, "n"));
            prop_assert_ne!(of(&one, Some(&other), "n"), of(&other, Some(&one), "n"));
            let text = |text: &str| Value::S(text.to_owned());
            prop_assert!(!is_of_item("docs/", &key(text(&one), None), &of(&other, None, "n")));
            let swapped = key(text(&other), Some(text(&one)));
            prop_assert!(!is_of_item("docs/", &swapped, &of(&one, Some(&other), "n")));
        }
    }
}
