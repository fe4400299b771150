//! DynamoDB's expression syntax: parsed, checked against a model before anything is spent, rendered again with
//! placeholders of our own. Pure: never calls a store, never prints a value.
//!
//! Syntax and limits:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>,
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>

mod ast;
mod check;
mod definitions;
mod field_path;
mod key_condition;
mod lexer;
mod parser;
mod placeholders;
mod projection;
mod render;
#[cfg(test)]
mod tests;

pub use key_condition::{KeyCondition, key_condition};
pub use placeholders::Placeholders;
pub use projection::{Projection, projection};

use std::collections::HashMap;

use self::ast::Condition;
use self::check::Checker;
use self::definitions::Definitions;
use crate::fault::{Faults, did_you_mean};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Model, Value};

/// Characters of a name that a fault shows.
const MAX_QUOTED_CHARS: usize = 64;

/// An expression as the caller sent it, over the model's attribute names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expression {
    /// DynamoDB's syntax; reserved words need no `#`.
    pub text: String,
    /// Values by their placeholder, `:name`.
    pub values: HashMap<String, Value>,
    /// Attribute names by their placeholder, `#name`.
    pub names: HashMap<String, String>,
}

impl Expression {
    /// Whether nothing was sent: such an expression is left out. One that has values or names but no text is a fault.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.values.is_empty() && self.names.is_empty()
    }
}

/// The text of a condition on a write. `root` is the request's field; faults lie at `{root}.text`,
/// `{root}.values.:x` and `{root}.names.#x`. Where there are faults, what `out` holds is not to be sent.
pub fn condition(
    model: &Model,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let (condition, mut checker) = parsed(model, expression, root)?;
    checker.condition(&condition);
    render::condition(model, &condition, checker.finish()?, out)
}

/// The text of a Scan's filter; the faults are those of `condition`.
pub fn filter(
    model: &Model,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    condition(model, expression, root, out)
}

/// The text of a Query's filter, in which DynamoDB takes no key attributes; else the faults are those of `condition`.
pub fn query_filter(
    model: &Model,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let (condition, mut checker) = parsed(model, expression, root)?;
    checker.refuse_keys();
    checker.condition(&condition);
    render::condition(model, &condition, checker.finish()?, out)
}

/// The name under which an attribute of the model is stored; other attributes are stored under their own.
pub fn stored_name<'a>(model: &'a Model, attribute: &'a str) -> &'a str {
    model
        .attribute(attribute)
        .map_or(attribute, |declared| declared.name.as_str())
}

/// The condition that a text says, and a checker that already knows what is wrong with its names and values.
fn parsed<'a>(
    model: &'a Model,
    expression: &'a Expression,
    root: &'a str,
) -> Result<(Condition<'a>, Checker<'a>), Faults> {
    let definitions = Definitions::new(expression, root);
    if expression.text.len() > MAX_EXPRESSION_BYTES {
        return Err(definitions
            .text_fault(format!("is longer than {MAX_EXPRESSION_BYTES} bytes"))
            .into());
    }
    let tokens = lexer::tokens(&expression.text);
    match parser::condition(&tokens) {
        Ok(condition) => Ok((
            condition,
            Checker::new(model, definitions, definitions.check(&tokens)),
        )),
        Err(error) => {
            let mut faults = Faults::from(definitions.fault_at(error.column, error.description));
            faults.extend(definitions.check(&tokens));
            Err(faults)
        }
    }
}

/// What a fault says of an attribute that the model neither has nor allows.
fn no_attribute(model: &Model, name: &str) -> String {
    let known = model.attributes.iter().map(|attribute| attribute.name.as_str());
    format!(
        "{} has no attribute {}{}",
        model.name,
        quoted(name),
        did_you_mean(name, known)
    )
}

/// A name as faults show it.
fn quoted(name: &str) -> String {
    match name.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}
