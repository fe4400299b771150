//! Items and values.

use std::collections::HashMap;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;

use crate::model::{Item, Number, Object, Value};

/// An item or a key.
pub(crate) fn item(item: Item) -> HashMap<String, v1::AttributeValue> {
    item.into_iter()
        .map(|(name, inner)| (name, value(inner)))
        .collect()
}

/// One value.
pub(crate) fn value(value: Value) -> v1::AttributeValue {
    let kind = match value {
        Value::S(text) => Kind::S(text),
        Value::N(number) => Kind::N(number.into_string()),
        Value::B(bytes) => Kind::B(bytes),
        Value::Bool(flag) => Kind::Bool(flag),
        Value::Null => Kind::Null(0),
        Value::L(values) => Kind::L(v1::ListValue {
            values: values.into_iter().map(self::value).collect(),
        }),
        Value::M(fields) => Kind::M(v1::MapValue { fields: item(fields) }),
        Value::SS(members) => Kind::Ss(v1::StringSet {
            values: members.into_iter().collect(),
        }),
        Value::NS(members) => Kind::Ns(v1::NumberSet {
            values: members.into_iter().map(Number::into_string).collect(),
        }),
        Value::BS(members) => Kind::Bs(v1::BinarySet {
            values: members.into_iter().collect(),
        }),
        Value::Object(object) => Kind::Object(Box::new(self::object(*object))),
    };
    v1::AttributeValue { kind: Some(kind) }
}

/// One object.
pub(crate) fn object(object: Object) -> v1::Object {
    v1::Object {
        data: object.data,
        name: object.name,
        content_type: object.content_type,
        metadata: object.metadata,
        bucket: object.bucket,
        key: object.key,
        size: object.size_bytes,
        etag: object.etag,
        version_id: object.version_id,
        sha256: object.sha256,
        upload_token: String::new(),
    }
}
