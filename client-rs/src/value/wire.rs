//! Conversion of values to and from protobuf messages.

use std::collections::HashMap;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;

use super::{Binary, BinarySet, Item, Number, NumberSet, Object, StringSet, Value, ValueError};

pub(crate) fn item_to_wire(item: Item) -> HashMap<String, v1::AttributeValue> {
    item.into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect()
}

pub(crate) fn item_from_wire(item: HashMap<String, v1::AttributeValue>) -> Result<Item, ValueError> {
    let read = |(name, wire): (String, v1::AttributeValue)| match Value::try_from(wire) {
        Ok(value) => Ok((name, value)),
        Err(error) => Err(error.in_field(&name)),
    };
    item.into_iter().map(read).collect()
}

impl From<Value> for v1::AttributeValue {
    fn from(value: Value) -> v1::AttributeValue {
        let kind = match value {
            Value::String(text) => Kind::S(text),
            Value::Number(number) => Kind::N(number.to_string()),
            Value::Binary(Binary(bytes)) => Kind::B(bytes),
            Value::Bool(truth) => Kind::Bool(truth),
            Value::Null => Kind::Null(0),
            Value::List(values) => Kind::L(v1::ListValue {
                values: values.into_iter().map(Into::into).collect(),
            }),
            Value::Map(fields) => Kind::M(v1::MapValue {
                fields: item_to_wire(fields),
            }),
            Value::StringSet(members) => Kind::Ss(v1::StringSet {
                values: members.0.into_iter().collect(),
            }),
            Value::NumberSet(members) => Kind::Ns(v1::NumberSet {
                values: members.iter().map(Number::to_string).collect(),
            }),
            Value::BinarySet(members) => Kind::Bs(v1::BinarySet {
                values: members.0.into_iter().map(|Binary(bytes)| bytes).collect(),
            }),
            Value::Object(object) => Kind::Object(Box::new((*object).into())),
        };
        v1::AttributeValue { kind: Some(kind) }
    }
}

/// Unknown kinds become null.
impl TryFrom<v1::AttributeValue> for Value {
    type Error = ValueError;

    fn try_from(wire: v1::AttributeValue) -> Result<Value, ValueError> {
        Ok(match wire.kind {
            None | Some(Kind::Null(_)) => Value::Null,
            Some(Kind::S(text)) => Value::String(text),
            Some(Kind::N(text)) => Value::Number(number(&text)?),
            Some(Kind::B(bytes)) => Value::Binary(Binary(bytes)),
            Some(Kind::Bool(truth)) => Value::Bool(truth),
            Some(Kind::L(list)) => Value::List(list_from_wire(list)?),
            Some(Kind::M(map)) => Value::Map(item_from_wire(map.fields)?),
            Some(Kind::Ss(set)) => Value::StringSet(StringSet(set.values.into_iter().collect())),
            Some(Kind::Ns(set)) => {
                let members: Result<_, _> = set.values.iter().map(|text| number(text)).collect();
                Value::NumberSet(NumberSet(members?))
            }
            Some(Kind::Bs(set)) => Value::BinarySet(BinarySet(set.values.into_iter().map(Binary).collect())),
            Some(Kind::Object(object)) => Value::Object(Box::new((*object).into())),
        })
    }
}

fn list_from_wire(list: v1::ListValue) -> Result<Vec<Value>, ValueError> {
    let values = list.values.into_iter().enumerate();
    values
        .map(|(index, wire)| Value::try_from(wire).map_err(|error| error.at_index(index)))
        .collect()
}

fn number(text: &str) -> Result<Number, ValueError> {
    text.parse()
        .map_err(|_| ValueError::new("invalid number in the response"))
}

impl From<Object> for v1::Object {
    fn from(object: Object) -> v1::Object {
        v1::Object {
            data: object.data.map(|Binary(bytes)| bytes),
            name: object.name,
            content_type: object.content_type,
            metadata: object.metadata,
            bucket: object.bucket,
            key: object.key,
            size: object.size,
            etag: object.etag,
            version_id: object.version_id,
            sha256: object.sha256,
            upload_token: object.upload_token,
        }
    }
}

impl From<v1::Object> for Object {
    fn from(wire: v1::Object) -> Object {
        Object {
            data: wire.data.map(Binary),
            name: wire.name,
            content_type: wire.content_type,
            metadata: wire.metadata,
            bucket: wire.bucket,
            key: wire.key,
            size: wire.size,
            etag: wire.etag,
            version_id: wire.version_id,
            sha256: wire.sha256,
            upload_token: wire.upload_token,
        }
    }
}
