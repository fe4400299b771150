//! Where a sweep can go on. Serialised into checkpoint files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use crate::model::{Item, Value};

/// Where a sweep can go on, and its sums up to there.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The buckets, prefixes, tables and options of the sweep.
    pub of: String,
    /// The place.
    pub position: Position,
    /// The sums of what is before it.
    pub counts: Counts,
}

impl std::fmt::Debug for Mark {
    /// Without keys, which hold data of callers.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Mark")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// A place in a sweep.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Position {
    /// Among the objects, which are being listed.
    Objects {
        /// The number of the prefix.
        root: usize,
        /// The key after which it goes on.
        after: String,
    },
    /// Among the objects, whose orphans are being deleted.
    Deletion {
        /// The number of the prefix.
        root: usize,
        /// The key after which it goes on.
        after: String,
    },
    /// Among the multipart uploads.
    Uploads {
        /// The number of the prefix.
        root: usize,
        /// The key and the upload id after which it goes on.
        after: Option<(String, String)>,
    },
    /// Among the items.
    Pointers {
        /// The number of the table.
        table: usize,
        /// The key after which it goes on.
        after: Option<StoredKey>,
    },
}

/// The key of an item.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredKey(BTreeMap<String, KeyValue>);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
enum KeyValue {
    S(String),
    N(String),
    B(Vec<u8>),
}

impl Position {
    /// The place where a sweep begins.
    pub(super) fn start() -> Position {
        Position::Objects {
            root: 0,
            after: String::new(),
        }
    }
}

impl StoredKey {
    /// `None` if the item is not a key.
    pub(super) fn from_item(key: &Item) -> Option<StoredKey> {
        let value = |value: &Value| match value {
            Value::S(text) => Some(KeyValue::S(text.clone())),
            Value::N(number) => Some(KeyValue::N(number.as_str().to_owned())),
            Value::B(bytes) => Some(KeyValue::B(bytes.to_vec())),
            Value::Bool(_)
            | Value::Null
            | Value::L(_)
            | Value::M(_)
            | Value::SS(_)
            | Value::NS(_)
            | Value::BS(_)
            | Value::Object(_) => None,
        };
        let values = key
            .iter()
            .map(|(name, stored)| Some((name.clone(), value(stored)?)));
        values.collect::<Option<_>>().map(StoredKey)
    }

    /// The key attributes; `None` if a number is not one.
    pub(super) fn to_item(&self) -> Option<Item> {
        let value = |value: &KeyValue| match value {
            KeyValue::S(text) => Some(Value::S(text.clone())),
            KeyValue::N(text) => text.parse().ok().map(Value::N),
            KeyValue::B(bytes) => Some(Value::B(bytes.clone().into())),
        };
        let values = self.0.iter();
        values
            .map(|(name, stored)| Some((name.clone(), value(stored)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back() {
        let key = Item::from([
            ("pk".to_owned(), Value::S("é\"".to_owned())),
            ("sk".to_owned(), Value::N("-1.5".parse().unwrap())),
            ("b".to_owned(), Value::B(vec![0, 255].into())),
        ]);
        let stored = StoredKey::from_item(&key).unwrap();
        let mark = Mark {
            of: "x".to_owned(),
            position: Position::Pointers {
                table: 1,
                after: Some(stored),
            },
            counts: Counts {
                objects: 7,
                ..Counts::default()
            },
        };
        let text = serde_json::to_string(&mark).unwrap();
        let read: Mark = serde_json::from_str(&text).unwrap();
        let Position::Pointers {
            after: Some(after), ..
        } = read.position
        else {
            panic!("{text}")
        };
        assert!(after.to_item().unwrap() == key && read.counts.objects == 7);
        let not_a_key = Item::from([("pk".to_owned(), Value::Null)]);
        assert!(StoredKey::from_item(&not_a_key).is_none());
    }
}
