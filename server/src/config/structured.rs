//! Settings with structure: maps, lists of maps. They travel as JSON text, to which YAML is converted.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::values::Raw;
use crate::yaml::{Cursor, Report, View};

/// Converts YAML to JSON. `None` if it has faults, which are reported.
pub(super) fn json(at: &Cursor<'_>, report: &mut Report) -> Option<Value> {
    Some(match at.view(report)? {
        View::Nothing => Value::Null,
        View::Boolean(boolean) => Value::Bool(boolean),
        View::Number(text) => match text.parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
        View::Text(text) => Value::String(text.to_owned()),
        View::List(items) => {
            let items: Vec<Option<Value>> = items.iter().map(|item| json(item, report)).collect();
            Value::Array(items.into_iter().collect::<Option<_>>()?)
        }
        View::Map(entries) => {
            let mut fields = Map::new();
            for (key, value) in entries {
                fields.insert(key.to_owned(), json(&value, report)?);
            }
            Value::Object(fields)
        }
    })
}

/// Parses a structured setting. Errors may quote the text: such settings contain no secrets.
pub(super) fn parse<T: DeserializeOwned>(raw: &Raw) -> Result<T, String> {
    parse_json(raw.text()?)
}

/// Parses a list of structured values.
pub(super) fn parse_list<T: DeserializeOwned>(raw: &Raw) -> Result<Vec<T>, String> {
    let values: Vec<Value> = parse_json(raw.text()?)?;
    let values = values.into_iter().enumerate();
    values
        .map(|(index, value)| {
            serde_json::from_value(value).map_err(|error| format!("[{index}]: {}", described(&error)))
        })
        .collect()
}

/// Prints a structured value as JSON, which is YAML too.
pub(super) fn show<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => described(&error),
        false => "must be JSON in a variable".to_owned(),
    })
}

/// The error without its position, which is one in the JSON.
fn described(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
