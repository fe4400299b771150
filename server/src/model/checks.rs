//! The checks of an attribute: how a model file declares them, and which of them a value violates. Messages say what is
//! expected and never contain the value.

use regex::{Regex, RegexBuilder};

use super::attribute_type::AttributeType;
use super::literal;
use super::number::Number;
use super::value::Value;
use crate::yaml::{Cursor, Fields, Report};

/// Maximum size of a compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Anchors around a pattern, so that it only matches whole strings.
const WHOLE: (&str, &str) = (r"\A(?:", r")\z");

/// The checks that a written value must pass.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Minimum value of a number.
    pub min: Option<Number>,
    /// Maximum value of a number.
    pub max: Option<Number>,
    /// Minimum length: characters of a string, bytes of a binary, members of a list, map or set.
    pub min_length: Option<u64>,
    /// Maximum length.
    pub max_length: Option<u64>,
    /// A pattern that the whole string must match. It is anchored at both ends; see [`Checks::pattern_text`].
    pub pattern: Option<Regex>,
    /// The allowed values, of a set the allowed members. Empty: any.
    pub one_of: Vec<Value>,
}

impl Checks {
    /// The checks that a value of the attribute's type violates, one message each.
    pub fn violations(&self, value: &Value) -> Vec<String> {
        let mut texts = Vec::new();
        if let Value::N(number) = value {
            self.range_violations(number, &mut texts);
        }
        if let Some((length, unit)) = length(value) {
            self.length_violations(length, unit, &mut texts);
        }
        if let (Value::S(text), Some(pattern)) = (value, &self.pattern)
            && !pattern.is_match(text)
        {
            texts.push(format!(
                "must match the pattern {}",
                self.pattern_text().unwrap_or_default()
            ));
        }
        if !self.one_of.is_empty() && !self.allows(value) {
            texts.push(format!("must be one of {}", self.one_of_text()));
        }
        texts
    }

    /// Whether the value is in the enum; of a set, whether each member is.
    fn allows(&self, value: &Value) -> bool {
        match value {
            Value::SS(texts) => texts.iter().all(|text| {
                self.one_of
                    .iter()
                    .any(|one| matches!(one, Value::S(allowed) if allowed == text))
            }),
            Value::NS(numbers) => numbers.iter().all(|number| {
                self.one_of
                    .iter()
                    .any(|one| matches!(one, Value::N(allowed) if allowed == number))
            }),
            other => self.one_of.contains(other),
        }
    }

    /// The bounds on values and lengths, as a text: `at least 0 and at most 150`.
    pub fn limits(&self) -> String {
        let least = self.min.as_ref().map(|min| format!("at least {}", min.as_str()));
        let greatest = self.max.as_ref().map(|max| format!("at most {}", max.as_str()));
        let shortest = self.min_length.map(|min| format!("at least {min} members"));
        let longest = self.max_length.map(|max| format!("at most {max} members"));
        let texts = [least, greatest, shortest, longest];
        texts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }

    /// The pattern as it is written in the model file, without the anchors.
    pub fn pattern_text(&self) -> Option<&str> {
        let whole = self.pattern.as_ref()?.as_str();
        Some(
            whole
                .strip_prefix(WHOLE.0)
                .and_then(|text| text.strip_suffix(WHOLE.1))
                .unwrap_or(whole),
        )
    }

    fn range_violations(&self, number: &Number, texts: &mut Vec<String>) {
        if let Some(min) = self.min.as_ref().filter(|min| number < min) {
            texts.push(format!("must be at least {}", min.as_str()));
        }
        if let Some(max) = self.max.as_ref().filter(|max| number > max) {
            texts.push(format!("must be at most {}", max.as_str()));
        }
    }

    fn length_violations(&self, length: u64, unit: &str, texts: &mut Vec<String>) {
        if let Some(min) = self.min_length.filter(|min| length < *min) {
            texts.push(format!("must have at least {min} {unit}"));
        }
        if let Some(max) = self.max_length.filter(|max| length > *max) {
            texts.push(format!("must have at most {max} {unit}"));
        }
    }

    fn one_of_text(&self) -> String {
        let texts = self.one_of.iter().map(|value| match value {
            Value::S(text) => text.as_str(),
            Value::N(number) => number.as_str(),
            other => other.type_name(),
        });
        texts.collect::<Vec<&str>>().join(", ")
    }
}

