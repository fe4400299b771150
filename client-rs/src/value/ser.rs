//! Serializes Rust values into raw values. `Option::None` is left out at the top level of an item, and null below.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::Deserialize as _;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::de::ValueDeserializer;
use super::newtypes::{BINARY_SET, NUMBER_SET, OBJECT, STRING_SET};
use super::{BinarySet, Item, Number, NumberSet, Object, StringSet, Value, ValueError, number};

/// Serializes a struct, or a map with string keys, into an item.
///
/// Integers of any width are exact. Floats use the shortest text that parses to the same value. Enums use serde's external
/// tagging. Fields that are `None` are left out.
///
/// # Errors
///
/// If the value is neither a struct nor a map, or contains map keys that are not text, NaN or infinities.
pub fn to_item<T: Serialize + ?Sized>(value: &T) -> Result<Item, ValueError> {
    match value.serialize(ValueSerializer { is_top: true })? {
        Some(Value::Map(fields)) => Ok(fields),
        _ => Err(ValueError::new("an item must be a struct or a map")),
    }
}

/// Serializes a Rust value into a raw value. `None` is null.
///
/// # Errors
///
/// If the value contains map keys that are not text, NaN or infinities.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, ValueError> {
    Ok(value
        .serialize(ValueSerializer { is_top: false })?
        .unwrap_or(Value::Null))
}

/// Returns `None` for `Option::None`, so that the level above can leave it out.
struct ValueSerializer {
    is_top: bool,
}

type Serialized = Result<Option<Value>, ValueError>;

fn some(value: impl Into<Value>) -> Serialized {
    Ok(Some(value.into()))
}

macro_rules! integers {
    ($($method:ident $type:ty,)*) => {$(
        fn $method(self, integer: $type) -> Serialized {
            some(integer)
        }
    )*};
}

macro_rules! floats {
    ($($method:ident $type:ty,)*) => {$(
        fn $method(self, float: $type) -> Serialized {
            Number::try_from(float).map_err(|_| ValueError::new("a float that is not a number")).and_then(some)
        }
    )*};
}

impl Serializer for ValueSerializer {
    type Ok = Option<Value>;
    type Error = ValueError;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = ListBuilder;
    type SerializeMap = MapBuilder;
    type SerializeStruct = MapBuilder;
    type SerializeStructVariant = MapBuilder;

    integers! {
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128,
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
    }
    floats! { serialize_f32 f32, serialize_f64 f64, }

    fn serialize_bool(self, truth: bool) -> Serialized {
        some(truth)
    }

    fn serialize_char(self, character: char) -> Serialized {
        some(character.to_string())
    }

    fn serialize_str(self, text: &str) -> Serialized {
        some(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Serialized {
        Ok(Some(Value::Binary(bytes.to_vec().into())))
    }

    fn serialize_none(self) -> Serialized {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Serialized {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Serialized {
        Ok(Some(Value::Null))
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Serialized {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Serialized {
        some(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Serialized {
        match (name, value.serialize(self)?) {
            (number::NAME, Some(Value::String(text))) => text
                .parse::<Number>()
                .map_err(|error| ValueError::new(error.to_string()))
                .and_then(some),
            (STRING_SET, Some(list)) => StringSet::deserialize(ValueDeserializer(list)).and_then(some),
            (NUMBER_SET, Some(list)) => NumberSet::deserialize(ValueDeserializer(list)).and_then(some),
            (BINARY_SET, Some(list)) => BinarySet::deserialize(ValueDeserializer(list)).and_then(some),
            (_, value) => Ok(value),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Serialized {
        let payload = to_value(value).map_err(|error| error.in_field(variant))?;
        some(Item::from([(variant.to_owned(), payload)]))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<ListBuilder, ValueError> {
        Ok(ListBuilder::new(length.unwrap_or(0), None))
    }

    fn serialize_tuple(self, length: usize) -> Result<ListBuilder, ValueError> {
        Ok(ListBuilder::new(length, None))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<ListBuilder, ValueError> {
        Ok(ListBuilder::new(length, None))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<ListBuilder, ValueError> {
        Ok(ListBuilder::new(length, Some(variant)))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<MapBuilder, ValueError> {
        Ok(MapBuilder {
            skips_none: self.is_top,
            ..MapBuilder::default()
        })
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<MapBuilder, ValueError> {
        Ok(MapBuilder {
            skips_none: self.is_top,
            is_object: name == OBJECT,
            ..MapBuilder::default()
        })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<MapBuilder, ValueError> {
        Ok(MapBuilder {
            variant: Some(variant),
            ..MapBuilder::default()
        })
    }
}

struct ListBuilder {
    values: Vec<Value>,
    variant: Option<&'static str>,
}

impl ListBuilder {
    /// `length` comes from the value and may be wrong, so it only sizes the first allocation.
    fn new(length: usize, variant: Option<&'static str>) -> ListBuilder {
        ListBuilder {
            values: Vec::with_capacity(length.min(1024)),
            variant,
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let value = to_value(value).map_err(|error| error.at_index(self.values.len()))?;
        self.values.push(value);
        Ok(())
    }

    fn finish(self) -> Serialized {
        match self.variant {
            Some(variant) => some(Item::from([(variant.to_owned(), Value::List(self.values))])),
            None => some(self.values),
        }
    }
}

macro_rules! list_builders {
    ($($builder:ident $method:ident,)*) => {$(
        impl $builder for ListBuilder {
            type Ok = Option<Value>;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.push(value)
            }

            fn end(self) -> Serialized {
                self.finish()
            }
        }
    )*};
}
list_builders! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

#[derive(Default)]
struct MapBuilder {
    fields: HashMap<String, Value>,
    key: Option<String>,
    variant: Option<&'static str>,
    skips_none: bool,
    is_object: bool,
}

impl MapBuilder {
    fn insert<T: Serialize + ?Sized>(&mut self, name: String, value: &T) -> Result<(), ValueError> {
        match value
            .serialize(ValueSerializer { is_top: false })
            .map_err(|error| error.in_field(&name))?
        {
            None if self.skips_none => {}
            value => {
                self.fields.insert(name, value.unwrap_or(Value::Null));
            }
        }
        Ok(())
    }

    fn finish(self) -> Serialized {
        let map = Value::Map(self.fields);
        match self.variant {
            Some(variant) => some(Item::from([(variant.to_owned(), map)])),
            None if self.is_object => Object::deserialize(ValueDeserializer(map)).and_then(some),
            None => some(map),
        }
    }
}

impl SerializeMap for MapBuilder {
    type Ok = Option<Value>;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(match to_value(key)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => return Err(ValueError::new("map keys must be text")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = self.key.take().expect("serde serializes a key before its value");
        self.insert(key, value)
    }

    fn end(self) -> Serialized {
        self.finish()
    }
}

macro_rules! struct_builders {
    ($($builder:ident,)*) => {$(
        impl $builder for MapBuilder {
            type Ok = Option<Value>;
            type Error = ValueError;

            fn serialize_field<T>(&mut self, name: &'static str, value: &T) -> Result<(), ValueError>
            where
                T: Serialize + ?Sized,
            {
                self.insert(name.to_owned(), value)
            }

            fn end(self) -> Serialized {
                self.finish()
            }
        }
    )*};
}
struct_builders! { SerializeStruct, SerializeStructVariant, }
