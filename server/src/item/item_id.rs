//! The identity of an item: its table and its key by value, so that equal keys are equal ids, however a number was written.

use std::fmt;

use super::key::{Key, values};
use crate::model::{Item, Model, Value};

/// Room for most keys.
const USUAL_BYTES: usize = 96;

/// The identity of an item. `Debug` shows nothing of the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ItemId(Vec<u8>);

impl ItemId {
    /// The identity of the item with this key.
    pub fn new(table: &str, key: &Key) -> ItemId {
        ItemId::of_values(table, key.partition(), key.sort())
    }

    /// The identity of a stored item or key. `None` if a key attribute is missing or is not S, N or B.
    pub fn of_stored(model: &Model, stored: &Item) -> Option<ItemId> {
        let (partition, sort) = values(model, |name| stored.get(model.stored_name(name)))?;
        Some(ItemId::of_values(&model.table, partition, sort))
    }

    /// The identity of an item that passed the checks of a request, like [`ItemId::of_stored`].
    pub fn of_request(model: &Model, item: &Item) -> Option<ItemId> {
        let (partition, sort) = values(model, |name| item.get(name))?;
        Some(ItemId::of_values(&model.table, partition, sort))
    }

    /// The identity as bytes, of which none begins with another.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn of_values(table: &str, partition: &Value, sort: Option<&Value>) -> ItemId {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        add(&mut bytes, b'T', table.as_bytes());
        for value in std::iter::once(partition).chain(sort) {
            match value {
                Value::S(text) => add(&mut bytes, b'S', text.as_bytes()),
                // a number has one text
                Value::N(number) => add(&mut bytes, b'N', number.as_str().as_bytes()),
                Value::B(content) => add(&mut bytes, b'B', content),
                // keys have no other types
                Value::Bool(_)
                | Value::Null
                | Value::L(_)
                | Value::M(_)
                | Value::SS(_)
                | Value::NS(_)
                | Value::BS(_)
                | Value::Object(_) => {}
            }
        }
        ItemId(bytes)
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ItemId")
    }
}

fn add(bytes: &mut Vec<u8>, tag: u8, part: &[u8]) {
    bytes.push(tag);
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::model;

    fn id(table: &str, partition: &str, sort: &str) -> ItemId {
        let item = [("pk", partition), ("sk", sort)].map(|(name, value)| {
            let number = value.parse().map(Value::N);
            (
                name.to_owned(),
                number.unwrap_or_else(|_| Value::S(value.to_owned())),
            )
        });
        let key = Key::from_item(&model(Vec::new()), &item.into()).unwrap();
        ItemId::new(table, &key)
    }

    #[test]
    fn equal_numbers_are_one_key() {
        assert_eq!(id("t", "a", "1000"), id("t", "a", "1e3"));
        assert_ne!(id("t", "a", "1000"), id("t", "a", "1001"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(id("t", "ab", "c"), id("t", "a", "bc"));
        assert_ne!(id("ta", "b", "c"), id("t", "ab", "c"));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", id("t", "secret", "x")), "ItemId");
    }
}
