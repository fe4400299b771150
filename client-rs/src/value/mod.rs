//! Conversion of items between Rust types and the wire: the raw [`Value`], and its serde support. Independent of calls.

mod de;
mod error;
mod newtypes;
mod number;
mod ser;
mod wire;

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::{Serialize, Serializer};

pub use de::from_item;
pub use error::ValueError;
pub use newtypes::{Binary, BinarySet, NumberSet, Object, StringSet};
pub use number::{InvalidNumber, Number};
pub use ser::{to_item, to_value};
pub(crate) use wire::{item_from_wire, item_to_wire};

/// A raw item or key: values by attribute name. It is a serde type, so it can be used wherever a call accepts or returns
/// your own type.
pub type Item = HashMap<String, Value>;

/// The name that requests a [`Value`] with its kind from this crate's deserializer.
const NAME: &str = "$tollgate::Value";

/// An attribute value with its exact kind. `Debug` shows the kind but not the content.
///
/// To serde it is its content: a string, a number, a list. Inside `#[serde(flatten)]` and untagged enums, serde loses the
/// kinds that it does not know: sets are deserialized as lists, and objects as maps.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A string.
    String(String),
    /// An exact decimal.
    Number(Number),
    /// Bytes.
    Binary(Binary),
    /// A boolean.
    Bool(bool),
    /// An explicit null.
    Null,
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(HashMap<String, Value>),
    /// A set of strings.
    StringSet(StringSet),
    /// A set of numbers.
    NumberSet(NumberSet),
    /// A set of byte strings.
    BinarySet(BinarySet),
    /// A value that is stored in S3.
    Object(Box<Object>),
}

impl Value {
    /// DynamoDB's name of the kind (`S`, `N`, `BOOL` …), or `OBJECT`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "S",
            Value::Number(_) => "N",
            Value::Binary(_) => "B",
            Value::Bool(_) => "BOOL",
            Value::Null => "NULL",
            Value::List(_) => "L",
            Value::Map(_) => "M",
            Value::StringSet(_) => "SS",
            Value::NumberSet(_) => "NS",
            Value::BinarySet(_) => "BS",
            Value::Object(_) => "OBJECT",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind())
    }
}

macro_rules! from {
    ($($variant:ident from $($type:ty)*;)*) => {$($(
        impl From<$type> for Value {
            fn from(value: $type) -> Value {
                Value::$variant(value.into())
            }
        }
    )*)*};
}

from! {
    String from &str String;
    Number from Number u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize;
    Binary from Binary bytes::Bytes;
    Bool from bool;
    List from Vec<Value>;
    Map from Item;
    StringSet from StringSet;
    NumberSet from NumberSet;
    BinarySet from BinarySet;
    Object from Object;
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::String(text) => text.serialize(serializer),
            Value::Number(number) => number.serialize(serializer),
            Value::Binary(bytes) => bytes.serialize(serializer),
            Value::Bool(truth) => truth.serialize(serializer),
            Value::Null => serializer.serialize_unit(),
            Value::List(values) => values.serialize(serializer),
            Value::Map(fields) => fields.serialize(serializer),
            Value::StringSet(members) => members.serialize(serializer),
            Value::NumberSet(members) => members.serialize(serializer),
            Value::BinarySet(members) => members.serialize(serializer),
            Value::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, ValueVisitor)
    }
}

/// This crate's deserializer provides the kind as a variant of an enum. Others provide only what serde knows.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (kind, payload): (String, A::Variant) = access.variant()?;
        match kind.as_str() {
            "S" => payload.newtype_variant().map(Value::String),
            "N" => payload.newtype_variant().map(Value::Number),
            "B" => payload.newtype_variant().map(Value::Binary),
            "BOOL" => payload.newtype_variant().map(Value::Bool),
            "L" => payload.newtype_variant().map(Value::List),
            "M" => payload.newtype_variant().map(Value::Map),
            "SS" => payload.newtype_variant().map(Value::StringSet),
            "NS" => payload.newtype_variant().map(Value::NumberSet),
            "BS" => payload.newtype_variant().map(Value::BinarySet),
            "OBJECT" => payload
                .newtype_variant()
                .map(|object| Value::Object(Box::new(object))),
            _ => payload.unit_variant().map(|()| Value::Null),
        }
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(integer.into())
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(integer.into())
    }

    fn visit_f64<E: serde::de::Error>(self, float: f64) -> Result<Value, E> {
        Number::try_from(float).map(Value::Number).map_err(E::custom)
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Binary(bytes.to_vec().into()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = HashMap::new();
        while let Some((name, value)) = access.next_entry()? {
            fields.insert(name, value);
        }
        Ok(Value::Map(fields))
    }
}

#[cfg(test)]
mod tests;
