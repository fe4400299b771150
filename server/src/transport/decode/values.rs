//! Items, expressions and values: numbers parse, sets are sets, every value has a kind.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;

use crate::billing::is_valid_name;
use crate::expression::Expression;
use crate::fault::{Faults, Path};
use crate::model::{Item, Number, Object, Value};

/// Collects what is wrong with a request while it is being decoded.
#[derive(Default)]
pub(super) struct Decoder {
    faults: Faults,
}

impl Decoder {
    /// The faults found.
    pub(super) fn into_faults(self) -> Faults {
        self.faults
    }

    /// An item or a key; values that cannot be decoded are left out and become faults.
    pub(super) fn item(&mut self, values: HashMap<String, v1::AttributeValue>, root: &str) -> Item {
        self.fields(values, Path::Root(root))
    }

    /// An expression; `None` if all of its fields are empty.
    pub(super) fn expression(
        &mut self,
        expression: Option<v1::Expression>,
        root: &str,
    ) -> Option<Expression> {
        let v1::Expression { text, values, names } = expression?;
        if text.is_empty() && values.is_empty() && names.is_empty() {
            return None;
        }
        let values = self.fields(values, Path::Name(&Path::Root(root), "values"));
        Some(Expression { text, values, names })
    }

    /// The id of a request, or an empty string.
    pub(super) fn request_id(&mut self, id: String) -> String {
        if !id.is_empty() && !is_valid_name(&id) {
            self.fault("request_id", "must be 1 to 128 characters of A-Za-z0-9._:-");
        }
        id
    }

    /// Adds a fault of one field.
    pub(super) fn fault(&mut self, field: &str, description: &str) {
        self.faults.push(field, description);
    }

    /// Decodes what may have faults in the order of names: a map's own order is random, and only the first faults are
    /// kept.
    fn fields(&mut self, values: HashMap<String, v1::AttributeValue>, parent: Path<'_>) -> Item {
        let mut fields = Item::with_capacity(values.len());
        let mut others = Vec::new();
        let mut values = values.into_iter();
        while let Some((name, value)) = values.next() {
            match plain(value) {
                Ok(value) => {
                    fields.insert(name, value);
                }
                Err(value) => {
                    if others.is_empty() {
                        // a vector that grows would take up to three times its bytes
                        others.reserve_exact(values.len() + 1);
                    }
                    others.push((name, value));
                }
            }
        }
        others.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in others {
            if let Some(value) = self.value(value, Path::Name(&parent, &name)) {
                fields.insert(name, value);
            }
        }
        fields
    }

    fn value(&mut self, value: v1::AttributeValue, path: Path<'_>) -> Option<Value> {
        let Some(kind) = value.kind else {
            return self.reject(
                path,
                "has no kind; set one of s, n, b, bool, null, l, m, ss, ns, bs, object",
            );
        };
        Some(match kind {
            Kind::S(text) => Value::S(text),
            Kind::N(text) => match text.parse() {
                Ok(number) => Value::N(number),
                Err(error) => return self.reject(path, error),
            },
            Kind::B(bytes) => Value::B(bytes),
            Kind::Bool(flag) => Value::Bool(flag),
            Kind::Null(_) => Value::Null,
            Kind::L(list) => Value::L(self.list(list.values, path)),
            Kind::M(map) => Value::M(self.fields(map.fields, path)),
            Kind::Ss(set) => Value::SS(self.set(set.values, path, Ok::<String, String>)?),
            Kind::Ns(set) => Value::NS(self.set(set.values, path, |text| text.parse())?),
            Kind::Bs(set) => Value::BS(self.set(set.values, path, Ok::<Bytes, String>)?),
            Kind::Object(object) => Value::Object(Box::new(decode_object(*object))),
        })
    }

    fn list(&mut self, values: Vec<v1::AttributeValue>, path: Path<'_>) -> Vec<Value> {
        let decoded = values.into_iter().enumerate();
        decoded
            .filter_map(|(index, value)| self.value(value, Path::Index(&path, index)))
            .collect()
    }

    fn set<T, M: Ord, E: std::fmt::Display>(
        &mut self,
        members: Vec<T>,
        path: Path<'_>,
        parse: impl Fn(T) -> Result<M, E>,
    ) -> Option<BTreeSet<M>> {
        if members.is_empty() {
            return self.reject(path, "a set must have at least one member");
        }
        let mut set = BTreeSet::new();
        for (index, member) in members.into_iter().enumerate() {
            let path = Path::Index(&path, index);
            match parse(member) {
                Ok(member) => {
                    if !set.insert(member) {
                        return self.reject(path, "is a duplicate of another member of the set");
                    }
                }
                Err(error) => return self.reject(path, error),
            }
        }
        Some(set)
    }

    fn reject<T>(&mut self, path: Path<'_>, description: impl std::fmt::Display) -> Option<T> {
        self.faults.push(path, description);
        None
    }
}

/// A value without parts that has no faults; others are returned as they are.
fn plain(value: v1::AttributeValue) -> Result<Value, v1::AttributeValue> {
    let kind = match value.kind {
        Some(Kind::S(text)) => return Ok(Value::S(text)),
        Some(Kind::B(bytes)) => return Ok(Value::B(bytes)),
        Some(Kind::Bool(flag)) => return Ok(Value::Bool(flag)),
        Some(Kind::Null(_)) => return Ok(Value::Null),
        Some(Kind::N(text)) => match Number::from_canonical(text) {
            Ok(number) => return Ok(Value::N(number)),
            Err(text) => Some(Kind::N(text)),
        },
        kind => kind,
    };
    Err(v1::AttributeValue { kind })
}

fn decode_object(object: v1::Object) -> Object {
    Object {
        data: object.data,
        stream: None,
        name: object.name,
        content_type: object.content_type,
        metadata: object.metadata,
        bucket: object.bucket,
        key: object.key,
        size_bytes: object.size,
        etag: object.etag,
        version_id: object.version_id,
        sha256: object.sha256,
        upload_token: object.upload_token,
        upload: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(kind: Option<Kind>) -> (Item, Faults) {
        let mut decoder = Decoder::default();
        let item = decoder.item([("a".to_owned(), v1::AttributeValue { kind })].into(), "item");
        (item, decoder.into_faults())
    }

    fn number(text: &str) -> v1::AttributeValue {
        v1::AttributeValue {
            kind: Some(Kind::N(text.to_owned())),
        }
    }

    #[test]
    fn reports_the_path_of_a_value_without_a_kind() {
        let (item, faults) = decode(None);
        assert!(item.is_empty());
        assert_eq!(faults[0].field, "item.a");
    }

    #[test]
    fn reports_every_invalid_number_of_a_list() {
        let values = vec![number("1"), number("one"), number("1e200")];
        let (_, faults) = decode(Some(Kind::L(v1::ListValue { values })));
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["item.a[1]", "item.a[2]"]);
    }

    #[test]
    fn rejects_empty_sets_and_duplicate_numbers() {
        let (_, faults) = decode(Some(Kind::Ss(v1::StringSet::default())));
        assert_eq!(faults[0].field, "item.a");
        let values = vec!["1".to_owned(), "1.0".to_owned()];
        let (_, faults) = decode(Some(Kind::Ns(v1::NumberSet { values })));
        assert_eq!(faults[0].field, "item.a[1]");
    }
}
