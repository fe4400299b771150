//! The condition of a write, as Save and Delete check it.

use super::error::Error;
use super::selection::check_values;
use super::validation::Validation;
use crate::expression::{self, Expression, Placeholders};
use crate::fault::{Fault, Faults};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Item, Model};
use crate::write::{Condition, condition_bytes, count_kept};

/// Checks a condition and prepares it for the commit. Returns `None` if `validation` has its faults.
pub(super) fn check_condition(
    model: &Model,
    condition: Option<&Expression>,
    max_depth: usize,
    validation: &mut Validation,
) -> Option<Option<Condition>> {
    check_values(condition, "condition", max_depth, validation);
    let prepared = condition.map(|condition| prepare(model, condition));
    validation.expression(prepared.transpose())
}

fn prepare(model: &Model, condition: &Expression) -> Result<Condition, Faults> {
    let mut placeholders = Placeholders::new();
    let text = expression::condition(model, condition, "condition", &mut placeholders)?;
    let (names, values) = placeholders.into_parts();
    Ok(Condition { text, names, values })
}

/// Rejects a condition that would be too long for DynamoDB with the comparisons that kept objects add to it.
pub(super) fn check_length(condition: Option<&Condition>, item: &Item) -> Result<(), Error> {
    let kept = count_kept(item);
    let max_bytes = MAX_EXPRESSION_BYTES.saturating_sub(condition_bytes(kept));
    match condition {
        Some(condition) if kept > 0 && condition.text.len() > max_bytes => {
            let description =
                format!("must have at most {max_bytes} bytes in a request that keeps {kept} objects");
            Err(Error::InvalidExpression(
                Fault::new("condition.text", description).into(),
            ))
        }
        Some(_) | None => Ok(()),
    }
}
