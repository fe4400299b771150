//! Deserializes raw values into Rust values. Sets can also be read as sequences. Missing fields and nulls are `None`.

use std::collections::hash_map;
use std::vec;

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Item, Number, Value, ValueError, number};

/// Deserializes an item into a Rust value.
///
/// # Errors
///
/// If fields are missing, kinds do not match, or numbers are out of range. Errors contain the place but not the content.
pub fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, ValueError> {
    T::deserialize(ValueDeserializer(Value::Map(item)))
}

pub(super) struct ValueDeserializer(pub(super) Value);

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            let Value::Number(number) = &self.0 else { return self.deserialize_any(visitor) };
            match number.parse::<$type>() {
                Some(value) => visitor.$visit(value),
                None => Err(ValueError::new(concat!("number does not fit into ", stringify!($type)))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueDeserializer {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Number(number) => visit_number(&number, visitor),
            Value::Binary(bytes) => visitor.visit_byte_buf(bytes.0.into()),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Null => visitor.visit_unit(),
            Value::List(values) => visitor.visit_seq(Elements::new(values)),
            Value::Map(fields) => visitor.visit_map(Fields::new(fields)),
            Value::StringSet(set) => visitor.visit_seq(Elements::new(set.0.into_iter().map(Value::String))),
            Value::NumberSet(set) => visitor.visit_seq(Elements::new(set.0.into_iter().map(Value::Number))),
            Value::BinarySet(set) => visitor.visit_seq(Elements::new(set.0.into_iter().map(Value::Binary))),
            Value::Object(object) => visitor.visit_map(Fields::new(object.into_fields())),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128,
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match (name, self.0) {
            (super::NAME, value) => visitor.visit_enum(KindAccess(value)),
            (number::NAME, Value::Number(number)) => {
                visitor.visit_newtype_struct(StringDeserializer::new(number.to_string()))
            }
            (number::NAME, Value::String(_)) => Err(ValueError::new("expected a number, found string")),
            (_, value) => visitor.visit_newtype_struct(ValueDeserializer(value)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            Value::Map(fields) if fields.len() == 1 => {
                let (variant, payload) = fields.into_iter().next().expect("the map has one field");
                visitor.visit_enum(TaggedAccess { variant, payload })
            }
            _ => Err(ValueError::new(
                "expected an enum: a string, or a map with one field",
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// For visitors that accept anything: an exact integer or float if possible, otherwise the text.
fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, ValueError> {
    if let Some(integer) = number.parse::<u64>() {
        return visitor.visit_u64(integer);
    }
    if let Some(integer) = number.parse::<i64>() {
        return visitor.visit_i64(integer);
    }
    match number
        .parse::<f64>()
        .filter(|float| Number::try_from(*float).as_ref() == Ok(number))
    {
        Some(float) => visitor.visit_f64(float),
        None => visitor.visit_str(number.as_str()),
    }
}

struct Elements {
    values: vec::IntoIter<Value>,
    index: usize,
}

impl Elements {
    fn new(values: impl IntoIterator<Item = Value>) -> Elements {
        Elements {
            values: values.into_iter().collect::<Vec<_>>().into_iter(),
            index: 0,
        }
    }
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ValueError> {
        let Some(value) = self.values.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(ValueDeserializer(value))
            .map(Some)
            .map_err(|error| error.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Fields {
    fields: hash_map::IntoIter<String, Value>,
    next: Option<(String, Value)>,
}

impl Fields {
    fn new(fields: Item) -> Fields {
        Fields {
            fields: fields.into_iter(),
            next: None,
        }
    }
}

impl<'de> MapAccess<'de> for Fields {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ValueError> {
        let Some((name, value)) = self.fields.next() else {
            return Ok(None);
        };
        let key = seed.deserialize(KeyDeserializer(name.clone()))?;
        self.next = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ValueError> {
        let (name, value) = self.next.take().expect("serde asks for a key before its value");
        seed.deserialize(ValueDeserializer(value))
            .map_err(|error| error.in_field(&name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// Parses map keys that are integers or booleans from their text.
struct KeyDeserializer(String);

macro_rules! keys {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self.0.parse::<$type>() {
                Ok(key) => visitor.$visit(key),
                Err(_) => Err(ValueError::new(concat!("map key is not a valid ", stringify!($type)))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyDeserializer {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_string(self.0)
    }

    keys! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128,
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_bool visit_bool bool,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// A variant with content: a map with one field, as in serde's external tagging.
struct TaggedAccess {
    variant: String,
    payload: Value,
}

impl<'de> EnumAccess<'de> for TaggedAccess {
    type Error = ValueError;
    type Variant = Payload;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Payload), ValueError> {
        let variant = seed.deserialize(StringDeserializer::<ValueError>::new(self.variant))?;
        Ok((variant, Payload(self.payload)))
    }
}

/// Provides the kind of a raw value as the variant, for `Value` only.
struct KindAccess(Value);

impl<'de> EnumAccess<'de> for KindAccess {
    type Error = ValueError;
    type Variant = Payload;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Payload), ValueError> {
        let kind = seed.deserialize(self.0.kind().into_deserializer())?;
        Ok((kind, Payload(self.0)))
    }
}

struct Payload(Value);

impl<'de> VariantAccess<'de> for Payload {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        match self.0 {
            Value::Null => Ok(()),
            _ => Err(ValueError::custom("expected a variant without content")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ValueError> {
        seed.deserialize(ValueDeserializer(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, ValueError> {
        ValueDeserializer(self.0).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        ValueDeserializer(self.0).deserialize_any(visitor)
    }
}
