//! A part of a template: the text in a key that is the value of an attribute.

use super::source::Source;
use crate::model::attribute_type::AttributeType;
use crate::model::number::Number;
use crate::model::value::Value;
use crate::yaml::did_you_mean;

/// The value of an attribute, as part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    attribute: String,
    format: PartFormat,
    stored: Stored,
    delimiter: String,
    /// The character after the part, unless it is last.
    next: Option<char>,
}

/// How a value is written in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartFormat {
    /// As it is.
    Plain,
    /// A whole number with this many digits.
    Padded(usize),
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
    /// The date of a datetime.
    Day,
    /// The year and month of a datetime.
    Month,
    /// The year of a datetime.
    Year,
}

/// The stored form of the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Text,
    Number,
    Boolean,
}

/// The characters of datetimes in their stored form.
const DATETIME_CHARACTERS: &str = "0123456789-:.+TZ";

impl Part {
    /// A part of text.
    pub(super) fn new(attribute: &str, format: PartFormat, delimiter: &str) -> Part {
        let stored = match format {
            PartFormat::Padded(_) => Stored::Number,
            PartFormat::Plain
            | PartFormat::Lower
            | PartFormat::Upper
            | PartFormat::Day
            | PartFormat::Month
            | PartFormat::Year => Stored::Text,
        };
        Part {
            attribute: attribute.to_owned(),
            format,
            stored,
            delimiter: delimiter.to_owned(),
            next: None,
        }
    }

    /// Sets the character that follows the part.
    pub(super) fn followed_by(&mut self, next: Option<char>) {
        self.next = next;
    }

    /// The attribute's name.
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// How the value is written.
    pub fn format(&self) -> PartFormat {
        self.format
    }

