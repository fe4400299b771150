//! The key of an item, valid by construction: exactly the key attributes of its model, each S, N or B.

use crate::model::{Item, Model, Value};

/// The key of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    partition: (String, Value),
    sort: Option<(String, Value)>,
}

impl Key {
    /// The key of a caller's item or a stored one. `None` if a key attribute is missing or is not S, N or B.
    pub fn from_item(model: &Model, item: &Item) -> Option<Key> {
        let part = |name: &str| {
            item.get_key_value(name)
                .map(|(name, value)| (name.clone(), value.clone()))
        };
        Key::from_parts(model, part)
    }

    /// Like [`Key::from_item`], but consumes the item.
    pub(super) fn from_owned_item(model: &Model, mut item: Item) -> Option<Key> {
        Key::from_parts(model, |name| item.remove_entry(name))
    }

    fn from_parts(model: &Model, mut part: impl FnMut(&str) -> Option<(String, Value)>) -> Option<Key> {
        let mut key_part = |name: &str| {
            part(name).filter(|(_, value)| matches!(value, Value::S(_) | Value::N(_) | Value::B(_)))
        };
        let partition = key_part(&model.partition_key)?;
        let sort = match &model.sort_key {
            Some(name) => Some(key_part(name)?),
            None => None,
        };
        Some(Key { partition, sort })
    }

    /// The key attributes, as DynamoDB requests contain them.
    pub fn item(&self) -> Item {
        std::iter::once(&self.partition)
            .chain(&self.sort)
            .cloned()
            .collect()
    }

    /// The value of the partition key.
    pub fn partition(&self) -> &Value {
        &self.partition.1
    }

    /// The value of the sort key, if the table has one.
    pub fn sort(&self) -> Option<&Value> {
        self.sort.as_ref().map(|(_, value)| value)
    }
}
