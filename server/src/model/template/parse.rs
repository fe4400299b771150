//! Parses the text of a template.

use super::part::{Part, PartFormat};
use super::piece::Piece;
use crate::model::limits::MAX_PARTITION_KEY_BYTES;

/// Most digits of a padded number: those of DynamoDB's numbers.
const MAX_DIGITS: usize = 38;

/// Most bytes of a delimiter.
const MAX_DELIMITER_BYTES: usize = 16;

/// The pieces of a template, in order: no two literals, and no two parts, follow each other.
pub(super) fn pieces(text: &str, delimiter: &str) -> Result<Vec<Piece>, String> {
    if text.is_empty() || text.len() > MAX_PARTITION_KEY_BYTES {
        return Err(format!("must have 1 to {MAX_PARTITION_KEY_BYTES} bytes"));
    }
    if delimiter.is_empty() || delimiter.len() > MAX_DELIMITER_BYTES {
        return Err(format!("needs a `delimiter` of 1 to {MAX_DELIMITER_BYTES} bytes"));
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            literal.push(first);
            rest = after;
        } else if first == '}' {
            return Err("has a `}` without `{`: write `}}` for a brace".to_owned());
        } else if first == '{' {
            let (inside, after) = rest[1..]
                .split_once('}')
                .ok_or("has a `{` without `}`: write `{{` for a brace")?;
            push_literal(&mut pieces, &mut literal);
            push_part(&mut pieces, part(inside, delimiter)?)?;
            rest = after;
        } else {
            literal.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    push_literal(&mut pieces, &mut literal);
    Ok(pieces)
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &mut String) {
    let next = literal.chars().next();
    if let Some(Piece::Part(part)) = pieces.last_mut() {
        part.followed_by(next);
    }
    if next.is_some() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

fn push_part(pieces: &mut Vec<Piece>, part: Part) -> Result<(), String> {
    if let Some(Piece::Part(before)) = pieces.last() {
        return Err(format!(
            "needs text between `{{{}}}` and `{{{}}}`, so that a key can be taken apart",
            before.attribute(),
            part.attribute()
        ));
    }
    pieces.push(Piece::Part(part));
    Ok(())
}

fn part(inside: &str, delimiter: &str) -> Result<Part, String> {
    let (name, format) = match inside.rsplit_once(':') {
        Some((name, format)) => (name, self::format(format)?),
        None => (inside, PartFormat::Plain),
    };
    if name.is_empty() || name.contains('{') {
        return Err("needs the name of an attribute in `{…}`".to_owned());
    }
    Ok(Part::new(name, format, delimiter))
}

fn format(text: &str) -> Result<PartFormat, String> {
    let digits = || {
        let digits: usize = text.strip_prefix('0')?.parse().ok()?;
        (1..=MAX_DIGITS).contains(&digits).then_some(digits)
    };
    match text {
        "lower" => Ok(PartFormat::Lower),
        "upper" => Ok(PartFormat::Upper),
        "day" => Ok(PartFormat::Day),
        "month" => Ok(PartFormat::Month),
        "year" => Ok(PartFormat::Year),
        _ => digits().map(PartFormat::Padded).ok_or_else(|| {
            format!("has an unknown format: use 01 to 0{MAX_DIGITS}, lower, upper, day, month or year")
        }),
    }
}
