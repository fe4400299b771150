//! Checks a value against its attribute, to any depth: its type, the model's checks, and DynamoDB's rules for nested
//! values. Fills in the defaults inside maps, and returns the value in its stored form.

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use super::object;
use crate::fault::{Faults, Path, by_name, did_you_mean};
use crate::item::attribute_type::value_name;
use crate::model::limits::MAX_NAME_BYTES;
use crate::model::{Attribute, AttributeType, Model, UnknownAttributes, Value};

/// The fault of a missing or null attribute.
pub(super) const REQUIRED: &str = "is required";

/// What applies to all values of a request.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// What happens to undeclared fields of maps that declare some and do not say.
    pub(super) unknown: UnknownAttributes,
    /// Most levels of nested lists and maps.
    pub(super) max_depth: usize,
    /// When the request arrived.
    pub(super) now: SystemTime,
}

/// Checks that a value matches the attribute's type, and returns whether it does.
pub(super) fn check_type(attribute: &Attribute, value: &Value, path: Path<'_>, faults: &mut Faults) -> bool {
    let has_type = attribute.kind.accepts(value);
    if !has_type {
        faults.push(
            path,
            format_args!("must be {}, got {}", attribute.kind.sent_as(), value_name(value)),
        );
    }
    has_type
}

impl Rules {
    /// Checks a value that is not null. `level` is 1 for the value of an attribute. Returns its stored form, or `None` if
    /// it has faults.
    pub(super) fn check(
        self,
        attribute: &Attribute,
        value: Value,
        path: Path<'_>,
        level: usize,
        faults: &mut Faults,
    ) -> Option<Value> {
        if !check_type(attribute, &value, path, faults) {
            return None;
        }
        let before = faults.count();
        for violation in attribute.checks.violations(&value) {
            faults.push(path, violation);
        }
        let stored = match (value, &attribute.items) {
            (Value::Object(object), _) => {
                object::check(&object, attribute.s3.as_ref(), path, faults);
                Some(Value::Object(object))
            }
            (value @ (Value::L(_) | Value::M(_)), _) if level > self.max_depth => {
                check_parts(&value, path, level, self.max_depth, faults);
                None
            }
            (Value::L(values), Some(items)) => {
                Some(Value::L(self.check_list(items, values, path, level, faults)))
            }
            (Value::M(fields), _) if !attribute.attributes.is_empty() => {
                Some(Value::M(self.check_map(attribute, fields, path, level, faults)))
            }
            (value, _) => {
                check_parts(&value, path, level, self.max_depth, faults);
                attribute
                    .to_stored(value, self.now)
                    .map_err(|problem| faults.push(path, problem))
                    .ok()
            }
        };
        stored.filter(|_| faults.count() == before)
    }

    fn check_list(
        self,
        items: &Attribute,
        values: Vec<Value>,
        path: Path<'_>,
        level: usize,
        faults: &mut Faults,
    ) -> Vec<Value> {
        let mut stored = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            if value == Value::Null {
                stored.push(Value::Null);
            } else {
                stored.extend(self.check(items, value, Path::Index(&path, index), level + 1, faults));
            }
        }
        stored
    }

    fn check_map(
        self,
        map: &Attribute,
        mut fields: HashMap<String, Value>,
        path: Path<'_>,
        level: usize,
        faults: &mut Faults,
    ) -> HashMap<String, Value> {
        let mut stored = HashMap::with_capacity(fields.len());
        for field in &map.attributes {
            let path = Path::Name(&path, &field.name);
            let value = match (fields.remove(&field.name), &field.default) {
                (Some(Value::Null) | None, None) if field.required => {
                    faults.push(path, REQUIRED);
                    continue;
                }
                (Some(Value::Null), _) if field.required => {
                    faults.push(path, REQUIRED);
                    continue;
                }
                (None, None) => continue,
                (None, Some(default)) => default.clone(),
                (Some(value), _) => value,
            };
            let value = match value {
                Value::Null if stores_no_null(field.kind) => None,
                Value::Null => Some(Value::Null),
                value => self.check(field, value, path, level + 1, faults),
            };
            stored.extend(value.map(|value| (field.stored_name.clone(), value)));
        }
        self.check_unknown(map, &fields, path, level, faults);
        if map.nested_unknown.unwrap_or(self.unknown) == UnknownAttributes::Keep {
            stored.extend(fields);
        }
        stored
    }

    /// Checks the fields that a map does not declare.
    fn check_unknown(
        self,
        map: &Attribute,
        fields: &HashMap<String, Value>,
        path: Path<'_>,
        level: usize,
        faults: &mut Faults,
    ) {
        for (name, value) in by_name(fields) {
            let path = Path::Name(&path, name);
            match map.nested_unknown.unwrap_or(self.unknown) {
                UnknownAttributes::Reject => faults.push(path, unknown_field(map, name)),
                UnknownAttributes::Keep => match map.stored_attribute(name) {
                    Some(field) => faults.push(path, stored_name_of(&field.name)),
                    None => {
                        check_name(name, path, faults);
                        check_parts(value, path, level + 1, self.max_depth, faults);
                    }
                },
                UnknownAttributes::Drop => {}
            }
        }
    }
}

