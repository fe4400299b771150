//! From the key of an object back to the item in whose folder it is: the opposite of [`key`]. A key that
//! `object_key` does not return has no item.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use ulid::Ulid;

use crate::item::Key;
use crate::model::limits::MAX_OBJECT_KEY_BYTES;
use crate::model::{AttributeType, Item, Model, Value};

use super::key::{self, UPLOADS};
use super::owner::{PARTITION, SORT};

/// The folder that an object is in.
#[derive(Clone, Debug, PartialEq)]
pub enum Folder {
    /// The folder of the item with this key.
    Of(Key),
    /// A folder that is named by hashes: only the object's metadata, or a scan of the table, names the item.
    Hashed,
}

/// The folder of an object in which items of the model keep theirs. `None` if the key does not have this form.
pub fn folder(model: &Model, prefix: &str, object_key: &str) -> Option<Folder> {
    if object_key.len() > MAX_OBJECT_KEY_BYTES {
        return None;
    }
    let parts: Vec<&str> = object_key.strip_prefix(prefix)?.split('/').collect();
    let (partition, sort, ulid, name) = match (parts.as_slice(), &model.sort_key) {
        ([partition, sort, ulid, name], Some(_)) => (*partition, Some(*sort), *ulid, *name),
        ([partition, ulid, name], None) => (*partition, None, *ulid, *name),
        _ => return None,
    };
    if !is_ulid(ulid) || name.is_empty() || partition.is_empty() || partition == UPLOADS {
        return None;
    }
    if key::is_hash(partition) || sort.is_some_and(key::is_hash) {
        return Some(Folder::Hashed);
    }
    let key = item_key(model, partition, sort)?;
    // other writings of the same key are not what this program writes
    key::belongs_to(prefix, &key, object_key).then_some(Folder::Of(key))
}

/// Whether an object is an upload by a presigned URL that no item has taken up.
pub fn is_upload(prefix: &str, object_key: &str) -> bool {
    let path = object_key.strip_prefix(prefix).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), [UPLOADS, ulid] if is_ulid(ulid))
}

/// The item that an object's metadata names; `None` if it holds only a hash of the item's key.
pub fn named_item(model: &Model, metadata: &HashMap<String, String>) -> Option<Key> {
    let partition = metadata.get(PARTITION)?;
    let sort = match &model.sort_key {
        Some(_) => Some(metadata.get(SORT)?.as_str()),
        None => None,
    };
    if key::is_hash(partition) || sort.is_some_and(key::is_hash) {
        return None;
    }
    item_key(model, partition, sort)
}

fn item_key(model: &Model, partition: &str, sort: Option<&str>) -> Option<Key> {
    let mut item = Item::new();
    let parts = [
        Some((&model.partition_key, partition)),
        model.sort_key.as_ref().zip(sort),
    ];
    for (name, part) in parts.into_iter().flatten() {
        item.insert(model.stored_name(name).to_owned(), key_value(model, name, part)?);
    }
    Key::from_item(model, &item)
}

/// The value of a key attribute from its encoded text.
fn key_value(model: &Model, name: &str, part: &str) -> Option<Value> {
    let text = percent_decode_str(part).decode_utf8().ok()?.into_owned();
    let attribute = model.attribute(name);
    match attribute.map(|attribute| (attribute.kind, attribute.datetime_store.is_number())) {
        Some((AttributeType::Number | AttributeType::Ttl | AttributeType::Version, _))
        | Some((AttributeType::Datetime, true)) => Some(Value::N(text.parse().ok()?)),
        Some((AttributeType::Binary, _)) => Some(Value::B(bytes(&text)?.into())),
        // keys have no other types
        Some(_) | None => Some(Value::S(text)).filter(|value| *value != Value::S(String::new())),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    digits
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

fn is_ulid(part: &str) -> bool {
    Ulid::from_string(part).is_ok_and(|ulid| ulid.to_string() == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::testing::model;

    const ULID: &str = "01HZY3V3QK8M6N0R5T7W9X1Y2Z";

    fn text_model(has_sort: bool) -> Model {
        Model {
            sort_key: has_sort.then(|| "sk".into()),
            ..model(Vec::new())
        }
    }

    fn key_of(model: &Model, partition: Value, sort: Option<Value>) -> Key {
        let mut item = Item::from([("pk".to_owned(), partition)]);
        item.extend(sort.map(|sort| ("sk".to_owned(), sort)));
        Key::from_item(model, &item).unwrap()
    }

    #[test]
    fn keys_of_other_forms_have_no_item() {
        let model = text_model(true);
        let of = |object_key: &str| folder(&model, "docs/", object_key);
        let text = |text: &str| Value::S(text.to_owned());
        let key = key_of(&model, text("A#B"), Some(text("V 1")));
        assert_eq!(of(&format!("docs/A%23B/V%201/{ULID}/n")), Some(Folder::Of(key)));
        for other in [
            "",
            "docs/",
            "docs/A/B/C",
            "docs/A/B/C/D",
            "other/A/B/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/A/B/01hzy3v3qk8m6n0r5t7w9x1y2z/n",
            "docs/A/B/01HZY3V3QK8M6N0R5T7W9X1Y2Z/",
            "docs/A/B/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n/m",
            "docs//B/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/A//01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/A#B/V/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/A%2fB/V/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/%FF/V/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/.uploads/V/01HZY3V3QK8M6N0R5T7W9X1Y2Z/n",
            "docs/.uploads/01HZY3V3QK8M6N0R5T7W9X1Y2Z",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn uploads_are_recognised_by_their_folder() {
        assert!(is_upload("docs/", &format!("docs/.uploads/{ULID}")));
        for other in [
            format!("docs/.uploads/{ULID}/n"),
            "docs/.uploads/x".to_owned(),
            format!(".uploads/{ULID}"),
            format!("docs/uploads/{ULID}"),
        ] {
            assert!(!is_upload("docs/", &other), "{other}");
        }
    }

    #[test]
    fn binary_parts_are_hex() {
        assert_eq!(bytes("00ff"), Some(vec![0, 255]));
        for other in ["", "0", "0G", "0F", "é"] {
            assert_eq!(bytes(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_key_leads_back_to_its_item(
            partition in ".{1,1200}",
            sort in proptest::option::of(".{1,600}"),
            name in ".{0,300}",
        ) {
            let model = text_model(sort.is_some());
            let key = key_of(&model, Value::S(partition), sort.map(Value::S));
            let object_key = key::object_key("docs/", &key, Ulid::generate(), &name);
            let found = folder(&model, "docs/", &object_key);
            match object_key.contains("/sha256-") {
                // a name that is hashed leaves the folder readable
                true => prop_assert!(matches!(found, Some(Folder::Hashed)) || found == Some(Folder::Of(key))),
                false => prop_assert_eq!(found, Some(Folder::Of(key))),
            }
        }

        #[test]
        fn no_key_panics(object_key in ".{0,200}") {
            let _ = folder(&text_model(true), "", &object_key);
            let _ = is_upload("", &object_key);
        }
    }
}
