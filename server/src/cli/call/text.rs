//! Arguments as values: text that is typed by the model. Sends nothing.

use tollgate_client::{Object, Value};

use super::{json, typed};

/// The value of an argument for an attribute of this type.
pub(super) fn parse(text: &str, kind: &str) -> Result<Value, String> {
    let number = |text: &str| {
        text.parse()
            .map(Value::Number)
            .map_err(|_| "is a number in the model".to_owned())
    };
    match kind {
        "number" | "version" => number(text),
        "ttl" => Ok(number(text).unwrap_or_else(|_| text.into())),
        "boolean" => match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err("is a boolean in the model: true or false".to_owned()),
        },
        "binary" => typed::base64(text).map(Value::Binary),
        "object" => Ok(Object::new(text.to_owned()).into()),
        "list" | "map" | "string_set" | "number_set" | "binary_set" => {
            let value = json::read(text)
                .map_err(|what| format!("is a {kind} in the model, given as JSON: {what}"))?;
            typed::read(value, kind)
        }
        _ => Ok(text.into()),
    }
}
