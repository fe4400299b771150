//! TransactWrite: operations on different items, all or none. Checks every operation first.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::condition::check_condition;
use super::delete::{CheckedDelete, Delete, check_delete};
use super::error::Error;
use super::gateway::Gateway;
use super::part_faults::PartFaults;
use super::save::{CheckedSave, Save, Saved, check_save};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::{Fault, Faults};
use crate::item::{ItemId, Key, check};
use crate::model::{AttributeType, Item, Model, ReturnValues, Value};
use crate::write::{Change, Operation};

/// Operations of one transaction.
const MAX_OPERATIONS: usize = 100;

/// Which operations to apply.
pub struct TransactWrite {
    /// The operations, or why they could not be decoded.
    pub operations: Vec<Result<TransactOperation, Error>>,
    /// Makes the call idempotent; empty: it is not.
    pub request_id: String,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// One operation.
pub enum TransactOperation {
    /// Writes an item whole.
    Save(Save),
    /// Removes an item.
    Delete(Delete),
    /// Requires a condition.
    Check(Check),
}

/// A condition on an item that is not written.
pub struct Check {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// What the item must meet.
    pub condition: Option<Expression>,
    /// Whether a refusal has the current item.
    pub return_old: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The fields of a check in the contract's order.
const CHECK_FIELDS: [&str; 4] = ["model", "key", "condition", "return_values"];

/// What one operation did.
pub enum Transacted {
    /// Wrote an item.
    Saved(Saved),
    /// Removed an item.
    Deleted,
    /// Found its condition met.
    Checked,
}

/// Applies operations; returns nothing if the request was only checked.
///
/// # Errors
///
/// The faults of all operations together; then nothing is sent. The operations that were refused, if the transaction was
/// cancelled.
pub async fn transact_write(
    gateway: &Gateway,
    call: &Call,
    request: TransactWrite,
) -> Result<Vec<Transacted>, Error> {
    let TransactWrite {
        operations,
        request_id,
        validate_only,
        faults: decoding,
    } = request;
    let mut faults = PartFaults::from(decoding);
    if operations.is_empty() || operations.len() > MAX_OPERATIONS {
        faults.push(
            "operations",
            format_args!("must have 1 to {MAX_OPERATIONS} operations"),
        );
        return faults.into_result().map(|()| Vec::new());
    }
    let mut checked = Vec::with_capacity(operations.len());
    for (index, operation) in operations.into_iter().enumerate() {
        let place = operation
            .as_ref()
            .map_or(Place(index, ""), |operation| Place(index, operation.name()));
        let outcome = match operation {
            Ok(operation) => check_operation(gateway, operation).await,
            Err(error) => Err(error),
        };
        if let Some((operation, done)) = faults.take(&place.to_string(), outcome)? {
            checked.push((place, operation, done));
        }
    }
    check_items(&checked, &mut faults);
    faults.into_result()?;
    let operations = checked.iter().map(|(_, operation, _)| operation);
    let token = match request_id.is_empty() {
        true => None,
        false => Some(token(gateway, &request_id, operations)?),
    };
    if validate_only {
        return Ok(Vec::new());
    }
    let (operations, done) = checked
        .into_iter()
        .map(|(_, operation, done)| (operation, done))
        .unzip();
    gateway.committer.transact(call, operations, token).await?;
    Ok(done)
}

/// The path of an operation.
struct Place(usize, &'static str);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place(index, kind) = self;
        match *kind {
            "" => write!(formatter, "operations[{index}]"),
            kind => write!(formatter, "operations[{index}].{kind}"),
        }
    }
}

impl TransactOperation {
    fn name(&self) -> &'static str {
        match self {
            TransactOperation::Save(_) => "save",
            TransactOperation::Delete(_) => "delete",
            TransactOperation::Check(_) => "check",
        }
    }
}

