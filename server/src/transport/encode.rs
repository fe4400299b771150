//! From the values inside to the contract's messages.

use std::collections::HashMap;

use prost::Message as _;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;

use crate::model::limits::PAGE_MESSAGE_BYTES;
use crate::model::{Item, Object, Value};

/// Most bytes of a field's tag and length, or of a count.
const FIELD_BYTES: usize = 6;

/// The results of a page in messages of bounded size. The last one has room for the page's token and counts, if it has
/// any: it is empty if they fit nowhere else.
pub(super) fn in_messages(
    results: impl Iterator<Item = v1::ItemResult>,
    token_bytes: Option<usize>,
) -> Vec<Vec<v1::ItemResult>> {
    let mut messages = vec![Vec::new()];
    let mut message_bytes = 0;
    for result in results {
        let bytes = result.encoded_len() + FIELD_BYTES;
        if message_bytes > 0 && message_bytes + bytes > PAGE_MESSAGE_BYTES {
            messages.push(Vec::new());
            message_bytes = 0;
        }
        message_bytes += bytes;
        messages.last_mut().expect("there is one").push(result);
    }
    let end_bytes = token_bytes.map_or(0, |token_bytes| token_bytes + 3 * FIELD_BYTES);
    if message_bytes > 0 && message_bytes + end_bytes > PAGE_MESSAGE_BYTES && token_bytes.is_some() {
        messages.push(Vec::new());
    }
    messages
}

/// An item or a key.
pub(super) fn item(item: Item) -> HashMap<String, v1::AttributeValue> {
    item.into_iter()
        .map(|(name, inner)| (name, value(inner)))
        .collect()
}

/// One value.
pub(super) fn value(value: Value) -> v1::AttributeValue {
    let kind = match value {
        Value::S(text) => Kind::S(text),
        Value::N(number) => Kind::N(number.as_str().to_owned()),
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
            values: members.iter().map(|number| number.as_str().to_owned()).collect(),
        }),
        Value::BS(members) => Kind::Bs(v1::BinarySet {
            values: members.into_iter().collect(),
        }),
        Value::Object(object) => Kind::Object(Box::new(encode_object(*object))),
    };
    v1::AttributeValue { kind: Some(kind) }
}

fn encode_object(object: Object) -> v1::Object {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(bytes: usize) -> v1::ItemResult {
        let value = value(Value::S("x".repeat(bytes)));
        v1::ItemResult {
            item: [("a".to_owned(), value)].into(),
            ..v1::ItemResult::default()
        }
    }

    #[test]
    fn messages_of_a_page_are_bounded() {
        const MIB: usize = 1024 * 1024;
        for (sizes, token_bytes, expected) in [
            (vec![], Some(0), vec![0]),
            (vec![10, 10], Some(100), vec![2]),
            (vec![MIB; 7], None, vec![2, 2, 2, 1]),
            (vec![10, 5 * MIB, 10], Some(10), vec![1, 1, 1]),
            (vec![10, 5 * MIB], Some(10), vec![1, 1, 0]),
            (vec![3 * MIB - 100], Some(200_000), vec![1, 0]),
            (vec![3 * MIB - 100], None, vec![1]),
        ] {
            let messages = in_messages(sizes.into_iter().map(result), token_bytes);
            let lengths: Vec<_> = messages.iter().map(Vec::len).collect();
            assert_eq!(lengths, expected);
            for results in messages.into_iter().filter(|results| results.len() > 1) {
                let message = v1::QueryResponse {
                    results,
                    ..v1::QueryResponse::default()
                };
                assert!(message.encoded_len() <= PAGE_MESSAGE_BYTES);
            }
        }
    }
}
