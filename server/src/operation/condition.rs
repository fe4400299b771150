//! The condition and the version of a write, as Save, Update and Delete check them.

use super::error::Error;
use super::selection::check_values;
use super::validation::Validation;
use crate::expression::{self, Expression, Placeholders};
use crate::fault::{Fault, Faults};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Item, Model, Value};
use crate::write::{
    Condition, ExpectedVersion, VERSION_CONDITION_BYTES, condition_bytes, count_kept, pinned_bytes,
};

/// Checks a condition and prepares it for the commit. Returns `None` if `validation` has its faults.
pub(super) fn check_condition(
    model: &Model,
    condition: Option<&Expression>,
    max_depth: usize,
    validation: &mut Validation,
) -> Option<Option<Condition>> {
    check_values(condition, "condition", max_depth, validation);
    let prepared = condition.map(|condition| prepare(model, condition)).transpose();
    validation.expression(prepared.and_then(|condition| of_model(model, condition)))
}

/// The condition, and that the write replaces no item of another model. Keys that are built from templates cannot be those
/// of another model.
fn of_model(model: &Model, condition: Option<Condition>) -> Result<Option<Condition>, Faults> {
    let Some(discriminator) = model.guard() else {
        return Ok(condition);
    };
    let guard = "(attribute_not_exists(#modelkey) OR #model=:model)";
    let (text, mut names, mut values) = match condition {
        Some(Condition { text, names, values }) => (format!("({text}) AND {guard}"), names, values),
        None => (guard.to_owned(), [].into(), [].into()),
    };
    if text.len() > MAX_EXPRESSION_BYTES {
        let description = format!(
            "is longer than {MAX_EXPRESSION_BYTES} bytes with the condition that the item is of this model"
        );
        return Err(Fault::new("condition.text", description).into());
    }
    let stored_name = |name: &str| model.stored_name(name).to_owned();
    names.insert("#modelkey".to_owned(), stored_name(&model.partition_key));
    names.insert("#model".to_owned(), stored_name(&discriminator.attribute));
    values.insert(":model".to_owned(), Value::S(discriminator.value.clone()));
    Ok(Some(Condition { text, names, values }))
}

fn prepare(model: &Model, condition: &Expression) -> Result<Condition, Faults> {
    let mut placeholders = Placeholders::new();
    let text = expression::condition(model, condition, "condition", &mut placeholders)?;
    let (names, values) = placeholders.into_parts();
    Ok(Condition { text, names, values })
}

/// Checks the expected version of a request; 0: none.
pub(super) fn check_version(model: &Model, version: u64) -> Result<Option<ExpectedVersion>, Faults> {
    match (version, model.version()) {
        (0, _) => Ok(None),
        (number, Some(_)) => Ok(Some(ExpectedVersion::Exactly(number))),
        (_, None) => {
            let description = format!("must be 0: {} has no version attribute", model.name);
            Err(Fault::new("version", description).into())
        }
    }
}

/// The condition, and that the stored item has the expected version.
pub(super) fn versioned(
    model: &Model,
    condition: Option<Condition>,
    version: Option<ExpectedVersion>,
) -> Result<Option<Condition>, Error> {
    if version.is_none() {
        return Ok(condition);
    }
    let condition = condition.unwrap_or_default();
    let max_bytes = MAX_EXPRESSION_BYTES - VERSION_CONDITION_BYTES;
    if condition.text.len() > max_bytes {
        let description = format!("must have at most {max_bytes} bytes with a version");
        return Err(Error::InvalidExpression(
            Fault::new("condition.text", description).into(),
        ));
    }
    Ok(Some(condition.with_version(model, version)))
}

/// Rejects a condition that would be too long for DynamoDB with the comparisons of the stored pointers, which a transaction
/// adds to it.
pub(super) fn check_pinned(model: &Model, condition: Option<&Condition>) -> Result<(), Error> {
    let max_bytes = MAX_EXPRESSION_BYTES.saturating_sub(pinned_bytes(model));
    match condition {
        Some(condition) if condition.text.len() > max_bytes => {
            let description = format_args!(
                "must have at most {max_bytes} bytes in a transaction, which compares the object attributes of {} too",
                model.name
            );
            Err(Error::InvalidExpression(
                Fault::new("condition.text", description).into(),
            ))
        }
        Some(_) | None => Ok(()),
    }
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
