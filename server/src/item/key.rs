//! The key of an item as DynamoDB stores it, valid by construction: exactly the key attributes of its model under their
//! stored names, each S, N or B.

use crate::model::{Item, Model, Value};

/// The key of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    partition: (String, Value),
    sort: Option<(String, Value)>,
}

impl Key {
    /// The key of a stored item. `None` if a key attribute is missing or is not S, N or B.
    pub fn from_item(model: &Model, stored: &Item) -> Option<Key> {
        Key::from_parts(model, |name| stored.get(model.stored_name(name)))
    }

    /// The key of an item that passed the checks of a request: its names are the model's, and its values are in their
    /// stored form. `None` if a key attribute is missing or is not S, N or B.
    pub fn from_request(model: &Model, item: &Item) -> Option<Key> {
        Key::from_parts(model, |name| item.get(name))
    }

    fn from_parts<'v>(model: &Model, value: impl Fn(&str) -> Option<&'v Value>) -> Option<Key> {
        let part = |name: &str| match value(name)? {
            value @ (Value::S(_) | Value::N(_) | Value::B(_)) => {
                Some((model.stored_name(name).to_owned(), value.clone()))
            }
            _ => None,
        };
        let partition = part(&model.partition_key)?;
        let sort = match &model.sort_key {
            Some(name) => Some(part(name)?),
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
