//! Which item an object belongs to. An object belongs to an item if its key is in the item's folder in the attribute's
//! bucket, and neither the pointer nor the object's metadata names another table. All other objects are foreign: they are
//! read only if the attribute allows it, and never deleted.
//!
//! An object's metadata identifies its owner: `tollgate-table`, `tollgate-partition` and `tollgate-sort`, percent-encoded.
//! Values that exceed S3's limit of 2 KB are replaced by `sha256-` and the hex SHA-256 of their bytes, as in [`key`].

use std::collections::HashMap;

use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::limits::{MAX_METADATA_BYTES, MAX_OBJECT_KEY_BYTES};
use crate::model::{Attribute, Model, Offload, is_bucket_name};

use super::key;

const TABLE: &str = "tollgate-table";
pub(super) const PARTITION: &str = "tollgate-partition";
pub(super) const SORT: &str = "tollgate-sort";

/// The item that an object is checked against.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// The item's model.
    pub model: &'a Model,
    /// The item's key.
    pub key: &'a Key,
}

/// The owner in an object's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The metadata names this item.
    Same,
    /// The metadata names another item or another table.
    Other,
    /// The metadata names no owner: the object was written by another program, or by an older version that left out long
    /// values.
    Missing,
}

impl Owner<'_> {
    /// Whether a pointer in the item leads to an object of the item. Checks only the pointer.
    pub fn owns(&self, offload: &Offload, pointer: &Pointer) -> bool {
        pointer.bucket == offload.bucket
            && (pointer.table.is_empty() || pointer.table == self.model.table)
            && key::belongs_to(&offload.prefix, self.key, &pointer.key)
    }

    /// Compares an object's metadata with the item.
    pub fn claim(&self, metadata: &HashMap<String, String>) -> Claim {
        let Some(table) = metadata.get(TABLE) else {
            return Claim::Missing;
        };
        let is_same = |name: &str, whole: Option<String>| match (metadata.get(name), whole) {
            (Some(claimed), Some(whole)) => is_value(claimed, &whole),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let same = is_value(table, &self.model.table)
            && is_same(PARTITION, Some(key::key_text(self.key.partition())))
            && is_same(SORT, self.key.sort().map(key::key_text));
        if same { Claim::Same } else { Claim::Other }
    }

    /// The metadata that identifies the item as the owner, shortened to fit beside `other_bytes` of metadata.
    pub(super) fn metadata(&self, other_bytes: usize) -> Vec<(&'static str, String)> {
        let named = [
            (PARTITION, Some(key::key_text(self.key.partition()))),
            (SORT, self.key.sort().map(key::key_text)),
            (TABLE, Some(self.model.table.clone())),
        ];
        let named: Vec<_> = named
            .into_iter()
            .filter_map(|(name, whole)| Some((name, whole?)))
            .collect();
        let mut values: Vec<_> = named
            .iter()
            .map(|(name, whole)| (*name, key::item_part(whole)))
            .collect();
        for (index, (_, whole)) in named.iter().enumerate() {
            let bytes: usize = values.iter().map(|(name, value)| name.len() + value.len()).sum();
            if bytes + other_bytes <= MAX_METADATA_BYTES {
                break;
            }
            if let Some(hashed) = key::hashed_part(whole, &values[index].1) {
                values[index].1 = hashed;
            }
        }
        values
    }
}

/// Whether an object's metadata names this table.
pub fn names_table(metadata: &HashMap<String, String>, table: &str) -> bool {
    metadata.get(TABLE).is_some_and(|named| is_value(named, table))
}

/// Whether the model has object attributes.
pub fn owns_objects(model: &Model) -> bool {
    offloads(model).next().is_some()
}

/// The object attributes of a model with their S3 options.
pub fn offloads(model: &Model) -> impl Iterator<Item = (&Attribute, &Offload)> {
    model
        .attributes
        .iter()
        .filter_map(|attribute| Some((attribute, attribute.s3.as_ref()?)))
}

/// Whether a foreign pointer may be followed. Rejects locations that no writer of pointers creates: a bucket that is an ARN
/// or a path, and keys with dots that a proxy may resolve.
pub fn is_readable(pointer: &Pointer) -> bool {
    let parts = pointer.key.split('/');
    is_bucket_name(&pointer.bucket)
        && (1..=MAX_OBJECT_KEY_BYTES).contains(&pointer.key.len())
        && !pointer.key.chars().any(char::is_control)
        && !parts.into_iter().any(|part| matches!(part, "." | ".."))
}

fn is_value(claimed: &str, whole: &str) -> bool {
    let value = key::item_part(whole);
    claimed == value || key::hashed_part(whole, &value).is_some_and(|hashed| claimed == hashed)
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests {
    use super::*;
    use crate::model::limits::OWNER_METADATA_BYTES;
    use crate::model::testing::model;
    use crate::model::{Item, Value};

    fn key_of(model: &Model, partition: &str, sort: &str) -> Key {
        let text = |text: &str| Value::S(text.to_owned());
        let item = Item::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))]);
        Key::from_item(model, &item).unwrap()
    }

    fn metadata(model: &Model, key: &Key, other_bytes: usize) -> HashMap<String, String> {
        let named = Owner { model, key }.metadata(other_bytes);
        named
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[test]
    fn shortens_the_owner_to_fit_the_metadata_limit() {
        let model = model(Vec::new());
        for (partition, sort) in [
            ("A", "B"),
            ("A#B", "ü/%"),
            (&*"p".repeat(2048), &*"s".repeat(1024)),
            (&*"ü".repeat(1024), "x"),
        ] {
            let key = key_of(&model, partition, sort);
            let owner = Owner {
                model: &model,
                key: &key,
            };
            for other_bytes in [0, 1000, MAX_METADATA_BYTES - OWNER_METADATA_BYTES] {
                let named = metadata(&model, &key, other_bytes);
                let bytes: usize = named.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert!(bytes + other_bytes <= MAX_METADATA_BYTES, "{bytes}");
                assert_eq!(named.len(), 3);
                assert!(named.values().all(|value| value.is_ascii()));
                assert_eq!(owner.claim(&named), Claim::Same);
            }
        }
    }

    #[test]
    fn detects_another_owner() {
        let model = model(Vec::new());
        let mut other_model = model.clone();
        other_model.table = "others".into();
        let key = key_of(&model, "A", "B");
        let owner = Owner {
            model: &model,
            key: &key,
        };
        assert_eq!(owner.claim(&HashMap::new()), Claim::Missing);
        for (table, partition, sort) in [(&model, "A", "C"), (&model, "B", "B"), (&other_model, "A", "B")] {
            let named = metadata(table, &key_of(&model, partition, sort), 0);
            assert_eq!(owner.claim(&named), Claim::Other);
        }
        let mut table_alone = metadata(&model, &key, 0);
        table_alone.retain(|name, _| name == TABLE);
        assert_eq!(owner.claim(&table_alone), Claim::Same);
    }

    #[test]
    fn rejects_unusual_locations() {
        let pointer = |bucket: &str, key: &str| Pointer {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..Pointer::default()
        };
        assert!(is_readable(&pointer("other-bucket", "any/where.pdf")));
        for (bucket, key) in [
            ("", "k"),
            ("b", "k"),
            ("a/b", "k"),
            ("arn:aws:s3:us-east-1:1:accesspoint/x", "k"),
            ("bucket", ""),
            ("bucket", "a/../b"),
            ("bucket", "./b"),
            ("bucket", "a\nb"),
            ("bucket", &*"k".repeat(1025)),
        ] {
            assert!(!is_readable(&pointer(bucket, key)), "{bucket} {key}");
        }
    }
}
