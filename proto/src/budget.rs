//! Limits the number of values in a message. They are counted on the encoded bytes, before decoding: a decoded value takes
//! many times its encoded size, so the count limits the memory of a request. Allocates only the path of the field that
//! exceeds the limit.
//!
//! Everything that repeats counts, at any depth: attributes, members of lists, maps and sets, names, fields, metadata. The
//! fields are those of the contract's descriptors, so that new ones are counted automatically.

use std::cell::Cell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::FILE_DESCRIPTOR_SET;

/// Minimum encoded size of a repeated value: a tag and a length.
const MIN_VALUE_BYTES: usize = 2;
/// Maximum depth, as in prost.
const MAX_DEPTH: usize = 100;

thread_local! {
    static MAX_VALUES: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A future in which messages are decoded within a budget.
#[derive(Debug)]
pub struct Within<F> {
    max_values: usize,
    inner: F,
}

/// Limits messages to `max_values` values in all codecs that are created while `inner` is polled. Other codecs, such as those
/// of clients, have no limit.
pub fn within<F: Future + Unpin>(max_values: usize, inner: F) -> Within<F> {
    Within { max_values, inner }
}

impl<F: Future + Unpin> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _restored = Restored(MAX_VALUES.replace(self.max_values));
        Pin::new(&mut self.inner).poll(context)
    }
}

/// Restores the budget when it is dropped, also during a panic.
struct Restored(usize);

impl Drop for Restored {
    fn drop(&mut self) {
        MAX_VALUES.set(self.0);
    }
}

/// The budget of the future that is being polled.
pub(crate) fn current() -> usize {
    MAX_VALUES.get()
}

/// The path of the field in which a message exceeds `max_values` values. `None` if it does not. `message` is the name of the
/// type in `tollgate.v1`. Invalid bytes are left to the decoder.
pub(crate) fn exceeded(message: &str, bytes: &[u8], max_values: usize) -> Option<String> {
    if bytes.len() / MIN_VALUE_BYTES <= max_values {
        return None;
    }
    let shape = *SHAPES.by_name.get(message)?;
    let mut count = Count {
        left: max_values,
        path: Vec::new(),
    };
    count
        .message(shape, bytes, 0, false)
        .err()
        .map(|Exceeded| count.path.join("."))
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::from_contract);

/// The message types of the contract and its imports.
struct Shapes {
    /// Indexes in `all` of the types of `tollgate.v1`.
    by_name: HashMap<String, usize>,
    all: Vec<Vec<Field>>,
}

/// A field that is counted or contains messages. Other fields are skipped.
struct Field {
    number: u32,
    name: String,
    is_repeated: bool,
    /// Whether one occurrence may contain several members, of at least a byte each.
    is_packable: bool,
    /// Index of the message's shape.
    message: Option<usize>,
}

impl Shapes {
    fn from_contract() -> Shapes {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build script encoded it");
        let mut messages = Vec::new();
        for file in &files.file {
            for message in &file.message_type {
                gather(&format!(".{}", file.package()), message, &mut messages);
            }
        }
        let places: HashMap<&str, usize> = messages
            .iter()
            .enumerate()
            .map(|(place, (name, _))| (name.as_str(), place))
            .collect();
        let all = messages
            .iter()
            .map(|(_, message)| fields(message, &places))
            .collect();
        let by_name = places
            .iter()
            .filter_map(|(name, place)| Some((name.strip_prefix(".tollgate.v1.")?.to_owned(), *place)));
        Shapes {
            by_name: by_name.collect(),
            all,
        }
    }
}

/// Collects a message and its nested messages, with their full names.
fn gather<'a>(scope: &str, message: &'a DescriptorProto, messages: &mut Vec<(String, &'a DescriptorProto)>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        gather(&name, nested, messages);
    }
    messages.push((name, message));
}

