//! A failed call as text for people and as JSON.

use tollgate_client::{Error, Item, Value, code_name};

use super::{json, typed};

/// Code, reason and message, a line per invalid field, and the cause if no server responded.
pub(super) fn fault_lines(error: &Error) -> String {
    let reason = error
        .reason()
        .map(|reason| format!(" {}", reason.as_str()))
        .unwrap_or_default();
    let fields: Vec<String> = error
        .violations()
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    let mut lines = format!("error: {}{reason}", code_name(error.code()));
    // a message that only lists the fields is not repeated
    if error.message() != fields.join("; ") {
        lines.push_str(&format!(": {}", error.message()));
    }
    let key = error
        .key()
        .map(|key| format!("key {}", json::compact(&typed::write(key.clone().into(), ""))));
    let cause = first_cause(error).filter(|_| fields.is_empty());
    for line in key.into_iter().chain(fields).chain(cause) {
        lines.push_str(&format!("\n  {line}"));
    }
    json::printable(&lines) + "\n"
}

/// The error of the connection, if no server responded.
fn first_cause(error: &Error) -> Option<String> {
    let mut cause = std::error::Error::source(error).filter(|_| error.reason().is_none())?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string()).filter(|text| !text.contains(error.message()))
}

/// An error as JSON.
pub(super) fn described(error: &Error) -> Value {
    let field = |violation: &tollgate_client::Violation| {
        let field = ("field".to_owned(), violation.field.as_str().into());
        Value::Map(Item::from([
            field,
            ("description".to_owned(), violation.description.as_str().into()),
        ]))
    };
    let fields: Vec<Value> = error.violations().iter().map(field).collect();
    let mut description = Item::from([
        ("code".to_owned(), code_name(error.code()).into()),
        (
            "reason".to_owned(),
            error
                .reason()
                .map_or(Value::Null, |reason| reason.as_str().into()),
        ),
        ("message".to_owned(), error.message().into()),
        ("fields".to_owned(), fields.into()),
    ]);
    if let Some(key) = error.key() {
        description.insert("key".to_owned(), typed::write(key.clone().into(), ""));
    }
    description.into()
}
