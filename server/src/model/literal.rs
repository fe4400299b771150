//! Reads the values in a model file (defaults and enums) as values of the attribute's type.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::attribute_type::AttributeType;
use super::limits::MAX_DEPTH;
use super::number::{InvalidNumber, Number};
use super::value::Value;
use crate::yaml::{Cursor, Report, View};

/// Reads a value of this type. Binary is standard base64.
pub(super) fn value(at: &Cursor<'_>, kind: AttributeType, report: &mut Report) -> Option<Value> {
    match kind {
        AttributeType::String => Some(Value::S(at.text(report)?.to_owned())),
        AttributeType::Number => number(at.number(report)?, at, report).map(Value::N),
        AttributeType::Binary => binary(at, report),
        AttributeType::Boolean => at.boolean(report).map(Value::Bool),
        AttributeType::List => list(&at.items(report)?, 1, report),
        AttributeType::Map => map(&at.entries(report)?, 1, report),
        AttributeType::Object => {
            report.add(at, "an object cannot have a default");
            None
        }
    }
}

/// Parses a number.
pub(super) fn number(text: &str, at: &Cursor<'_>, report: &mut Report) -> Option<Number> {
    text.parse()
        .map_err(|error: InvalidNumber| report.add(at, error.to_string()))
        .ok()
}

fn binary(at: &Cursor<'_>, report: &mut Report) -> Option<Value> {
    let decoded = STANDARD.decode(at.text(report)?).ok();
    if decoded.is_none() {
        report.add(at, "expected bytes as standard base64");
    }
    decoded.map(|bytes| Value::B(bytes.into()))
}

/// Reads a value inside a list or map, with the type that YAML gives it.
fn any(at: &Cursor<'_>, depth: usize, report: &mut Report) -> Option<Value> {
    if depth > MAX_DEPTH {
        report.add(at, format!("nested deeper than {MAX_DEPTH} levels"));
        return None;
    }
    match at.view(report)? {
        View::Nothing => Some(Value::Null),
        View::Boolean(boolean) => Some(Value::Bool(boolean)),
        View::Number(text) => number(text, at, report).map(Value::N),
        View::Text(text) => Some(Value::S(text.to_owned())),
        View::List(items) => list(&items, depth, report),
        View::Map(entries) => map(&entries, depth, report),
    }
}

fn list(items: &[Cursor<'_>], depth: usize, report: &mut Report) -> Option<Value> {
    let values: Vec<Value> = items
        .iter()
        .filter_map(|item| any(item, depth + 1, report))
        .collect();
    (values.len() == items.len()).then_some(Value::L(values))
}

fn map(entries: &[(&str, Cursor<'_>)], depth: usize, report: &mut Report) -> Option<Value> {
    let mut fields = HashMap::with_capacity(entries.len());
    for (name, cursor) in entries {
        if name.is_empty() {
            report.add(cursor, "a name must not be empty");
        }
        if let Some(value) = any(cursor, depth + 1, report) {
            fields.insert((*name).to_owned(), value);
        }
    }
    (fields.len() == entries.len()).then_some(Value::M(fields))
}
