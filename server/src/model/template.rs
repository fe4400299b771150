//! A key that is built from other attributes: the option `template`. A template is literal text and parts, such as
//! `ORDER#{number:08}`:
//!
//! | part | of | text in the key |
//! |---|---|---|
//! | `{name}` | string, number, boolean, datetime | the value; a datetime in its stored form |
//! | `{name:0N}` | number | a whole number of at most N digits, with leading zeros |
//! | `{name:lower}`, `{name:upper}` | string | the value in lower or upper case |
//! | `{name:day}`, `{name:month}`, `{name:year}` | datetime | `2026-01-31`, `2026-01`, `2026` |
//!
//! `{{` and `}}` are braces. A part is never empty and contains neither the delimiter nor the character that follows it,
//! so that a key can be taken apart again. All values are in their stored form.

mod parse;
mod part;
mod piece;
mod source;
#[cfg(test)]
mod tests;

pub use part::{Part, PartFormat};
pub use piece::Piece;
pub(super) use source::Source;

use super::value::Value;

/// A template. Valid by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    delimiter: String,
    pieces: Vec<Piece>,
}

/// Why a key cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A part has no value.
    Missing {
        /// The attribute.
        attribute: String,
    },
    /// A part's value cannot be in the key.
    Invalid {
        /// The attribute.
        attribute: String,
        /// What would be right; never the value.
        problem: String,
    },
}

/// The beginning of a key, as far as the given parts determine it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leading<'a> {
    /// The text up to the first part without a value.
    pub text: String,
    /// The pieces from that part on; empty if the key is complete.
    pub rest: &'a [Piece],
}

impl Template {
    /// Parses a template as a model file has it. No part may contain the delimiter.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str, delimiter: &str) -> Result<Template, String> {
        Ok(Template {
            text: text.to_owned(),
            delimiter: delimiter.to_owned(),
            pieces: parse::pieces(text, delimiter)?,
        })
    }

    /// The text as in the model file.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text that no part may contain.
    pub fn delimiter(&self) -> &str {
        &self.delimiter
    }

    /// The literal texts and the parts, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The parts, in order. An attribute can be in several.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Part(part) => Some(part),
            Piece::Literal(_) => None,
        })
    }

    /// Whether it has no parts: all keys are equal.
    pub fn is_constant(&self) -> bool {
        self.parts().next().is_none()
    }

    /// Whether the attribute is a part.
    pub fn has_part(&self, attribute: &str) -> bool {
        self.parts().any(|part| part.attribute() == attribute)
    }

    /// The text with which all keys begin; the whole key of a constant.
    pub fn literal_prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => text,
            Some(Piece::Part(_)) | None => "",
        }
    }

    /// Builds the key. `value` returns the stored form of an attribute's value; null means none.
    ///
    /// # Errors
    ///
    /// The first part that has no value, or an invalid one.
    pub fn build<'v>(&self, value: impl Fn(&str) -> Option<&'v Value>) -> Result<String, TemplateError> {
        let leading = self.leading(value)?;
        match leading.rest.first() {
            Some(Piece::Part(part)) => Err(TemplateError::Missing {
                attribute: part.attribute().to_owned(),
            }),
            Some(Piece::Literal(_)) | None => Ok(leading.text),
        }
    }

    /// The beginning of the key, up to the first part without a value.
    ///
    /// # Errors
    ///
    /// The first part that has an invalid value.
    pub fn leading<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v Value>,
    ) -> Result<Leading<'_>, TemplateError> {
        let mut text = String::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Part(part) => {
                    let Some(value) = value(part.attribute()).filter(|value| **value != Value::Null) else {
                        let rest = &self.pieces[index..];
                        return Ok(Leading { text, rest });
                    };
                    let part_text = part.text(value).map_err(|problem| TemplateError::Invalid {
                        attribute: part.attribute().to_owned(),
                        problem,
                    })?;
                    text.push_str(&part_text);
                }
            }
        }
        Ok(Leading { text, rest: &[] })
    }

    /// The stored forms of the parts of a key, by attribute: those that the key has whole. Parts in another case and
    /// parts of a date are left out. `None` if the template cannot have built the key.
    pub fn take_apart(&self, key: &str) -> Option<Vec<(String, Value)>> {
        let mut values: Vec<(String, Value)> = Vec::new();
        for (part, text) in self.texts(key)? {
            let Some(value) = part.value(text)? else { continue };
            match values.iter().find(|(name, _)| name == part.attribute()) {
                Some((_, other)) if *other != value => return None,
                Some(_) => {}
                None => values.push((part.attribute().to_owned(), value)),
            }
        }
        Some(values)
    }

    /// The parts of a key and their texts, in order. `None` if its literal texts are others.
    pub fn texts<'a>(&'a self, key: &'a str) -> Option<Vec<(&'a Part, &'a str)>> {
        let mut rest = key;
        let mut texts = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let part = match piece {
                Piece::Literal(literal) => {
                    rest = rest.strip_prefix(literal.as_str())?;
                    continue;
                }
                Piece::Part(part) => part,
            };
            let end = match self.pieces.get(index + 1) {
                Some(Piece::Literal(literal)) => rest.find(literal.chars().next()?)?,
                Some(Piece::Part(_)) | None => rest.len(),
            };
            texts.push((part, &rest[..end]));
            rest = &rest[end..];
        }
        rest.is_empty().then_some(texts)
    }

    /// Takes the types of the parts from the model's attributes. Returns what is wrong with them.
    pub(super) fn resolve(&mut self, attributes: &[Source<'_>]) -> Vec<String> {
        let mut faults = Vec::new();
        for piece in &mut self.pieces {
            if let Piece::Part(part) = piece
                && let Err(fault) = part.resolve(attributes)
                && !faults.contains(&fault)
            {
                faults.push(fault);
            }
        }
        faults
    }

    /// What may surprise in keys that are compared as text; for a sort key.
    pub fn warnings(&self) -> Vec<String> {
        self.parts()
            .filter(|part| part.is_unpadded_number())
            .map(|part| {
                let name = part.attribute();
                format!(
                    "`{{{name}}}` is a number that sorts as text: write `{{{name}:08}}` to pad it with zeros"
                )
            })
            .collect()
    }
}