/// The operation as it is written, and what it will have done.
async fn check_operation(
    gateway: &Gateway,
    operation: TransactOperation,
) -> Result<(Operation, Transacted), Error> {
    match operation {
        TransactOperation::Save(save) => {
            check_inner(save.validate_only, save.return_values)?;
            let return_old = save.return_values == ReturnValues::AllOld;
            let checked = check_save(gateway, save).await?;
            let CheckedSave {
                model,
                item,
                generated,
                condition,
                version,
            } = checked;
            check_objects(&model)?;
            let key =
                Key::from_request(&model, &item).ok_or(Error::Internal("a checked item lacks its key"))?;
            let saved = Saved {
                generated,
                ..Saved::default()
            };
            let operation = Operation {
                model,
                key,
                change: Change::Put(item),
                condition,
                version,
                return_old,
            };
            Ok((operation, Transacted::Saved(saved)))
        }
        TransactOperation::Delete(delete) => {
            check_inner(delete.validate_only, ReturnValues::None)?;
            let return_old = delete.return_old;
            let CheckedDelete {
                model,
                key,
                condition,
                version,
            } = check_delete(gateway, delete)?;
            check_objects(&model)?;
            let operation = Operation {
                model,
                key,
                change: Change::Delete,
                condition,
                version,
                return_old,
            };
            Ok((operation, Transacted::Deleted))
        }
        TransactOperation::Check(check) => Ok((check_check(gateway, check)?, Transacted::Checked)),
    }
}

fn check_check(gateway: &Gateway, request: Check) -> Result<Operation, Error> {
    let Check {
        model,
        key,
        condition,
        return_old,
        faults,
    } = request;
    let mut validation = Validation::new(&CHECK_FIELDS, faults);
    let is_missing = condition.is_none();
    let condition = check_condition(
        &model,
        condition.as_ref(),
        gateway.attribute_depth,
        &mut validation,
    );
    if is_missing {
        validation.add_expressions(Fault::new("condition.text", "is required").into());
    }
    let key = validation.field(check::check_key(&model, key, "key"));
    let valid = validation.finish()?;
    Ok(Operation {
        key: valid.take(key)?,
        condition: valid.take(condition)?,
        model,
        change: Change::Check,
        version: None,
        return_old,
    })
}

/// Rejects what a part of a transaction must not ask for.
fn check_inner(validate_only: bool, return_values: ReturnValues) -> Result<(), Error> {
    let mut faults = Faults::new();
    if validate_only {
        faults.push("validate_only", "must be unset; set it in the request as a whole");
    }
    if !matches!(return_values, ReturnValues::None | ReturnValues::AllOld) {
        faults.push(
            "return_values",
            "must be NONE or ALL_OLD, which returns the current item of a refused operation",
        );
    }
    faults.into_result().map_err(Error::Invalid)
}

/// Rejects writes that would have to replace objects.
fn check_objects(model: &Model) -> Result<(), Error> {
    let has_objects = model
        .attributes
        .iter()
        .any(|attribute| attribute.kind == AttributeType::Object);
    match has_objects {
        false => Ok(()),
        true => {
            let description = format_args!(
                "a transaction that writes items of {}, which has object attributes, is not supported by this version",
                model.name
            );
            Err(Error::Invalid(Fault::new("model", description).into()))
        }
    }
}

/// Rejects two operations on one item.
fn check_items(checked: &[(Place, Operation, Transacted)], faults: &mut PartFaults) {
    let mut seen = HashMap::new();
    for (place, operation, _) in checked {
        let id = ItemId::new(&operation.model.table, &operation.key);
        if let Some(first) = seen.insert(id, place) {
            faults.push(
                place,
                format_args!("is on the item of {first}; a transaction has one operation for an item"),
            );
        }
    }
}

/// The token of an idempotent transaction.
fn token<'a>(
    gateway: &Gateway,
    request_id: &str,
    mut operations: impl Iterator<Item = &'a Operation>,
) -> Result<String, Error> {
    if !operations.all(is_reproducible) {
        let description = "is not supported by this version for operations that encrypt or generate values; to name the \
             call, set the tollgate-request-id metadata";
        return Err(Error::Invalid(Fault::new("request_id", description).into()));
    }
    let Some(tokens) = &gateway.transaction_tokens else {
        let description = "requires the server's setting token_key, the same on all replicas; to name the call, set the \
             tollgate-request-id metadata";
        return Err(Error::Invalid(Fault::new("request_id", description).into()));
    };
    Ok(tokens.token(request_id)?)
}

/// Whether a repeat of the request would store the same bytes.
fn is_reproducible(operation: &Operation) -> bool {
    let Change::Put(item) = &operation.change else {
        return true;
    };
    operation.model.attributes.iter().all(|attribute| {
        let is_sealed = attribute.encrypted.is_some()
            && item
                .get(&attribute.name)
                .is_some_and(|value| *value != Value::Null);
        !is_sealed && attribute.generate.is_none() && attribute.kind != AttributeType::Ttl
    })
}
