//! Delete: one item and the objects that it owns. Deleting an item that does not exist succeeds, as in DynamoDB.

use std::sync::Arc;

use super::authorize::{self, Authorizing, check_named};
use super::condition::{check_condition, check_pinned, check_version, versioned};
use super::error::Error;
use super::gateway::Gateway;
use super::idempotency;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::Faults;
use crate::item::load::Opened;
use crate::item::{Key, check};
use crate::model::{Item, Model};
use crate::policy::Action;
use crate::read::RequestHasher;
use crate::write::{Condition, DeleteRequest, ExpectedVersion, Identity};

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
    /// Makes the call idempotent if the model says so; empty: it is not.
    pub request_id: String,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 6] = [
    "model",
    "key",
    "version",
    "condition",
    "return_values",
    "request_id",
];

/// Deletes one item, and returns it if requested.
///
/// # Errors
///
/// See [`Error`]; the faults of the request are returned together.
pub async fn delete(gateway: &Gateway, call: &Call, mut request: Delete) -> Result<Option<Opened>, Error> {
    request.authorize(Authorizing::alone(gateway, call))?;
    let (return_old, validate_only) = (request.return_old, request.validate_only);
    let (checked, identity) = check_single_delete(gateway, call, request)?;
    if validate_only {
        return Ok(None);
    }
    commit(gateway, call, checked, identity, return_old).await
}

/// Checks a deletion outside of a transaction, and its request id.
pub(super) fn check_single_delete(
    gateway: &Gateway,
    call: &Call,
    mut request: Delete,
) -> Result<(CheckedDelete, Option<Identity>), Error> {
    let identity = identity(gateway, call, &mut request);
    let checked = check_delete(gateway, request)?;
    if identity.is_some() {
        check_pinned(&checked.model, checked.condition.as_ref())?;
    }
    Ok((checked, identity))
}

/// The identity of a request whose id is remembered. Adds the faults of the id to those of the request.
fn identity(gateway: &Gateway, call: &Call, request: &mut Delete) -> Option<Identity> {
    if !idempotency::is_remembered(&request.model, &request.request_id) {
        return None;
    }
    let mut hasher = RequestHasher::new("Delete");
    request.add_to(&mut hasher);
    let identity = idempotency::check_deletion(&request.model)
        .and_then(|()| idempotency::check_returned(&request.model, !request.return_old))
        .and_then(|()| {
            idempotency::identity(gateway, call, &request.model.name, &request.request_id, hasher)
        });
    identity.map_err(|faults| request.faults.extend(faults)).ok()
}

impl Delete {
    /// Rejects what the caller may not do. From then on the model is as the caller sees it.
    pub(super) fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let access = asking.access(Action::Delete, &self.model, false, &self.key)?;
        check_named(&access, self.condition.as_ref(), "condition.text")?;
        authorize::check_version(&access, self.version)?;
        self.model = Arc::clone(access.model());
        Ok(())
    }

    /// Adds all that decides what is written to the hash of a request.
    pub(super) fn add_to(&self, hasher: &mut RequestHasher) {
        hasher.text(&self.model.name);
        hasher.item(&self.key);
        hasher.number(self.version);
        hasher.expression(self.condition.as_ref());
    }
}

/// A Delete that passed its checks.
pub(super) struct CheckedDelete {
    pub(super) model: Arc<Model>,
    pub(super) key: Key,
    pub(super) condition: Option<Condition>,
    /// The version that the condition demands.
    pub(super) version: Option<ExpectedVersion>,
}

/// Checks everything about a deletion.
pub(super) fn check_delete(gateway: &Gateway, request: Delete) -> Result<CheckedDelete, Error> {
    let Delete {
        model,
        key,
        version,
        condition,
        return_old: _,
        request_id: _,
        validate_only: _,
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
    Ok(CheckedDelete {
        model,
        key,
        condition,
        version,
    })
}

/// Deletes the item of a checked deletion.
pub(super) async fn commit(
    gateway: &Gateway,
    call: &Call,
    checked: CheckedDelete,
    identity: Option<Identity>,
    return_old: bool,
) -> Result<Option<Opened>, Error> {
    let request = DeleteRequest {
        call: call.clone(),
        model: checked.model,
        key: checked.key,
        condition: checked.condition,
        version: checked.version,
        return_old,
        identity: identity.clone(),
    };
    if let Some((table, identity)) = idempotency::table(&request.model).zip(identity) {
        gateway.committer.delete_once(request, identity, &table).await?;
        return Ok(None);
    }
    Ok(gateway.committer.delete(request).await?)
}
