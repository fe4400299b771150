//! How a repeat of a transaction is recognised: by DynamoDB's token if the repeat is the same for DynamoDB, otherwise by a
//! marker in the idempotency table of one of its models.

use super::error::Error;
use super::gateway::Gateway;
use super::idempotency;
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::model::{AttributeType, Generate, Idempotency, Item, Value};
use crate::read::RequestHasher;
use crate::write::{Change, ItemUpdate, Marking, Operation, Recognition};

/// Operations of a transaction with a marker.
const MAX_MARKED: usize = 99;
/// The model of the ids of transactions, which have several.
const NO_MODEL: &str = "";

/// How a repeat of these operations is recognised; `generated` is what the server sets in each.
pub(super) fn recognition(
    gateway: &Gateway,
    call: &Call,
    request_id: &str,
    hasher: RequestHasher,
    operations: &[&Operation],
    generated: Vec<Item>,
) -> Result<Recognition, Error> {
    if request_id.is_empty() {
        return Ok(Recognition::None);
    }
    let Some(tokens) = &gateway.transaction_tokens else {
        let description = "requires the server's setting token_key, the same on all replicas; to name the call, set the \
             tollgate-request-id metadata";
        return Err(invalid("request_id", description));
    };
    if operations.iter().all(|operation| is_reproducible(operation)) {
        return Ok(Recognition::Token(tokens.token(call.caller_id(), request_id)?));
    }
    let tables = operations
        .iter()
        .filter_map(|operation| match &operation.model.idempotency {
            Some(Idempotency::Table(table)) => Some(table),
            Some(Idempotency::Item) | None => None,
        });
    let Some(table) = tables.min() else {
        let description = "requires a model with `idempotency: { table: NAME }` among the operations: they encrypt or \
             generate values, or replace objects, which differ from attempt to attempt; to name the call, set the \
             tollgate-request-id metadata";
        return Err(invalid("request_id", description));
    };
    if operations.len() > MAX_MARKED {
        let description = format!(
            "must have at most {MAX_MARKED} operations with a request_id: DynamoDB's limit includes the item that \
             remembers it"
        );
        return Err(invalid("operations", description));
    }
    let identity =
        idempotency::identity(gateway, call, NO_MODEL, request_id, hasher).map_err(Error::Invalid)?;
    Ok(Recognition::Marker(Marking {
        table: table.clone(),
        identity,
        generated,
    }))
}

fn invalid(field: &str, description: impl std::fmt::Display) -> Error {
    Error::Invalid(Faults::from(Fault::new(field, description)))
}

/// Whether a repeat of the request would be the same for DynamoDB.
fn is_reproducible(operation: &Operation) -> bool {
    let model = &operation.model;
    let has_ttl = model.ttl().is_some();
    if model.protection.is_some() && matches!(operation.change, Change::Put(_) | Change::Update(_)) {
        // each attempt of a call has another seal
        return false;
    }
    let is_plain = match &operation.change {
        Change::Put(item) => model.attributes.iter().all(|attribute| {
            let is_sealed = attribute.encrypted.is_some()
                && item
                    .get(&attribute.name)
                    .is_some_and(|value| *value != Value::Null);
            !is_sealed && attribute.generate.is_none() && attribute.kind != AttributeType::Ttl
        }),
        Change::Update(change) => is_reproducible_update(change),
        // times to live count from now
        Change::Delete | Change::Check => operation.condition.is_none() || !has_ttl,
    };
    // the stored pointers are part of the request
    let has_pointers = model.attributes.iter().any(|attribute| attribute.s3.is_some());
    let pins = !matches!(operation.change, Change::Check) && has_pointers;
    is_plain && !pins
}

fn is_reproducible_update(change: &ItemUpdate) -> bool {
    if !change.index_keys.is_empty() {
        // the stored parts are part of the request
        return false;
    }
    let touched = change.update.touched();
    change.model.attributes.iter().all(|attribute| {
        let is_set =
            touched.contains(attribute.name.as_str()) || change.defaults.contains_key(&attribute.name);
        let is_generated = match attribute.generate {
            Some(Generate::UtcNowOnWrite) => true,
            Some(_) => change.defaults.contains_key(&attribute.name),
            None => false,
        };
        attribute.kind != AttributeType::Ttl && !is_generated && !(is_set && attribute.encrypted.is_some())
    })
}
