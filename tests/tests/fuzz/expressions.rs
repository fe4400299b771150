//! Expressions: every text is accepted or refused, errors contain no value, and what is rendered means the same when it is
//! parsed again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use tollgate::expression::{
    Expression, KeyScope, Placeholders, ReadScope, condition, filter, key_condition, projection,
    query_filter, update,
};
use tollgate::fault::Faults;
use tollgate::model::limits::{MAX_EXPRESSION_BYTES, MAX_PARTITION_KEY_BYTES};
use tollgate::model::{Index, Item, Model, Value};

use super::Outcome;
use super::grammar;
use super::input::Input;
use super::models::{MODELS, STORED, UNTYPED};
use super::values::{SECRET, SECRET_NUMBER, shown};

/// An expression as the store gets it.
struct Rendered {
    text: String,
    names: HashMap<String, String>,
    values: Item,
}

/// Conditions of writes, and filters.
pub(crate) fn conditions(input: &mut Input) -> Outcome {
    let (model, stored) = models(input);
    let index = index(input, model);
    let expression = grammar::condition(input, model);
    note(input, model, &expression);
    let mut out = Placeholders::new();
    let result = match input.below(3) {
        0 => condition(model, &expression, "condition", &mut out),
        1 => filter(model, &expression, "condition", &mut out),
        _ => query_filter(model, index, &expression, "condition", &mut out),
    };
    let Some(rendered) = checked(&expression, result, out) else {
        return Outcome::Refused;
    };
    let again = rendered.expression();
    let mut out = Placeholders::new();
    let result = condition(stored, &again, "condition", &mut out);
    rendered.assert_same(result, out);
    Outcome::Accepted
}

/// Key conditions of the table and of indexes.
pub(crate) fn key_conditions(input: &mut Input) -> Outcome {
    let (model, stored) = models(input);
    let index = index(input, model);
    let expression = grammar::key_condition(input, model, index);
    note(input, model, &expression);
    let scope = KeyScope {
        model,
        index,
        narrows: !input.once_in(3),
        now: now(),
    };
    let mut out = Placeholders::new();
    let result = key_condition(&scope, &expression, "key_condition", &mut out);
    let Some(rendered) = checked(&expression, result, out) else {
        return Outcome::Refused;
    };
    for value in rendered.values.values() {
        let length = match value {
            Value::S(text) => text.len(),
            Value::B(bytes) => bytes.len(),
            Value::N(_) => 1,
            other => panic!("a key is compared with {}", other.type_name()),
        };
        assert!(
            (1..=MAX_PARTITION_KEY_BYTES).contains(&length),
            "a key of {length} bytes"
        );
    }
    let again = rendered.expression();
    let stored_scope = KeyScope {
        model: stored,
        index: index.and_then(|index| stored.index(&index.name)),
        narrows: false,
        now: now(),
    };
    let mut out = Placeholders::new();
    let result = key_condition(&stored_scope, &again, "key_condition", &mut out);
    rendered.assert_same(result, out);
    Outcome::Accepted
}

/// Updates.
pub(crate) fn updates(input: &mut Input) -> Outcome {
    let number = number(input);
    let (model, untyped) = (&MODELS[number], &UNTYPED[number]);
    let expression = grammar::update(input, model);
    note(input, model, &expression);
    let changes = match update(model, &expression, "update", now()) {
        Ok(changes) => changes,
        Err(faults) => {
            assert_faults(&expression, &faults);
            return Outcome::Refused;
        }
    };
    changes.is_idempotent();
    assert!(
        changes.provided().is_subset(&changes.touched()),
        "provided without being touched"
    );
    for (name, _) in changes.whole_values() {
        assert!(changes.touched().contains(name), "{name} is not touched");
    }
    if changes.is_empty() {
        return Outcome::Accepted;
    }
    let mut out = Placeholders::new();
    let result = changes.render(model, "update", &mut out);
    let Some(rendered) = checked(&expression, result, out) else {
        return Outcome::Refused;
    };
    if rendered
        .values
        .values()
        .any(|value| matches!(value, Value::Object(_)))
    {
        return Outcome::Accepted;
    }
    let again = rendered.expression();
    let changes = update(untyped, &again, "update", now());
    let changes = changes.unwrap_or_else(|faults| panic!("{} is refused: {faults}", rendered.text));
    let mut out = Placeholders::new();
    let result = changes.render(untyped, "update", &mut out);
    rendered.assert_same(result, out);
    Outcome::Accepted
}

/// Paths in `fields`.
pub(crate) fn projections(input: &mut Input) -> Outcome {
    let (model, _) = models(input);
    let fields: Vec<String> = (0..=input.below(4))
        .map(|_| grammar::field(input, model))
        .collect();
    input.note(|| format!("{}: {fields:?}", model.name));
    let scope = ReadScope {
        index: index(input, model),
        ..ReadScope::table(model)
    };
    let mut out = Placeholders::new();
    match projection(&scope, &fields, &[], "fields", &mut out) {
        Ok(found) => {
            let (names, values) = out.into_parts();
            assert!(values.is_empty(), "a projection has no values");
            let rendered = Rendered {
                text: found.text,
                names,
                values,
            };
            rendered.assert_complete();
            let paths = rendered.text.split(',').collect::<Vec<_>>();
            let keys = model.key_names().map(|key| model.stored_name(key));
            for key in keys {
                let is_read = paths
                    .iter()
                    .any(|path| rendered.names.get(*path).is_some_and(|name| name == key));
                assert!(is_read, "{key} is not read by {}", rendered.text);
            }
            Outcome::Accepted
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without an error");
            for fault in faults.iter() {
                assert!(fault.field.starts_with("fields"), "{fault}");
            }
            Outcome::Refused
        }
    }
}

