//! Conditions on writes, and filters of a Query or Scan.

use super::ast::Condition;
use super::check::Checker;
use super::definitions::Definitions;
use super::input::Expression;
use super::placeholders::Placeholders;
use super::{lexer, parser, render};
use crate::fault::Faults;
use crate::model::Model;
use crate::model::limits::MAX_EXPRESSION_BYTES;

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

/// The condition that a text says, and a checker that already knows what is wrong with its names and values.
pub(super) fn parsed<'a>(
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
