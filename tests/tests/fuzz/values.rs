//! Attribute values: those that fit an attribute, and any others.

use std::collections::HashMap;

use bytes::Bytes;
use tollgate::model::{Attribute, AttributeType, Number, Object, Value};

use super::input::Input;

/// A text in many values. No error may contain it.
pub(crate) const SECRET: &str = "hunter2";
/// A number that no error may contain.
pub(crate) const SECRET_NUMBER: &str = "4242424242";

/// Deepest nesting of generated lists and maps.
const DEPTH: usize = 3;

const TEXTS: [&str; 24] = [
    "",
    "a",
    "open",
    "paid",
    SECRET,
    "hunter2#x",
    "#hunter2",
    "CUSTOMER#hunter2",
    "ORDER#2026-01-31#00000007",
    "hunter2 \u{e9}\u{df}\u{130}",
    "\u{10ffff}hunter2",
    "hunter2\0",
    "ZSTD:hunter2",
    "LZ4:AAAA",
    "ENC:hunter2",
    "+3600s",
    "+hunter2s",
    "+99999999999999999999d",
    "2026-01-31T12:00:00Z",
    "2026-01-31",
    "{\"hunter2\": [1, 2.50, \"x\\u00e4\"]}",
    "[1, \"hunter2\"",
    "S",
    "NS",
];

const NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "1",
    "1.0",
    "1E0",
    "-1",
    "7",
    "4242424242",
    "-4242424242.5",
    "100",
    "1e3",
    "0.1",
    "1E+125",
    "-1E+125",
    "1E-130",
    "9.9999999999999999999999999999999999999E+125",
    "12345678901234567890123456789012345678",
    "0.12345678901234567890123456789012345678",
    "1786000000",
    "99999999999",
];

/// A value of the attribute's type, now and then of another.
pub(crate) fn of(input: &mut Input, attribute: Option<&Attribute>) -> Value {
    match attribute {
        Some(attribute) if !input.once_in(12) => fitting(input, attribute, 0),
        _ => any(input, 0),
    }
}

/// A value of any type.
pub(crate) fn any(input: &mut Input, depth: usize) -> Value {
    match input.below(if depth < DEPTH { 14 } else { 9 }) {
        0..=2 => Value::S(text(input)),
        3 | 4 => Value::N(number(input)),
        5 => Value::B(binary(input)),
        6 => Value::Bool(input.once_in(2)),
        7 => Value::Null,
        8 if input.once_in(8) => Value::Object(Box::<Object>::default()),
        8 | 9 => Value::SS((0..=input.below(3)).map(|_| text(input)).collect()),
        10 => Value::NS((0..=input.below(3)).map(|_| number(input)).collect()),
        11 => Value::BS((0..=input.below(3)).map(|_| binary(input)).collect()),
        12 => Value::L((0..input.below(4)).map(|_| any(input, depth + 1)).collect()),
        _ => Value::M(
            (0..input.below(4))
                .map(|_| (field(input), any(input, depth + 1)))
                .collect(),
        ),
    }
}

/// A value of the attribute's type.
pub(crate) fn fitting(input: &mut Input, attribute: &Attribute, depth: usize) -> Value {
    if !attribute.checks.one_of.is_empty() && !input.once_in(4) {
        let member = input.choose(&attribute.checks.one_of).clone();
        return match (attribute.kind, member) {
            (AttributeType::StringSet, Value::S(member)) => Value::SS([member].into()),
            (AttributeType::NumberSet, Value::N(member)) => Value::NS([member].into()),
            (_, member) => member,
        };
    }
    match attribute.kind {
        AttributeType::String => Value::S(text(input)),
        AttributeType::Number => Value::N(number(input)),
        AttributeType::Version => Value::N(Number::from(1 + input.below(9) as u64)),
        AttributeType::Binary => Value::B(binary(input)),
        AttributeType::Boolean => Value::Bool(input.once_in(2)),
        AttributeType::Json => Value::S(json(input)),
        AttributeType::Datetime => Value::S(datetime(input)),
        AttributeType::Ttl if input.once_in(2) => Value::N(number(input)),
        AttributeType::Ttl => Value::S(duration(input)),
        AttributeType::StringSet => Value::SS((0..=input.below(3)).map(|_| text(input)).collect()),
        AttributeType::NumberSet => Value::NS((0..=input.below(3)).map(|_| number(input)).collect()),
        AttributeType::BinarySet => Value::BS((0..=input.below(3)).map(|_| binary(input)).collect()),
        AttributeType::Object => Value::Object(Box::<Object>::default()),
        AttributeType::List => {
            let members = 0..input.below(4);
            let member = |input: &mut Input| match &attribute.items {
                Some(items) if !input.once_in(12) => fitting(input, items, depth + 1),
                _ => any(input, depth + 1),
            };
            Value::L(members.map(|_| member(input)).collect())
        }
        AttributeType::Map => map(input, attribute, depth),
    }
}

fn map(input: &mut Input, attribute: &Attribute, depth: usize) -> Value {
    let mut fields = HashMap::new();
    for field in &attribute.attributes {
        if !input.once_in(3) {
            fields.insert(field.name.clone(), fitting(input, field, depth + 1));
        }
    }
    if attribute.attributes.is_empty() || input.once_in(12) {
        fields.insert(field(input), any(input, depth + 1));
    }
    Value::M(fields)
}

/// The name of a field. Errors may show names.
fn field(input: &mut Input) -> String {
    input.pick(&["x", "and", "a.b", "", "\u{e9}"]).to_owned()
}

