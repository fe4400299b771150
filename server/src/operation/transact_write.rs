//! TransactWrite: operations on different items, all or none. Checks every operation first.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::condition::check_condition;
use super::delete::{CheckedDelete, Delete, check_delete};
use super::error::Error;
use super::gateway::Gateway;
use super::part_faults::PartFaults;
use super::save::{CheckedSave, Save, Saved, check_save, references};
use super::update::{CheckedUpdate, Update, Updated, check_update};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::{Fault, Faults};
use crate::item::{ItemId, Key, check};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{AttributeType, Generate, Item, Model, Number, ReturnValues, Value};
use crate::write::{Change, Condition, ExpectedVersion, ItemUpdate, Operation, pinned_bytes};

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
    /// Changes attributes of an item.
    Update(Update),
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
    /// Changed attributes of an item.
    Updated(Updated),
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
    let (operations, mut done): (_, Vec<Transacted>) = checked
        .into_iter()
        .map(|(_, operation, done)| (operation, done))
        .unzip();
    let applied = gateway.committer.transact(call, operations, token).await?;
    for (done, applied) in done.iter_mut().zip(applied) {
        match done {
            Transacted::Saved(Saved { generated, .. }) | Transacted::Updated(Updated { generated, .. }) => {
                generated.extend(references(applied.objects));
            }
            Transacted::Deleted | Transacted::Checked => {}
        }
    }
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
            TransactOperation::Update(_) => "update",
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
            let (operation, saved) = check_saving(gateway, save).await?;
            Ok((operation, Transacted::Saved(saved)))
        }
        TransactOperation::Update(update) => {
            let (operation, updated) = check_updating(gateway, update)?;
            Ok((operation, Transacted::Updated(updated)))
        }
        TransactOperation::Delete(delete) => Ok((check_deleting(gateway, delete)?, Transacted::Deleted)),
        TransactOperation::Check(check) => Ok((check_check(gateway, check)?, Transacted::Checked)),
    }
}

async fn check_saving(gateway: &Gateway, save: Save) -> Result<(Operation, Saved), Error> {
    check_inner(save.validate_only, save.return_values)?;
    let return_old = save.return_values == ReturnValues::AllOld;
    let CheckedSave {
        model,
        item,
        generated,
        condition,
        version,
    } = check_save(gateway, save).await?;
    check_pinned(&model, condition.as_ref())?;
    let key = Key::from_request(&model, &item).ok_or(Error::Internal("a checked item lacks its key"))?;
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
    Ok((operation, saved))
}

fn check_updating(gateway: &Gateway, update: Update) -> Result<(Operation, Updated), Error> {
    check_inner(update.validate_only, update.return_values)?;
    let return_old = update.return_values == ReturnValues::AllOld;
    let CheckedUpdate { item, mut generated } = check_update(gateway, update)?;
    // without an expected version, the new one is not known
    if let (Some(attribute), Some(ExpectedVersion::Exactly(number))) = (item.model.version(), item.version) {
        let next = Number::from(number.saturating_add(1));
        generated.insert(attribute.name.clone(), Value::N(next));
    }
    let updated = Updated {
        generated,
        ..Updated::default()
    };
    let operation = Operation {
        model: Arc::clone(&item.model),
        key: item.key.clone(),
        version: item.version,
        change: Change::Update(Box::new(item)),
        condition: None,
        return_old,
    };
    Ok((operation, updated))
}

fn check_deleting(gateway: &Gateway, delete: Delete) -> Result<Operation, Error> {
    check_inner(delete.validate_only, ReturnValues::None)?;
    let return_old = delete.return_old;
    let CheckedDelete {
        model,
        key,
        condition,
        version,
    } = check_delete(gateway, delete)?;
    check_pinned(&model, condition.as_ref())?;
    Ok(Operation {
        model,
        key,
        change: Change::Delete,
        condition,
        version,
        return_old,
    })
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

/// Rejects a condition that would be too long for DynamoDB with the comparisons of the stored pointers.
fn check_pinned(model: &Model, condition: Option<&Condition>) -> Result<(), Error> {
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

/// Whether a repeat of the request would be the same for DynamoDB.
fn is_reproducible(operation: &Operation) -> bool {
    let model = &operation.model;
    let has = |kind| model.attributes.iter().any(|attribute| attribute.kind == kind);
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
        Change::Delete | Change::Check => operation.condition.is_none() || !has(AttributeType::Ttl),
    };
    // the stored pointers are part of the request
    let pins = !matches!(operation.change, Change::Check) && has(AttributeType::Object);
    is_plain && !pins
}

fn is_reproducible_update(change: &ItemUpdate) -> bool {
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