fn fields(message: &DescriptorProto, places: &HashMap<&str, usize>) -> Vec<Field> {
    let fields = message.field.iter().map(|field| Field {
        number: field.number().unsigned_abs(),
        name: field.name().to_owned(),
        is_repeated: field.label() == Label::Repeated,
        is_packable: !matches!(
            field.r#type(),
            Type::String | Type::Bytes | Type::Message | Type::Group
        ),
        message: places.get(field.type_name()).copied(),
    });
    fields
        .filter(|field| field.is_repeated || field.message.is_some())
        .collect()
}

/// The message has too many values.
struct Exceeded;

struct Count {
    left: usize,
    /// The path of the current field, down to the first repeated one.
    path: Vec<&'static str>,
}

impl Count {
    /// Counts the values of a message. The fields of a group count as those of the message, which may count too many.
    fn message(&mut self, shape: usize, bytes: &[u8], depth: usize, is_named: bool) -> Result<(), Exceeded> {
        let fields: &'static [Field] = &SHAPES.all[shape];
        let mut rest = bytes;
        while let Some((number, part)) = next(&mut rest) {
            let Some(field) = fields.iter().find(|field| field.number == number) else {
                continue;
            };
            if !is_named {
                self.path.push(&field.name);
            }
            self.field(field, part, depth, is_named)?;
            if !is_named {
                self.path.pop();
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &'static Field,
        part: Part<'_>,
        depth: usize,
        is_named: bool,
    ) -> Result<(), Exceeded> {
        if field.is_repeated {
            let members = match part {
                Part::Bytes(bytes) if field.is_packable => bytes.len(),
                Part::Bytes(_) | Part::Scalar => 1,
            };
            self.left = self.left.checked_sub(members).ok_or(Exceeded)?;
        }
        match (field.message, part) {
            (Some(shape), Part::Bytes(bytes)) if depth < MAX_DEPTH => {
                self.message(shape, bytes, depth + 1, is_named || field.is_repeated)
            }
            _ => Ok(()),
        }
    }
}

/// The encoded content of a field.
#[derive(Clone, Copy)]
enum Part<'a> {
    Bytes(&'a [u8]),
    Scalar,
}

/// The number and content of the next field. `None` at the end, or if the bytes are not protobuf.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, Part<'a>)> {
    let tag = u32::try_from(varint(rest)?).ok()?;
    let part = match tag & 7 {
        0 => varint(rest).map(|_| Part::Scalar)?,
        1 => taken(rest, 8).map(|_| Part::Scalar)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Part::Bytes(taken(rest, length)?)
        }
        3 | 4 => Part::Scalar,
        5 => taken(rest, 4).map(|_| Part::Scalar)?,
        _ => return None,
    };
    Some((tag >> 3, part))
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1::attribute_value::Kind;
    use crate::v1::{self, AttributeValue};

    fn value(kind: Kind) -> AttributeValue {
        AttributeValue { kind: Some(kind) }
    }

    fn list(values: Vec<AttributeValue>) -> AttributeValue {
        value(Kind::L(v1::ListValue { values }))
    }

    fn save(attribute: AttributeValue) -> v1::SaveRequest {
        v1::SaveRequest {
            item: [("a".to_owned(), attribute)].into(),
            ..v1::SaveRequest::default()
        }
    }

    /// Checks that a message has `values` values, and the field that is reported if fewer are allowed.
    #[track_caller]
    fn counts(name: &str, message: &impl Message, values: usize, field: &str) {
        let bytes = message.encode_to_vec();
        assert_eq!(
            exceeded(name, &bytes, values),
            None,
            "{values} values are allowed"
        );
        assert_eq!(exceeded(name, &bytes, values - 1).as_deref(), Some(field));
    }

