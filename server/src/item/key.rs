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

    /// The key of the attributes of a request that are just its key, like [`Key::from_request`].
    pub fn from_attributes(model: &Model, attributes: Item) -> Option<Key> {
        let (mut partition, mut sort) = (None, None);
        // compared, not looked up: there are one or two
        for (name, value) in attributes.into_iter().filter(|(_, value)| is_scalar(value)) {
            let part = if name == model.partition_key {
                &mut partition
            } else if Some(&name) == model.sort_key.as_ref() {
                &mut sort
            } else {
                continue;
            };
            let stored_name = model.stored_name(&name);
            let has_alias = name != stored_name;
            let name = if has_alias { stored_name.to_owned() } else { name };
            *part = Some((name, value));
        }
        let partition = partition?;
        (model.sort_key.is_some() == sort.is_some()).then_some(Key { partition, sort })
    }

    fn from_parts<'v>(model: &Model, value: impl Fn(&str) -> Option<&'v Value>) -> Option<Key> {
        let (partition, sort) = values(model, value)?;
        let part = |name: &str, value: &Value| (model.stored_name(name).to_owned(), value.clone());
        Some(Key {
            partition: part(&model.partition_key, partition),
            sort: model
                .sort_key
                .as_ref()
                .zip(sort)
                .map(|(name, value)| part(name, value)),
        })
    }

    /// The key attributes, as DynamoDB requests contain them.
    pub fn item(&self) -> Item {
        self.attributes().collect()
    }

    /// The key attributes, one by one.
    pub fn attributes(&self) -> impl Iterator<Item = (String, Value)> {
        std::iter::once(&self.partition).chain(&self.sort).cloned()
    }

    /// The key attributes, by move.
    pub fn into_attributes(self) -> Vec<(String, Value)> {
        let mut attributes = Vec::with_capacity(2);
        attributes.push(self.partition);
        attributes.extend(self.sort);
        attributes
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

/// The values of the key attributes of an item: that of the partition key, and that of the sort key if the table has one.
/// `None` if one is missing or is not S, N or B.
pub(super) fn values<'v>(
    model: &Model,
    value: impl Fn(&str) -> Option<&'v Value>,
) -> Option<(&'v Value, Option<&'v Value>)> {
    let part = |name: &str| value(name).filter(|value| is_scalar(value));
    let partition = part(&model.partition_key)?;
    match &model.sort_key {
        Some(name) => Some((partition, Some(part(name)?))),
        None => Some((partition, None)),
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::S(_) | Value::N(_) | Value::B(_))
}
