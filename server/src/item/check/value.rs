//! Checks a value against its attribute: its type, the model's checks, and DynamoDB's rules for nested values.

use super::object;
use crate::fault::{Faults, Path, by_name};
use crate::item::attribute_type::value_name;
use crate::model::limits::MAX_NAME_BYTES;
use crate::model::{Attribute, Value};

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

/// Checks a value that matches the attribute's type.
pub(super) fn check(
    attribute: &Attribute,
    value: &Value,
    path: Path<'_>,
    max_depth: usize,
    faults: &mut Faults,
) {
    match value {
        Value::Object(object) => object::check(object, path, faults),
        other => check_parts(other, path, 1, max_depth, faults),
    }
    for violation in attribute.checks.violations(value) {
        faults.push(path, violation);
    }
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
