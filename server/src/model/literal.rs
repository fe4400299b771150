//! Reads the values in a model file (defaults and enums) as values of the attribute's type.

use std::collections::{BTreeSet, HashMap};

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
        AttributeType::StringSet | AttributeType::NumberSet | AttributeType::BinarySet => {
            set(at, kind, report)
        }
        AttributeType::Json => json(at, report),
        AttributeType::Datetime => Some(Value::S(at.text(report)?.to_owned())),
        AttributeType::Ttl => match at.view(report)? {
            View::Text(text) => Some(Value::S(text.to_owned())),
            View::Number(text) => number(text, at, report).map(Value::N),
            other => at.expected("a number or text", &other, report),
        },
        AttributeType::Version => None,
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

fn json(at: &Cursor<'_>, report: &mut Report) -> Option<Value> {
    let text = at.text(report)?;
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        report.add(at, "expected JSON as text");
        return None;
    }
    Some(Value::S(text.to_owned()))
}

/// Reads a set, written as a list.
fn set(at: &Cursor<'_>, kind: AttributeType, report: &mut Report) -> Option<Value> {
    let items = at.items(report)?;
    if items.is_empty() {
        report.add(at, "a set must have at least one member");
        return None;
    }
    let mut members = Vec::with_capacity(items.len());
    for item in &items {
        let Some(member) = value(item, kind.member(), report) else {
            continue;
        };
        if members.contains(&member) {
            report.add(item, "is a duplicate");
        }
        members.push(member);
    }
    (members.len() == items.len()).then(|| set_of(kind, members))
}

/// A set of members that have its type.
fn set_of(kind: AttributeType, members: Vec<Value>) -> Value {
    let (mut texts, mut numbers, mut binaries) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for member in members {
        match member {
            Value::S(text) => drop(texts.insert(text)),
            Value::N(number) => drop(numbers.insert(number)),
            Value::B(bytes) => drop(binaries.insert(bytes)),
            _ => {}
        }
    }
    match kind {
        AttributeType::NumberSet => Value::NS(numbers),
        AttributeType::BinarySet => Value::BS(binaries),
        _ => Value::SS(texts),
    }
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
