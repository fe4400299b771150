//! One value against its attribute: its type, the model's checks, and what DynamoDB demands of everything within.

use super::{Faults, MAX_NAME_BYTES, object};
use crate::fault::Path;
use crate::item::types::{described, expected, fits};
use crate::model::{Attribute, Checks, Number, Value};

/// Values that a fault names of an enumeration.
const MAX_NAMED_VALUES: usize = 16;

/// Checks whether a value is of the attribute's type.
pub(super) fn check_type(attribute: &Attribute, value: &Value, path: Path<'_>, faults: &mut Faults) -> bool {
    let is_of_type = fits(attribute.kind, value);
    if !is_of_type {
        faults.push(
            path,
            format!("must be {}, is {}", expected(attribute.kind), described(value)),
        );
    }
    is_of_type
}

/// Checks a value of the attribute's type.
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
    check_range(&attribute.checks, value, path, faults);
    check_length(&attribute.checks, value, path, faults);
    check_pattern(&attribute.checks, value, path, faults);
    check_enumeration(&attribute.checks, value, path, faults);
}

/// Checks what DynamoDB demands of any value: depth, names, sets that are not empty; and no objects, which lie only
/// where the model says. `level` is 1 for an attribute's own value.
pub(super) fn check_parts(
    value: &Value,
    path: Path<'_>,
    level: usize,
    max_depth: usize,
    faults: &mut Faults,
) {
    if level > max_depth {
        return faults.push(path, format!("is nested deeper than {max_depth} levels"));
    }
    match value {
        Value::L(values) => {
            for (index, value) in values.iter().enumerate() {
                check_parts(value, Path::Index(&path, index), level + 1, max_depth, faults);
            }
        }
        Value::M(fields) => {
            for (name, value) in fields {
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

/// Checks the name of an attribute or of a map's field.
pub(super) fn check_name(name: &str, path: Path<'_>, faults: &mut Faults) {
    if name.is_empty() {
        faults.push(path, "must have a name");
    } else if name.len() > MAX_NAME_BYTES {
        faults.push(
            path,
            format!("must have a name of at most {MAX_NAME_BYTES} bytes"),
        );
    }
}

fn check_set(is_empty: bool, path: Path<'_>, faults: &mut Faults) {
    if is_empty {
        faults.push(path, "must have at least one member");
    }
}

fn check_range(checks: &Checks, value: &Value, path: Path<'_>, faults: &mut Faults) {
    let Value::N(number) = value else { return };
    if let Some(min) = checks.min.as_ref().filter(|min| number < *min) {
        faults.push(path, format!("must be at least {}", min.as_str()));
    }
    if let Some(max) = checks.max.as_ref().filter(|max| number > *max) {
        faults.push(path, format!("must be at most {}", max.as_str()));
    }
}

fn check_length(checks: &Checks, value: &Value, path: Path<'_>, faults: &mut Faults) {
    if checks.min_length.is_none() && checks.max_length.is_none() {
        return;
    }
    let Some((length, unit)) = length(value) else {
        return;
    };
    if let Some(min) = checks.min_length.filter(|min| length < *min) {
        faults.push(path, format!("must have at least {min} {unit}"));
    }
    if let Some(max) = checks.max_length.filter(|max| length > *max) {
        faults.push(path, format!("must have at most {max} {unit}"));
    }
}

fn length(value: &Value) -> Option<(u64, &'static str)> {
    let (length, unit) = match value {
        Value::S(text) => (text.chars().count(), "characters"),
        Value::B(bytes) => (bytes.len(), "bytes"),
        Value::L(values) => (values.len(), "members"),
        Value::M(fields) => (fields.len(), "members"),
        _ => return None,
    };
    Some((length as u64, unit))
}

fn check_pattern(checks: &Checks, value: &Value, path: Path<'_>, faults: &mut Faults) {
    let (Some(pattern), Value::S(text)) = (&checks.pattern, value) else {
        return;
    };
    let is_whole = pattern.find(text).is_some_and(|found| found.len() == text.len());
    if !is_whole {
        faults.push(path, format!("must match the pattern {}", pattern.as_str()));
    }
}

fn check_enumeration(checks: &Checks, value: &Value, path: Path<'_>, faults: &mut Faults) {
    if checks.one_of.is_empty() || checks.one_of.contains(value) {
        return;
    }
    let named: Option<Vec<&str>> = checks.one_of.iter().map(model_text).collect();
    match named.filter(|named| named.len() <= MAX_NAMED_VALUES) {
        Some(named) => faults.push(path, format!("must be one of: {}", named.join(", "))),
        None => faults.push(path, "must be one of the values that the model names"),
    }
}

/// A value of the model's file, as text where it has one.
fn model_text(value: &Value) -> Option<&str> {
    match value {
        Value::S(text) => Some(text),
        Value::N(number) => Some(Number::as_str(number)),
        _ => None,
    }
}
