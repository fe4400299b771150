//! The identity of an item: its table and its key by value, so that equal keys are equal ids, however a number was written.

use std::fmt;

use super::key::Key;
use crate::model::Value;

/// The identity of an item. `Debug` shows nothing of the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ItemId(Vec<u8>);

impl ItemId {
    /// The identity of the item with this key.
    pub fn new(table: &str, key: &Key) -> ItemId {
        let mut bytes = Vec::new();
        add(&mut bytes, b'T', table.as_bytes());
        for value in std::iter::once(key.partition()).chain(key.sort()) {
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
