//! Delete: one item and the objects that it owns. Removing what is not there succeeds, as in DynamoDB.

use std::sync::Arc;

use super::save::{condition_refusal, open_old, settled_condition};
use super::selection::check_values;
use super::verdict::Verdict;
use super::{Error, Gateway};
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::Faults;
use crate::item::check;
use crate::item::load::Opened;
use crate::model::{Item, Model};
use crate::object::settle::Removal;

/// What to remove.
pub struct Delete {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// Remove only where this holds.
    pub condition: Option<Expression>,
    /// Answer the item that was removed.
    pub return_old: bool,
    /// Check only.
    pub validate_only: bool,
    /// What decoding found.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 4] = ["model", "key", "condition", "return_values"];

/// Removes one item; answers it where asked.
pub async fn delete(gateway: &Gateway, call: &Call, request: Delete) -> Result<Option<Opened>, Error> {
    let Delete {
        model,
        key,
        condition,
        return_old,
        validate_only,
        faults,
    } = request;
    let mut verdict = Verdict::new(&FIELDS, faults);
    let max_depth = gateway.attribute_depth;
    check_values(condition.as_ref(), "condition", max_depth, &mut verdict);
    let condition = verdict.expression(settled_condition(&model, condition.as_ref()));
    let key = verdict.field(check::check_key(&model, key, "key"));
    let passed = verdict.pass()?;
    let (condition, key) = (passed.take(condition)?, passed.take(key)?);
    if validate_only {
        return Ok(None);
    }
    let removal = Removal {
        call: call.clone(),
        model: model.clone(),
        key,
        condition,
        return_old,
    };
    match gateway.settler.delete(removal).await {
        Ok(Some(old)) => Ok(open_old(gateway, call, &model, old).await),
        Ok(None) => Ok(None),
        Err(error) => Err(condition_refusal(gateway, call, &model, return_old, error).await),
    }
}
