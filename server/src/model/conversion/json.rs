//! JSON text: checked, and written with the spacing of the table. Texts of numbers and strings stay as the caller wrote
//! them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use crate::model::stored_form::Compat;
use crate::model::value::Value;

/// Checks a caller's text and writes it with the spacing of the stored form.
pub(super) fn stored(text: &str, compat: Compat) -> Result<String, &'static str> {
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|_| "must be JSON text, nested at most 127 levels deep")?;
    Ok(spaced(text, compat))
}

/// Writes valid JSON without white space, or with Python's.
fn spaced(text: &str, compat: Compat) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        space(&rest[..quote], compat, &mut out);
        let end = string_end(&rest[quote..]);
        out.push_str(&rest[quote..quote + end]);
        rest = &rest[quote + end..];
    }
    space(rest, compat, &mut out);
    out
}

/// Writes what is outside strings.
fn space(text: &str, compat: Compat, out: &mut String) {
    for char in text
        .chars()
        .filter(|char| !matches!(char, ' ' | '\t' | '\n' | '\r'))
    {
        out.push(char);
        if compat == Compat::Pydynox && matches!(char, ',' | ':') {
            out.push(' ');
        }
    }
}

/// The length of the string at the beginning, with both quotes.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// The JSON text of a native map or list, as another program stored it; `None` for other values.
pub(super) fn from_native(value: &Value) -> Option<String> {
    matches!(value, Value::L(_) | Value::M(_)).then(|| {
        let mut out = String::new();
        write(value, &mut out);
        out
    })
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::S(text) => write_text(text, out),
        Value::N(number) => out.push_str(number.as_str()),
        Value::B(bytes) => write_text(&STANDARD.encode(bytes), out),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Null | Value::Object(_) => out.push_str("null"),
        Value::L(values) => write_list(values, write, out),
        Value::SS(members) => write_list(members, |text, out| write_text(text, out), out),
        Value::NS(members) => write_list(members, |number, out| out.push_str(number.as_str()), out),
        Value::BS(members) => {
            write_list(
                members,
                |bytes, out| write_text(&STANDARD.encode(bytes), out),
                out,
            );
        }
        Value::M(fields) => {
            let mut names: Vec<_> = fields.iter().collect();
            names.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, value)) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(name, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn write_list<T>(members: impl IntoIterator<Item = T>, write: impl Fn(T, &mut String), out: &mut String) {
    out.push('[');
    for (index, member) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(member, out);
    }
    out.push(']');
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn compact(text: &str) -> Result<String, &'static str> {
        stored(text, Compat::Native)
    }

    #[test]
    fn keeps_the_texts_of_numbers_and_strings() {
        let text = "{ \"a b\" : [ 1.50, 1E+400,\t-0 , \"\\u00e4 \\\" , : \\\\\" ], \"a b\": null }\n";
        assert_eq!(
            compact(text).as_deref(),
            Ok("{\"a b\":[1.50,1E+400,-0,\"\\u00e4 \\\" , : \\\\\"],\"a b\":null}")
        );
        assert_eq!(
            stored(text, Compat::Pydynox).as_deref(),
            Ok("{\"a b\": [1.50, 1E+400, -0, \"\\u00e4 \\\" , : \\\\\"], \"a b\": null}")
        );
        for text in ["null", "1", "\"\"", "[]", "{}"] {
            assert_eq!(compact(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "", "NaN", "{a:1}", "[1,]", "'a'", "1 2", "\"", "\u{a0}1", "01", "nul",
        ] {
            assert!(compact(text).is_err(), "{text}");
        }
        assert!(compact(&"[".repeat(200_000)).is_err());
        assert!(compact(&format!("{}{}", "[".repeat(127), "]".repeat(127))).is_ok());
    }

    #[test]
    fn reads_native_values() {
        let list = Value::L(vec![
            Value::S("a\"b".into()),
            Value::N("1E+2".parse().unwrap()),
            Value::Null,
            Value::Bool(true),
            Value::M(HashMap::from([("k".into(), Value::L(vec![]))])),
        ]);
        assert_eq!(
            from_native(&list).as_deref(),
            Some("[\"a\\\"b\",100,null,true,{\"k\":[]}]")
        );
        assert_eq!(from_native(&Value::Bool(true)), None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            ".{0,8}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::hash_map(".{0,4}", inner, 0..4)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_stored_or_refused(text in "[\\[\\]{}\":,\\\\ 0-9a-u.-]{0,40}") {
            if let Ok(stored) = compact(&text) {
                prop_assert_eq!(compact(&stored), Ok(stored.clone()));
            }
        }

        #[test]
        fn spacing_does_not_change_the_value(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty).unwrap(), value.to_string());
            let python = stored(&pretty, Compat::Pydynox).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&python).unwrap(), value);
        }
    }
}
