//! Delete: one item and the objects that it owns. Deleting an item that does not exist succeeds, as in DynamoDB.

use std::sync::Arc;

use super::condition::{check_condition, check_version, versioned};
use super::error::Error;
use super::gateway::Gateway;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::Faults;
use crate::item::check;
use crate::item::load::Opened;
use crate::model::{Item, Model};
use crate::write::DeleteRequest;

/// Which item to delete.
pub struct Delete {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// The version that the item must have; 0: any.
    pub version: u64,
    /// Deletes only if this is met.
    pub condition: Option<Expression>,
    /// Whether to return the deleted item.
    pub return_old: bool,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 5] = ["model", "key", "version", "condition", "return_values"];

/// Deletes one item, and returns it if requested.
///
/// # Errors
///
/// See [`Error`]; the faults of the request are returned together.
pub async fn delete(gateway: &Gateway, call: &Call, request: Delete) -> Result<Option<Opened>, Error> {
    let Delete {
        model,
        key,
        version,
        condition,
        return_old,
        validate_only,
        faults,
    } = request;
    let mut validation = Validation::new(&FIELDS, faults);
    let condition = check_condition(
        &model,
        condition.as_ref(),
        gateway.attribute_depth,
        &mut validation,
    );
    let key = validation.field(check::check_key(&model, key, "key"));
    let version = validation.field(check_version(&model, version));
    let valid = validation.finish()?;
    let (condition, key) = (valid.take(condition)?, valid.take(key)?);
    let version = valid.take(version)?;
    let condition = versioned(&model, condition, version)?;
    if validate_only {
        return Ok(None);
    }
    let request = DeleteRequest {
        call: call.clone(),
        model,
        key,
        condition,
        version,
        return_old,
    };
    Ok(gateway.committer.delete(request).await?)
}
