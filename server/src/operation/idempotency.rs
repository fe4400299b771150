//! The request ids of single writes: whether a repeat must change nothing, and what the item remembers.

use std::time::SystemTime;

use super::changes;
use super::error::Error;
use super::gateway::Gateway;
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::item::check::{self, CheckError};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Idempotency, Item, Model, REMEMBERED_REQUEST};
use crate::read::RequestHasher;
use crate::write::{Condition, Identity, ItemUpdate, REMEMBERED_CONDITION_BYTES, Term};

/// Whether writes of the model remember this request id.
pub(super) fn is_remembered(model: &Model, request_id: &str) -> bool {
    model.idempotency.is_some() && !request_id.is_empty()
}

/// The identity of a write whose id is remembered. The hash is that of all that decides what is written.
pub(super) fn identity(
    gateway: &Gateway,
    call: &Call,
    model: &str,
    request_id: &str,
    hasher: RequestHasher,
) -> Result<Identity, Faults> {
    let Some(ids) = &gateway.request_ids else {
        let description = "requires the server's setting token_key, the same on all replicas";
        return Err(Fault::new("request_id", description).into());
    };
    let hash = hasher.finish();
    let now = SystemTime::now();
    Ok(ids.identity(call.caller_id(), model, request_id, hash.as_bytes(), now))
}

/// Rejects a deletion whose request an item should remember.
pub(super) fn check_deletion(model: &Model) -> Result<(), Faults> {
    if !is_in_item(model) {
        return Ok(());
    }
    let description = format!(
        "must be unset: items of {} remember request ids, and a deleted item cannot; to name the call, set the \
         tollgate-request-id metadata",
        model.name
    );
    Err(Fault::new("request_id", description).into())
}

/// Rejects values to return that a write with a marker does not know. `is_known` says whether there are none.
pub(super) fn check_returned(model: &Model, is_known: bool) -> Result<(), Faults> {
    if is_known || table(model).is_none() {
        return Ok(());
    }
    let description = format!(
        "must not ask for stored values with a request_id: {} remembers it in a table, by a transaction, which returns \
         none; Get the item",
        model.name
    );
    Err(Fault::new("return_values", description).into())
}

/// The table that remembers the requests of the model.
pub(super) fn table(model: &Model) -> Option<String> {
    match &model.idempotency {
        Some(Idempotency::Table(table)) => Some(table.clone()),
        Some(Idempotency::Item) | None => None,
    }
}

/// Whether the item itself remembers the request.
fn is_in_item(model: &Model) -> bool {
    model.idempotency == Some(Idempotency::Item)
}

/// Adds the request to the item that is written, if its model says so, and the condition that the stored one does not
/// remember it.
pub(super) fn remember_in_item(
    model: &Model,
    item: &mut Item,
    condition: Option<Condition>,
    identity: &Identity,
) -> Result<Option<Condition>, Error> {
    if !is_in_item(model) {
        return Ok(condition);
    }
    item.insert(REMEMBERED_REQUEST.to_owned(), identity.remembered());
    if let Err(CheckError::TooLarge { bytes }) = check::check_size(model, item) {
        return Err(Error::ItemTooLarge { bytes });
    }
    let condition = condition.unwrap_or_default();
    check_length(&condition.text)?;
    Ok(Some(condition.with_identity(identity)))
}

/// Like [`remember_in_item`], for an update.
pub(super) fn remember_in_update(item: &mut ItemUpdate, identity: &Identity) -> Result<(), Error> {
    let ItemUpdate {
        model,
        key,
        update,
        defaults,
        condition,
        placeholders,
        index_keys,
        ..
    } = item;
    if !is_in_item(model) {
        if update.is_empty() {
            // a transaction has no update without a change
            update.remove(REMEMBERED_REQUEST);
        }
        return Ok(());
    }
    update.set(REMEMBERED_REQUEST, identity.remembered());
    let comparison = identity.condition(|term| match term {
        Term::Name(name) => placeholders.name(name),
        Term::Value(value) => placeholders.value(value),
    });
    *condition = match condition.as_str() {
        "" => comparison,
        text => format!("({text}) AND {comparison}"),
    };
    changes::check_size(model, key, update, defaults)?;
    changes::check_length(model, update, defaults, index_keys, condition, placeholders)
}

fn check_length(condition: &str) -> Result<(), Error> {
    let max_bytes = MAX_EXPRESSION_BYTES - REMEMBERED_CONDITION_BYTES;
    match condition.len() > max_bytes {
        false => Ok(()),
        true => {
            let description = format!("must have at most {max_bytes} bytes with a request_id");
            Err(Error::InvalidExpression(
                Fault::new("condition.text", description).into(),
            ))
        }
    }
}