    /// The text of a stored value in the key.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub fn text(&self, value: &Value) -> Result<String, String> {
        let text = match (self.stored, value) {
            (Stored::Text, Value::S(text)) => text.clone(),
            (Stored::Number, Value::N(number)) => number.as_str().to_owned(),
            (Stored::Boolean, Value::Bool(boolean)) => boolean.to_string(),
            (Stored::Text, _) => return Err("must be a string".to_owned()),
            (Stored::Number, _) => return Err("must be a number".to_owned()),
            (Stored::Boolean, _) => return Err("must be a boolean".to_owned()),
        };
        let text = self.formatted(text)?;
        self.check(&text)?;
        Ok(text)
    }

    /// The stored value of a text in a key; `Some(None)` if the text does not have the whole value, `None` if it cannot be
    /// of this part.
    #[expect(clippy::option_option, reason = "a part without a value is not a mismatch")]
    pub(super) fn value(&self, text: &str) -> Option<Option<Value>> {
        self.check(text).ok()?;
        let value = match (self.format, self.stored) {
            (PartFormat::Plain, Stored::Text) => Some(Value::S(text.to_owned())),
            (PartFormat::Plain, Stored::Number) => {
                let number: Number = text.parse().ok()?;
                (number.as_str() == text).then_some(Some(Value::N(number)))?
            }
            (PartFormat::Plain, Stored::Boolean) => Some(Value::Bool(text.parse().ok()?)),
            (PartFormat::Padded(digits), _) => {
                let is_padded = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
                Some(Value::N(is_padded.then(|| text.parse().ok())??))
            }
            (PartFormat::Lower, _) => (text.to_lowercase() == text).then_some(None)?,
            (PartFormat::Upper, _) => (text.to_uppercase() == text).then_some(None)?,
            (PartFormat::Day | PartFormat::Month | PartFormat::Year, _) => {
                is_date(text, self.date_length()?).then_some(None)?
            }
        };
        Some(value)
    }

    /// Takes the type of the attribute, and checks that it can be a part.
    pub(super) fn resolve(&mut self, attributes: &[Source<'_>]) -> Result<(), String> {
        let name = &self.attribute;
        let Some(attribute) = attributes.iter().find(|attribute| attribute.name == *name) else {
            let known = attributes.iter().map(|attribute| attribute.name);
            let near = did_you_mean(name, known);
            return Err(format!("`{{{name}}}` is not an attribute of this model{near}"));
        };
        if let Some(conflict) = attribute.conflict {
            return Err(format!("`{{{name}}}` cannot be a part: it {conflict}"));
        }
        self.stored = match attribute.kind {
            AttributeType::String => Stored::Text,
            AttributeType::Number => Stored::Number,
            AttributeType::Boolean => Stored::Boolean,
            AttributeType::Datetime if attribute.store.is_number() => Stored::Number,
            AttributeType::Datetime => Stored::Text,
            AttributeType::Binary
            | AttributeType::List
            | AttributeType::Map
            | AttributeType::Object
            | AttributeType::StringSet
            | AttributeType::NumberSet
            | AttributeType::BinarySet
            | AttributeType::Json
            | AttributeType::Ttl
            | AttributeType::Version => {
                let kind = attribute.kind.as_str();
                return Err(format!(
                    "`{{{name}}}` must be a string, number, boolean or datetime to be a part, not {kind}"
                ));
            }
        };
        self.check_format(attribute)
    }

    pub(super) fn is_unpadded_number(&self) -> bool {
        self.format == PartFormat::Plain && self.stored == Stored::Number
    }

    fn check_format(&self, attribute: &Source<'_>) -> Result<(), String> {
        let (name, kind) = (&self.attribute, attribute.kind);
        let (applies, to) = match self.format {
            PartFormat::Plain => (true, ""),
            PartFormat::Padded(_) => (kind == AttributeType::Number, "a number"),
            PartFormat::Lower | PartFormat::Upper => (kind == AttributeType::String, "a string"),
            PartFormat::Day | PartFormat::Month | PartFormat::Year => (
                kind == AttributeType::Datetime && !attribute.store.is_number(),
                "a datetime that is stored as text",
            ),
        };
        if !applies {
            return Err(format!("the format of `{{{name}}}` applies only to {to}"));
        }
        let in_datetime = |text: &str| text.chars().any(|char| DATETIME_CHARACTERS.contains(char));
        let next = self.next.map(String::from).unwrap_or_default();
        if kind == AttributeType::Datetime && (in_datetime(&self.delimiter) || in_datetime(&next)) {
            return Err(format!(
                "`{{{name}}}` is a datetime: it must not be followed by, and the delimiter must not have, one of {DATETIME_CHARACTERS}"
            ));
        }
        Ok(())
    }

    fn formatted(&self, text: String) -> Result<String, String> {
        match self.format {
            PartFormat::Plain => Ok(text),
            PartFormat::Padded(digits) => {
                let is_whole = text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
                is_whole.then(|| format!("{text:0>digits$}")).ok_or_else(|| {
                    format!("must be a whole number from 0, of at most {digits} digits: it is part of a key")
                })
            }
            PartFormat::Lower => Ok(text.to_lowercase()),
            PartFormat::Upper => Ok(text.to_uppercase()),
            PartFormat::Day | PartFormat::Month | PartFormat::Year => {
                let date = self.date_length().and_then(|length| text.get(..length));
                date.filter(|date| is_date(date, date.len()))
                    .map(str::to_owned)
                    .ok_or_else(|| "must be a datetime".to_owned())
            }
        }
    }

    /// Checks a text that is to be in a key.
    fn check(&self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("must not be empty: it is part of a key".to_owned());
        }
        if text.contains(&self.delimiter) {
            return Err(format!(
                "must not contain `{}`, the delimiter of a key",
                self.delimiter
            ));
        }
        match self.next {
            Some(next) if text.contains(next) => {
                Err(format!("must not contain `{next}`, which follows it in a key"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn date_length(&self) -> Option<usize> {
        match self.format {
            PartFormat::Day => Some("2026-01-31".len()),
            PartFormat::Month => Some("2026-01".len()),
            PartFormat::Year => Some("2026".len()),
            PartFormat::Plain | PartFormat::Padded(_) | PartFormat::Lower | PartFormat::Upper => None,
        }
    }
}

/// Whether a text is the beginning of a date, of this length.
fn is_date(text: &str, length: usize) -> bool {
    let fits = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == length && text.bytes().enumerate().all(fits)
}