/// Whether null of this type is not stored at all.
pub(super) fn stores_no_null(kind: AttributeType) -> bool {
    match kind {
        AttributeType::Ttl
        | AttributeType::Version
        | AttributeType::StringSet
        | AttributeType::NumberSet
        | AttributeType::BinarySet
        | AttributeType::Object => true,
        AttributeType::String
        | AttributeType::Number
        | AttributeType::Binary
        | AttributeType::Boolean
        | AttributeType::List
        | AttributeType::Map
        | AttributeType::Json
        | AttributeType::Datetime => false,
    }
}

/// The fault of an undeclared name that is an alias.
pub(super) fn stored_name_of(name: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |formatter| write!(formatter, "is the stored name of `{name}`: use that name"))
}

/// The fault of an undeclared attribute. `is_present` says which attributes the item has.
pub(super) fn unknown_attribute(
    model: &Model,
    name: &str,
    is_present: impl Fn(&str) -> bool,
) -> impl fmt::Display {
    fmt::from_fn(move |formatter| {
        let known = model.attributes.iter().map(|attribute| attribute.name.as_str());
        let near = did_you_mean(name, known.filter(|known| !is_present(known)));
        write!(formatter, "is not an attribute of {}{near}", model.name)
    })
}

fn unknown_field(map: &Attribute, name: &str) -> impl fmt::Display {
    fmt::from_fn(move |formatter| {
        let known = map.attributes.iter().map(|field| field.name.as_str());
        let near = did_you_mean(name, known);
        write!(formatter, "is not a declared field of the map{near}")
    })
}

/// Checks the rules that apply to any stored value: depth, names, non-empty sets, and no nested objects. `level` is 1 for
/// the value of an attribute.
pub(super) fn check_parts(
    value: &Value,
    path: Path<'_>,
    level: usize,
    max_depth: usize,
    faults: &mut Faults,
) {
    if level > max_depth {
        return faults.push(
            path,
            format_args!("must not be nested deeper than {max_depth} levels"),
        );
    }
    match value {
        Value::L(values) => {
            for (index, value) in values.iter().enumerate() {
                check_parts(value, Path::Index(&path, index), level + 1, max_depth, faults);
            }
        }
        Value::M(fields) => {
            for (name, value) in by_name(fields) {
                let path = Path::Name(&path, name);
                check_name(name, path, faults);
                check_parts(value, path, level + 1, max_depth, faults);
            }
        }
        Value::SS(members) => check_set(members.is_empty(), path, faults),
        Value::NS(members) => check_set(members.is_empty(), path, faults),
        Value::BS(members) => check_set(members.is_empty(), path, faults),
        Value::Object(_) => faults.push(
            path,
            "must not be an object: the model has no object attribute here",
        ),
        Value::S(_) | Value::N(_) | Value::B(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// Checks the name of an attribute or map field.
pub(super) fn check_name(name: &str, path: Path<'_>, faults: &mut Faults) {
    if name.is_empty() {
        faults.push(path, "must have a name");
    } else if name.len() > MAX_NAME_BYTES {
        faults.push(
            path,
            format_args!("must have a name of at most {MAX_NAME_BYTES} bytes"),
        );
    }
}

fn check_set(is_empty: bool, path: Path<'_>, faults: &mut Faults) {
    if is_empty {
        faults.push(path, "must have at least one member");
    }
}