    #[test]
    fn counts_everything_that_repeats_at_any_depth() {
        let empty = AttributeValue { kind: None };
        counts("SaveRequest", &save(list(vec![empty.clone(); 9])), 10, "item");
        let nested = list(vec![list(vec![empty; 4]), list(vec![])]);
        counts("SaveRequest", &save(nested), 7, "item");
        let texts = vec!["x".to_owned(); 5];
        let set = value(Kind::Ss(v1::StringSet {
            values: texts.clone(),
        }));
        counts("SaveRequest", &save(set), 6, "item");
        let fields = (0..3).map(|name| (name.to_string(), value(Kind::Null(0))));
        let map = value(Kind::M(v1::MapValue {
            fields: fields.collect(),
        }));
        counts("SaveRequest", &save(map), 4, "item");
        let metadata = (0..4).map(|name| (name.to_string(), String::new())).collect();
        let object = value(Kind::Object(Box::new(v1::Object {
            metadata,
            ..v1::Object::default()
        })));
        counts("SaveRequest", &save(object), 5, "item");
        let get = v1::GetRequest {
            fields: texts.clone(),
            include_objects: texts,
            ..v1::GetRequest::default()
        };
        counts("GetRequest", &get, 10, "include_objects");
        let names = (0..6).map(|name| (name.to_string(), String::new())).collect();
        let condition = v1::Expression {
            names,
            ..v1::Expression::default()
        };
        let query = v1::QueryRequest {
            filter: Some(condition),
            ..v1::QueryRequest::default()
        };
        counts("QueryRequest", &query, 6, "filter.names");
    }

    #[test]
    fn fields_of_one_message_add_up() {
        let texts = vec![String::new(); 3];
        let item = (0..4)
            .map(|name| (name.to_string(), value(Kind::Bool(true))))
            .collect();
        let values = (0..2)
            .map(|name| (name.to_string(), value(Kind::Bool(true))))
            .collect();
        let condition = Some(v1::Expression {
            values,
            ..v1::Expression::default()
        });
        let request = v1::SaveRequest {
            item,
            condition,
            ..v1::SaveRequest::default()
        };
        counts("SaveRequest", &request, 6, "condition.values");
        let scan = v1::ScanRequest {
            fields: texts.clone(),
            include_objects: texts,
            ..v1::ScanRequest::default()
        };
        counts("ScanRequest", &scan, 6, "include_objects");
    }

    #[test]
    fn counts_every_occurrence_of_a_field() {
        let once = save(list(vec![AttributeValue { kind: None }; 3])).encode_to_vec();
        let twice = [once.clone(), once].concat();
        assert_eq!(exceeded("SaveRequest", &twice, 8), None);
        assert_eq!(exceeded("SaveRequest", &twice, 7).as_deref(), Some("item"));
    }

    #[test]
    fn leaves_invalid_bytes_and_unknown_fields_to_the_decoder() {
        for bytes in [
            &[0xff; 40][..],
            &[0x12, 0xff, 0xff, 0x7f, 1, 2, 3, 4],
            &[0; 16],
            &[0x0f; 16],
        ] {
            assert_eq!(exceeded("SaveRequest", bytes, 1), None);
        }
        // field 999, a string, twice
        let unknown = [0xba, 0x3e, 0x02, b'h', b'i'].repeat(2);
        assert_eq!(exceeded("SaveRequest", &unknown, 0), None);
        // a group of an unknown field around 3 items
        let mut group = vec![0xbb, 0x3e];
        group.extend([0x12, 0x00].repeat(3));
        group.extend([0xbc, 0x3e]);
        assert_eq!(exceeded("SaveRequest", &group, 2).as_deref(), Some("item"));
    }

    #[test]
    fn depth_is_bounded() {
        let mut nested = Vec::new();
        for _ in 0..2000 {
            let values = [&[0x0a][..], &varint_of(nested.len()), &nested].concat();
            nested = [&[0x32][..], &varint_of(values.len()), &values].concat();
        }
        // a level of lists is two levels of messages
        assert_eq!(exceeded("AttributeValue", &nested, MAX_DEPTH / 2 + 1), None);
        assert!(exceeded("AttributeValue", &nested, MAX_DEPTH / 2 - 1).is_some());
    }

    fn varint_of(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(length as u64, &mut bytes);
        bytes
    }
}
