//! Conditions on writes, and filters of a Query or Scan.

use std::time::SystemTime;

use super::ast::Condition;
use super::check::Checker;
use super::definitions::Definitions;
use super::input::Expression;
use super::key_names::key_names;
use super::placeholders::Placeholders;
use super::{lexer, parser, render};
use crate::fault::Faults;
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Index, Model};

/// Renders a condition on a write. `root` is the field of the request; faults are at `{root}.text`, `{root}.values.:x` and
/// `{root}.names.#x`. If there are faults, the content of `out` must not be used.
///
/// # Errors
///
/// All faults.
pub fn condition(
    model: &Model,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let (condition, mut checker) = parsed(model, expression, root, out.now())?;
    checker.condition(&condition);
    render::condition(model, &condition, checker.finish()?, out)
}

/// Renders the filter of a Scan, like [`condition`].
///
/// # Errors
///
/// All faults.
pub fn filter(
    model: &Model,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    condition(model, expression, root, out)
}

/// Renders the filter of a Query of the table or of an index, like [`condition`]. It cannot use the keys of the two.
///
/// # Errors
///
/// All faults.
pub fn query_filter(
    model: &Model,
    index: Option<&Index>,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let (condition, mut checker) = parsed(model, expression, root, out.now())?;
    let (partition, sort) = key_names(model, index);
    checker.refuse_keys([partition, sort].concat());
    checker.condition(&condition);
    render::condition(model, &condition, checker.finish()?, out)
}

/// Parses a condition of a request that arrived at `now`. Also returns a checker that already contains the faults of the names and values.
pub(super) fn parsed<'a>(
    model: &'a Model,
    expression: &'a Expression,
    root: &'a str,
    now: SystemTime,
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
            Checker::new(model, definitions, now, definitions.check_comparable(&tokens)),
        )),
        Err(error) => {
            let mut faults = Faults::from(definitions.fault_at(error.column, error.description));
            faults.extend(definitions.check_comparable(&tokens));
            Err(faults)
        }
    }
}