/// The length of a value, with its unit.
fn length(value: &Value) -> Option<(u64, &'static str)> {
    let (length, unit) = match value {
        Value::S(text) => (text.chars().count(), "characters"),
        Value::B(bytes) => (bytes.len(), "bytes"),
        Value::L(values) => (values.len(), "members"),
        Value::M(fields) => (fields.len(), "members"),
        Value::SS(texts) => (texts.len(), "members"),
        Value::NS(numbers) => (numbers.len(), "members"),
        Value::BS(all) => (all.len(), "members"),
        Value::N(_) | Value::Bool(_) | Value::Null | Value::Object(_) => return None,
    };
    Some((length as u64, unit))
}

/// Reads the checks of an attribute. Reports those that do not apply to its type.
pub(super) fn read(fields: &Fields<'_>, kind: AttributeType, report: &mut Report) -> Checks {
    use AttributeType::{Binary, BinarySet, List, Map, Number, NumberSet, String, StringSet};
    const MEASURED: &[AttributeType] = &[String, Binary, List, Map, StringSet, NumberSet, BinarySet];
    const LISTED: &[AttributeType] = &[String, Number, StringSet, NumberSet];
    let checks = Checks {
        min: applicable(fields, "min", kind, &[Number], report)
            .and_then(|at| literal::number(at.number(report)?, at, report)),
        max: applicable(fields, "max", kind, &[Number], report)
            .and_then(|at| literal::number(at.number(report)?, at, report)),
        min_length: applicable(fields, "min_length", kind, MEASURED, report).and_then(|at| at.whole(report)),
        max_length: applicable(fields, "max_length", kind, MEASURED, report).and_then(|at| at.whole(report)),
        pattern: applicable(fields, "pattern", kind, &[String], report).and_then(|at| pattern(at, report)),
        one_of: Vec::new(),
    };
    compare_bounds(fields, &checks, report);
    let one_of = applicable(fields, "enum", kind, LISTED, report)
        .map(|at| one_of(at, kind, &checks, report))
        .unwrap_or_default();
    Checks { one_of, ..checks }
}

/// The value of an option that applies only to some types.
fn applicable<'f, 'a>(
    fields: &'f Fields<'a>,
    option: &str,
    kind: AttributeType,
    kinds: &[AttributeType],
    report: &mut Report,
) -> Option<&'f Cursor<'a>> {
    let at = fields.get(option)?;
    if kinds.contains(&kind) {
        return Some(at);
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    report.add(
        at,
        format!("applies only to {}, not to {}", names.join(", "), kind.as_str()),
    );
    None
}

fn compare_bounds(fields: &Fields<'_>, checks: &Checks, report: &mut Report) {
    if let (Some(min), Some(max), Some(at)) = (&checks.min, &checks.max, fields.get("max"))
        && min > max
    {
        report.add(at, "must not be less than min");
    }
    if let (Some(min), Some(max), Some(at)) = (checks.min_length, checks.max_length, fields.get("max_length"))
        && min > max
    {
        report.add(at, "must not be less than min_length");
    }
}

/// Compiles a pattern twice: first alone, so that an unbalanced parenthesis cannot pair with the anchors.
fn pattern(at: &Cursor<'_>, report: &mut Report) -> Option<Regex> {
    let text = at.text(report)?;
    let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build();
    let compiled = compile(text).and_then(|_| compile(&format!("{}{text}{}", WHOLE.0, WHOLE.1)));
    match compiled {
        Ok(pattern) => Some(pattern),
        Err(regex::Error::CompiledTooBig(_)) => {
            report.add(at, "is too large when compiled: use fewer repetitions");
            None
        }
        Err(error) => {
            let text = error.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            report.add(at, format!("is not a regular expression: {reason}"));
            None
        }
    }
}

fn one_of(at: &Cursor<'_>, kind: AttributeType, checks: &Checks, report: &mut Report) -> Vec<Value> {
    let Some(items) = at.items(report) else {
        return Vec::new();
    };
    if items.is_empty() {
        report.add(at, "must list at least one value");
    }
    let mut values = Vec::with_capacity(items.len());
    for item in &items {
        let Some(value) = literal::value(item, kind.member(), report) else {
            continue;
        };
        if !kind.is_set() {
            for text in checks.violations(&value) {
                report.add(item, text);
            }
        }
        if values.contains(&value) {
            report.add(item, "is a duplicate");
        }
        values.push(value);
    }
    values
}
