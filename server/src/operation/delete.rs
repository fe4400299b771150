//! Delete: one item and the objects that it owns. Removing what is not there succeeds, as in DynamoDB.

use std::sync::Arc;

use super::condition::check_condition;
use super::verdict::Verdict;
use super::{Error, Gateway};
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::Faults;
use crate::item::check;
use crate::item::load::Opened;
use crate::model::{Item, Model};
use crate::write::DeleteRequest;

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
    let condition = check_condition(&model, condition.as_ref(), gateway.attribute_depth, &mut verdict);
    let key = verdict.field(check::check_key(&model, key, "key"));
    let passed = verdict.pass()?;
    let (condition, key) = (passed.take(condition)?, passed.take(key)?);
    if validate_only {
        return Ok(None);
    }
    let request = DeleteRequest {
        call: call.clone(),
        model,
        key,
        condition,
        return_old,
    };
    Ok(gateway.committer.delete(request).await?)
}