pub(crate) fn text(input: &mut Input) -> String {
    match input.below(40) {
        0 => SECRET.repeat(1 + input.below(400)),
        1 => datetime(input),
        _ => input.pick(&TEXTS).to_owned(),
    }
}

pub(crate) fn number(input: &mut Input) -> Number {
    let random = format!("{}{}", input.pick(&["", "-"]), input.below(100_000_000));
    let known = input.pick(&NUMBERS);
    let text = if input.once_in(3) { random.as_str() } else { known };
    text.parse().expect("a number")
}

/// The text of a number, valid or not.
pub(crate) fn number_text(input: &mut Input) -> String {
    let digits = |input: &mut Input, max: usize| -> String {
        (0..input.below(max))
            .map(|_| input.pick(&['0', '0', '1', '5', '9']))
            .collect()
    };
    let mut text = input.pick(&["", "", "-", "+"]).to_owned();
    text.push_str(&digits(input, 42));
    if input.once_in(2) {
        text.push('.');
        text.push_str(&digits(input, 42));
    }
    if input.once_in(2) {
        let exponent = input.below(140);
        text.push_str(&format!(
            "{}{}{exponent}",
            input.pick(&["e", "E"]),
            input.pick(&["", "-", "+"])
        ));
    }
    text
}

fn binary(input: &mut Input) -> Bytes {
    match input.below(6) {
        0 => Bytes::new(),
        1 => Bytes::from(SECRET.repeat(1 + input.below(300))),
        2 => Bytes::from_static(&[0, 0xff, 0x80]),
        _ => Bytes::from_static(SECRET.as_bytes()),
    }
}

/// RFC 3339, now and then only nearly.
pub(crate) fn datetime(input: &mut Input) -> String {
    let year = input.pick(&[
        "0000", "0001", "1600", "1969", "1970", "2024", "2026", "9999", "99999",
    ]);
    let month = input.pick(&["01", "02", "02", "06", "12", "13", "00"]);
    let day = input.pick(&["01", "28", "29", "30", "31", "00"]);
    let between = input.pick(&["T", "T", "T", "t", " "]);
    let time = input.pick(&[
        "00:00:00", "12:34:56", "23:59:59", "23:59:60", "24:00:00", "12:34", "hunter2",
    ]);
    let fraction = match input.below(3) {
        0 => String::new(),
        _ => format!(".{:09}", input.below(1_000_000_000))[..1 + input.below(10)].to_owned(),
    };
    let offset = input.pick(&[
        "Z", "Z", "z", "+00:00", "-23:59", "+23:59", "+0130", "+01", "", "+24:00",
    ]);
    format!("{year}-{month}-{day}{between}{time}{fraction}{offset}")
}

fn duration(input: &mut Input) -> String {
    match input.below(3) {
        0 => datetime(input),
        1 => text(input),
        _ => {
            let number = input.pick(&["0", "1", "3600", "999999999", "9223372036854775807", "-1", "1.5"]);
            format!("+{number}{}", input.pick(&["s", "m", "h", "d", "y", ""]))
        }
    }
}

fn json(input: &mut Input) -> String {
    let mut text = String::new();
    write_json(input, &mut text, 0);
    match input.once_in(6) {
        true => super::mutation::text(input, text, &["{", "}", "\"", "\\u", "NaN", "1e400", SECRET]),
        false => text,
    }
}

fn write_json(input: &mut Input, out: &mut String, depth: usize) {
    let blank = input.pick(&["", " ", "\n\t"]);
    out.push_str(blank);
    match input.below(if depth < DEPTH { 8 } else { 6 }) {
        0 => out.push_str("null"),
        1 => out.push_str(input.pick(&["true", "false"])),
        2 | 3 => out.push_str(input.pick(&["0", "-0", "1.50", "1E+400", "4242424242", "-1e-5"])),
        4 | 5 => {
            out.push_str(input.pick(&["\"hunter2\"", "\"\\u00e4 : , \\\" \\\\\"", "\"\"", "\"\u{130}\""]));
        }
        6 => {
            out.push('[');
            for index in 0..input.below(4) {
                out.push_str(if index > 0 { "," } else { "" });
                write_json(input, out, depth + 1);
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for index in 0..input.below(4) {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(input.pick(&["\"a\":", "\"hunter2\" :", " \"\\n\": "]));
                write_json(input, out, depth + 1);
            }
            out.push('}');
        }
    }
    out.push_str(blank);
}

/// A value with its content, in one form for equal values. `Debug` shows only types.
pub(crate) fn shown(value: &Value) -> String {
    let all = |parts: Vec<String>| parts.join(",");
    match value {
        Value::S(text) => format!("S{text:?}"),
        Value::N(number) => format!("N{}", number.as_str()),
        Value::B(bytes) => format!("B{bytes:?}"),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => "NULL".to_owned(),
        Value::L(values) => format!("[{}]", all(values.iter().map(shown).collect())),
        Value::M(fields) => {
            let mut parts: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", shown(value)))
                .collect();
            parts.sort_unstable();
            format!("{{{}}}", all(parts))
        }
        Value::SS(members) => format!("SS{members:?}"),
        Value::NS(members) => format!(
            "NS({})",
            all(members.iter().map(|number| number.as_str().to_owned()).collect())
        ),
        Value::BS(members) => format!("BS{members:?}"),
        Value::Object(_) => "OBJECT".to_owned(),
    }
}
