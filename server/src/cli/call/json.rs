//! JSON with exact numbers. Output is safe for a terminal. Kinds that JSON does not have are in `typed`.

use std::collections::HashMap;

use tollgate_client::{Number, Value};

use super::typed;

/// DynamoDB allows 32 levels, each of which may be tagged; deeper levels are read to report their path.
const MAX_DEPTH: usize = 128;

/// Reads one JSON text, its numbers exact.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.fault("unexpected text after the value")),
    }
}

/// One line, fields in the order of their names.
pub(super) fn compact(value: &Value) -> String {
    let mut text = String::new();
    Writer {
        text: &mut text,
        indent: None,
    }
    .value(value, &[], 0);
    text
}

/// Many lines; the fields of the outermost map begin with those of `first`, in that order.
pub(super) fn pretty(value: &Value, first: &[String]) -> String {
    let mut text = String::new();
    Writer {
        text: &mut text,
        indent: Some(2),
    }
    .value(value, first, 0);
    text
}

/// The text with control and bidirectional characters escaped.
pub(super) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => safe.push(character),
            _ if is_unsafe(character) => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Control characters and bidirectional formatting.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

struct Writer<'a> {
    text: &'a mut String,
    indent: Option<usize>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, first: &[String], depth: usize) {
        match value {
            Value::String(text) => self.string(text),
            Value::Number(number) => self.text.push_str(number.as_str()),
            Value::Bool(truth) => self.text.push_str(if *truth { "true" } else { "false" }),
            Value::Null => self.text.push_str("null"),
            Value::List(values) => self.list(values, depth),
            Value::Map(fields) => self.map(fields, first, depth),
            Value::Binary(_)
            | Value::StringSet(_)
            | Value::NumberSet(_)
            | Value::BinarySet(_)
            | Value::Object(_) => self.value(&typed::write(value.clone(), ""), first, depth),
        }
    }

    fn list(&mut self, values: &[Value], depth: usize) {
        self.text.push('[');
        for (index, value) in values.iter().enumerate() {
            self.separate(index, depth + 1);
            self.value(value, &[], depth + 1);
        }
        self.close(']', values.is_empty(), depth);
    }

    fn map(&mut self, fields: &HashMap<String, Value>, first: &[String], depth: usize) {
        let rank = |name: &String| {
            first
                .iter()
                .position(|other| other == name)
                .unwrap_or(first.len())
        };
        let mut names: Vec<&String> = fields.keys().collect();
        names.sort_by_key(|name| (rank(name), *name));
        self.text.push('{');
        for (index, name) in names.into_iter().enumerate() {
            self.separate(index, depth + 1);
            self.string(name);
            self.text.push_str(if self.indent.is_some() { ": " } else { ":" });
            self.value(&fields[name], &[], depth + 1);
        }
        self.close('}', fields.is_empty(), depth);
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.text.push(',');
        }
        self.new_line(depth);
    }

    fn close(&mut self, bracket: char, is_empty: bool, depth: usize) {
        if !is_empty {
            self.new_line(depth);
        }
        self.text.push(bracket);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                _ if is_unsafe(character) => self.text.push_str(&format!("\\u{:04x}", u32::from(character))),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(self.fault("nested too deeply"));
        }
        match self.peek() {
            Some('{') => self.map(depth),
            Some('[') => self.list(depth),
            Some('"') => self.string().map(Value::String),
            Some('-' | '0'..='9') => self.number(),
            Some('a'..='z') => self.word(),
            Some(_) => Err(self.fault("no JSON value")),
            None => Err(self.fault("expected a value")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        self.take('{')?;
        let mut fields = HashMap::new();
        while !self.takes('}') {
            if !fields.is_empty() {
                self.take(',')?;
            }
            let name = self.string()?;
            self.take(':')?;
            let value = self.value(depth + 1)?;
            if fields.insert(name, value).is_some() {
                return Err(self.fault("duplicate name"));
            }
        }
        Ok(Value::Map(fields))
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        self.take('[')?;
        let mut values = Vec::new();
        while !self.takes(']') {
            if !values.is_empty() {
                self.take(',')?;
            }
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::List(values))
    }

    fn string(&mut self) -> Result<String, String> {
        self.take('"')?;
        let start = self.at - 1;
        let mut escaped = false;
        let length = self.text[self.at..].bytes().position(|byte| {
            let is_end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            is_end
        });
        let end = length
            .map(|length| self.at + length + 1)
            .ok_or_else(|| self.fault("unterminated string"))?;
        let text = serde_json::from_str(&self.text[start..end]);
        let text = text.map_err(|_| self.fault("invalid escape or control character in a string"))?;
        self.at = end;
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, String> {
        let rest = &self.text[self.at..];
        let length = rest.find(|character| !matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let text = &rest[..length.unwrap_or(rest.len())];
        // serde_json knows the grammar, `Number` keeps the digits
        let number = serde_json::from_str::<serde::de::IgnoredAny>(text)
            .ok()
            .and_then(|_| text.parse::<Number>().ok());
        let number = number.ok_or_else(|| self.fault("no number"))?;
        self.at += text.len();
        Ok(Value::Number(number))
    }

    fn word(&mut self) -> Result<Value, String> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault("invalid JSON value; text must be in double quotes"))
    }

    /// The next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn takes(&mut self, expected: char) -> bool {
        let is_next = self.peek() == Some(expected);
        if is_next {
            self.at += expected.len_utf8();
        }
        is_next
    }

    fn take(&mut self, expected: char) -> Result<(), String> {
        match self.takes(expected) {
            true => Ok(()),
            false => Err(self.fault(&format!("{expected:?} is missing"))),
        }
    }

    fn fault(&self, what: &str) -> String {
        format!("JSON, byte {}: {what}", self.at + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_client::{Binary, Item};

    use super::*;

    #[test]
    fn numbers_keep_every_digit() {
        for digits in [
            "12345678901234567890123456789012345678",
            "0.1",
            "-1",
            "1.2E125",
            "0",
        ] {
            assert_eq!(compact(&read(digits).unwrap()), digits);
        }
        assert_eq!(compact(&read("1.50e1").unwrap()), "15");
    }

    #[test]
    fn refuses_invalid_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\" 1}",
            "{,}",
            "{\"a\":1,}",
            "\"",
            "\"\\x\"",
            "01",
            "+1",
            ".5",
            "1.",
            "--1",
            "nul",
            "True",
            "'a'",
            "1 2",
            "[1]]",
            "{\"a\":1,\"a\":2}",
            "\"\n\"",
            "NaN",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"[".repeat(100_000)).unwrap_err().contains("too deeply"));
    }

    #[test]
    fn control_characters_are_escaped() {
        let value = Value::from("a\u{1b}[2J\u{7f}\u{9b}\u{202e}\"\\\n\0é");
        assert_eq!(compact(&value), r#""a\u001b[2J\u007f\u009b\u202e\"\\\n\u0000é""#);
        assert_eq!(read(&compact(&value)).unwrap(), value);
        assert_eq!(printable("a\u{1b}[2J\u{202e}\né"), "a\\u{1b}[2J\\u{202e}\né");
    }

    #[test]
    fn fields_are_in_the_order_of_the_model() {
        let item = Value::Map(Item::from([
            ("b".into(), vec![Value::from(1), Value::Null].into()),
            ("a".into(), Item::new().into()),
            ("pk".into(), "x".into()),
        ]));
        let expected = "{\n  \"pk\": \"x\",\n  \"a\": {},\n  \"b\": [\n    1,\n    null\n  ]\n}";
        assert_eq!(pretty(&item, &["pk".to_owned()]), expected);
        assert_eq!(compact(&item), r#"{"a":{},"b":[1,null],"pk":"x"}"#);
    }

    #[test]
    fn values_without_a_json_kind_are_tagged() {
        let bytes = Value::Binary(Binary::from(vec![1, 2, 255]));
        assert_eq!(compact(&bytes), "{\"$b\":\"AQL/\"}");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::String),
            any::<i128>().prop_map(Value::from),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(value in values()) {
            prop_assert_eq!(&read(&compact(&value)).unwrap(), &value);
            prop_assert_eq!(&read(&pretty(&value, &[])).unwrap(), &value);
        }

        #[test]
        fn serde_json_reads_it_too(value in values()) {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&compact(&value)).is_ok());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:0-9eE+.a-z\\\\ -]{0,40}") {
            if read(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}
