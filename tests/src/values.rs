//! Short ways to write items, expressions and requests of the contract.

use std::collections::HashMap;

use bytes::Bytes;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
pub use v1::AttributeValue;

/// An item of the contract.
pub type Item = HashMap<String, AttributeValue>;

/// A string.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::S(text.into())),
    }
}

/// A number.
#[allow(
    clippy::needless_pass_by_value,
    reason = "callers pass literals and strings without a `&`"
)]
pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::N(number.to_string())),
    }
}

/// Bytes.
pub fn b(bytes: impl Into<Bytes>) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::B(bytes.into())),
    }
}

/// A list.
pub fn l(values: impl IntoIterator<Item = AttributeValue>) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::L(v1::ListValue {
            values: values.into_iter().collect(),
        })),
    }
}

/// A map.
pub fn m<const N: usize>(fields: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::M(v1::MapValue { fields: item(fields) })),
    }
}

/// An object to be written.
pub fn object(data: impl Into<Bytes>) -> AttributeValue {
    let object = v1::Object {
        data: Some(data.into()),
        name: "report.pdf".to_owned(),
        ..v1::Object::default()
    };
    AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    }
}

/// An item.
pub fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The key of the example models.
pub fn key(partition: &str, sort: &str) -> Item {
    item([("pk", s(partition)), ("sk", s(sort))])
}

/// An expression with values.
pub fn expression<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> Option<v1::Expression> {
    Some(v1::Expression {
        text: text.to_owned(),
        values: item(values),
        names: HashMap::new(),
    })
}

/// A `User`.
pub fn user(partition: &str, ssn: &str) -> Item {
    let mut user = key(partition, "PROFILE");
    user.extend(item([("name", s("Ada")), ("age", n(36)), ("ssn", s(ssn))]));
    user
}

/// A `SecureUser`, its three attributes encrypted.
pub fn secure_user(partition: &str, sort: &str) -> Item {
    let mut user = key(partition, sort);
    let address = m([("city", s("London")), ("lines", l([s("1 Main St"), n(7)]))]);
    user.extend(item([
        ("ssn", s("078-05-1120")),
        ("phone", s("+44 20")),
        ("address", address),
    ]));
    user
}

/// A `Document` with content.
pub fn document(partition: &str, content: impl Into<Bytes>) -> Item {
    let mut document = key(partition, "V1");
    document.extend(item([("name", s("report")), ("content", object(content))]));
    document
}

/// A Save.
pub fn save(model: &str, item: Item) -> v1::SaveRequest {
    v1::SaveRequest {
        model: model.to_owned(),
        item,
        ..v1::SaveRequest::default()
    }
}

/// A Get.
pub fn get(model: &str, key: Item) -> v1::GetRequest {
    v1::GetRequest {
        model: model.to_owned(),
        key,
        ..v1::GetRequest::default()
    }
}

/// A Get of a `Document` with its content.
pub fn get_content(partition: &str) -> v1::GetRequest {
    v1::GetRequest {
        include_objects: vec!["content".to_owned()],
        ..get("Document", key(partition, "V1"))
    }
}

/// An Update of the values of an expression.
pub fn update<const N: usize>(
    model: &str,
    key: Item,
    text: &str,
    values: [(&str, AttributeValue); N],
) -> v1::UpdateRequest {
    v1::UpdateRequest {
        model: model.to_owned(),
        key,
        update: expression(text, values),
        ..v1::UpdateRequest::default()
    }
}

/// A Delete.
pub fn delete(model: &str, key: Item) -> v1::DeleteRequest {
    v1::DeleteRequest {
        model: model.to_owned(),
        key,
        ..v1::DeleteRequest::default()
    }
}

/// A Query of one partition.
pub fn query(model: &str, partition: &str) -> v1::QueryRequest {
    let key_condition = expression("pk = :pk", [(":pk", s(partition))]);
    v1::QueryRequest {
        model: model.to_owned(),
        key_condition,
        ..v1::QueryRequest::default()
    }
}

/// A Scan.
pub fn scan(model: &str) -> v1::ScanRequest {
    v1::ScanRequest {
        model: model.to_owned(),
        ..v1::ScanRequest::default()
    }
}
