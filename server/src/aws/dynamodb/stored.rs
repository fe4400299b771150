//! Items in DynamoDB's JSON, read into this program's values in one pass. The SDK would read them into its own first, with
//! two more maps per item.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::aws::convert::{number, numbers};
use crate::model::{Item, Value};

/// One item or key.
#[derive(Debug, Default)]
pub(super) struct StoredItem(pub(super) Item);

/// Several items.
#[derive(Debug, Default)]
pub(super) struct StoredItems(pub(super) Vec<Item>);

impl<'de> Deserialize<'de> for StoredItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredItem, D::Error> {
        let attributes = 0;
        ItemOf { attributes }.deserialize(deserializer).map(StoredItem)
    }
}

impl<'de> Deserialize<'de> for StoredItems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredItems, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor).map(StoredItems)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Vec<Item>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Item>, A::Error> {
        let mut items: Vec<Item> = Vec::new();
        // items of a page are mostly alike: a map of the right size does not grow
        while let Some(item) = sequence.next_element_seed(ItemOf {
            attributes: items.last().map_or(0, Item::len),
        })? {
            items.push(item);
        }
        Ok(items)
    }
}

/// An item that probably has so many attributes.
struct ItemOf {
    attributes: usize,
}

impl<'de> DeserializeSeed<'de> for ItemOf {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ItemOf {
    type Value = Item;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut attributes: A) -> Result<Item, A::Error> {
        let mut item = Item::with_capacity(self.attributes);
        while let Some(name) = attributes.next_key::<String>()? {
            let TypedValue(value) = attributes.next_value()?;
            item.insert(name, value);
        }
        Ok(item)
    }
}

/// A value with its type: `{"S": "text"}`.
struct TypedValue(Value);

/// The types of values.
#[derive(Deserialize)]
enum Type {
    S,
    N,
    B,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    L,
    M,
    #[serde(rename = "SS")]
    Strings,
    #[serde(rename = "NS")]
    Numbers,
    #[serde(rename = "BS")]
    Binaries,
}

impl<'de> Deserialize<'de> for TypedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TypedValue, D::Error> {
        deserializer.deserialize_map(ValueVisitor).map(TypedValue)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(kind) = map.next_key::<Type>()? else {
            return Err(A::Error::custom("no type"));
        };
        let value = match kind {
            Type::S => Value::S(map.next_value()?),
            Type::N => number(map.next_value()?),
            Type::B => Value::B(map.next_value::<Base64>()?.0),
            Type::Bool => Value::Bool(map.next_value()?),
            Type::Null => {
                map.next_value::<bool>()?;
                Value::Null
            }
            Type::L => {
                let values: Vec<TypedValue> = map.next_value()?;
                Value::L(values.into_iter().map(|TypedValue(value)| value).collect())
            }
            Type::M => Value::M(map.next_value::<StoredItem>()?.0),
            Type::Strings => Value::SS(map.next_value()?),
            Type::Numbers => numbers(map.next_value()?),
            Type::Binaries => {
                let members: Vec<Base64> = map.next_value()?;
                Value::BS(members.into_iter().map(|Base64(bytes)| bytes).collect())
            }
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::custom("several types")),
        }
    }
}

struct Base64(Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Base64, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes());
        bytes
            .map(|bytes| Base64(bytes.into()))
            .map_err(|_invalid| D::Error::custom("not base64"))
    }
}