fn models(input: &mut Input) -> (&'static Model, &'static Model) {
    let number = number(input);
    (&MODELS[number], &STORED[number])
}

/// The number of a model: most often of the one with the most attributes.
fn number(input: &mut Input) -> usize {
    input.pick(&[0, 0, 0, 1, 2])
}

fn index<'m>(input: &mut Input, model: &'m Model) -> Option<&'m Index> {
    match model.indexes.is_empty() || input.once_in(2) {
        true => None,
        false => Some(input.choose(&model.indexes)),
    }
}

/// When the requests arrived.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000)
}

fn note(input: &mut Input, model: &Model, expression: &Expression) {
    input.note(|| {
        let mut values: Vec<_> = expression
            .values
            .iter()
            .map(|(name, value)| (name, shown(value)))
            .collect();
        values.sort_unstable();
        format!(
            "{}: {:?}\nnames: {:?}\nvalues: {values:?}",
            model.name, expression.text, expression.names
        )
    });
}

/// What is sent; none if the expression was refused.
fn checked(expression: &Expression, result: Result<String, Faults>, out: Placeholders) -> Option<Rendered> {
    match result {
        Ok(text) => {
            let (names, values) = out.into_parts();
            let rendered = Rendered { text, names, values };
            rendered.assert_complete();
            Some(rendered)
        }
        Err(faults) => {
            assert_faults(expression, &faults);
            None
        }
    }
}

/// Errors have a place in the request and contain no value.
fn assert_faults(expression: &Expression, faults: &Faults) {
    assert!(!faults.is_empty(), "refused without an error");
    let is_in_text = [SECRET, SECRET_NUMBER].map(|secret| expression.text.contains(secret));
    for fault in faults.iter() {
        let (_, field) = fault
            .field
            .split_once('.')
            .unwrap_or_else(|| panic!("no field: {fault}"));
        let is_known = field == "text" || field.starts_with("names") || field.starts_with("values");
        assert!(is_known, "no field: {fault}");
        let shown = fault.to_string();
        for (secret, is_in_text) in [SECRET, SECRET_NUMBER].into_iter().zip(is_in_text) {
            assert!(
                is_in_text || !shown.contains(secret),
                "a value in an error: {shown}"
            );
        }
        let column = fault
            .description
            .strip_prefix("column ")
            .and_then(|rest| rest.split_once(':'));
        if let Some((column, _)) = column {
            let column: usize = column.parse().expect("a column");
            assert!(
                (1..=expression.text.len() + 1).contains(&column),
                "not in the text: {fault}"
            );
        }
    }
}

impl Rendered {
    /// DynamoDB refuses placeholders that are not used, and long texts.
    fn assert_complete(&self) {
        assert!(
            self.text.len() <= MAX_EXPRESSION_BYTES,
            "{} bytes",
            self.text.len()
        );
        let used: Vec<&str> = tokens(&self.text)
            .filter(|token| token.starts_with(['#', ':']))
            .collect();
        for token in &used {
            let is_defined = self.names.contains_key(*token) || self.values.contains_key(*token);
            assert!(is_defined, "{token} is not defined in {}", self.text);
        }
        for placeholder in self.names.keys().chain(self.values.keys()) {
            assert!(
                used.contains(&placeholder.as_str()),
                "{placeholder} is not used in {}",
                self.text
            );
        }
    }

    fn expression(&self) -> Expression {
        Expression {
            text: self.text.clone(),
            values: self.values.clone(),
            names: self.names.clone(),
        }
    }

    /// The text with names and values in the place of their placeholders.
    fn resolved(&self) -> String {
        let mut text = String::new();
        for token in tokens(&self.text) {
            match (self.names.get(token), self.values.get(token)) {
                (Some(name), _) => write!(text, "{name:?}").expect("a string takes all text"),
                (_, Some(value)) => text.push_str(&shown(value)),
                (None, None) => text.push_str(token),
            }
        }
        text
    }

    /// The expression, parsed and rendered again, is the same.
    fn assert_same(&self, result: Result<String, Faults>, out: Placeholders) {
        let text = result.unwrap_or_else(|faults| panic!("{} is refused: {faults}", self.text));
        let (names, values) = out.into_parts();
        let again = Rendered { text, names, values };
        // those around a `contains` that asks for two forms are left out, if they are not needed
        let bare = |rendered: &Rendered| rendered.resolved().replace(['(', ')'], "");
        assert_eq!(bare(&again), bare(self), "{} became {}", self.text, again.text);
    }
}

/// Splits a rendered text before and after each placeholder.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_inside = |char: char| char.is_ascii_alphanumeric();
        let length = match first {
            '#' | ':' => 1 + rest[1..].find(|char| !is_inside(char)).unwrap_or(rest.len() - 1),
            _ => rest.find(['#', ':']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}
