//! TransactWrite: operations on different items, all or none. Checks every operation first.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::authorize::{Authorizing, check_named};
use super::condition::{check_condition, check_pinned};
use super::delete::{CheckedDelete, Delete, check_delete};
use super::error::Error;
use super::gateway::Gateway;
use super::part_faults::PartFaults;
use super::recognition::recognition;
use super::save::{CheckedSave, Save, Saved, check_save, references};
use super::update::{CheckedUpdate, Update, Updated, check_update};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Expression;
use crate::fault::{Fault, Faults};
use crate::item::load::readable;
use crate::item::{ItemId, Key, check};
use crate::model::{Item, Model, Number, ReturnValues, Value};
use crate::policy::Action;
use crate::read::RequestHasher;
use crate::write::{Change, Contents, ExpectedVersion, Operation, TransactOutcome};

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
        mut operations,
        request_id,
        validate_only,
        faults: decoding,
    } = request;
    let mut faults = PartFaults::from(decoding);
    let asking = Authorizing::within(gateway, call, Action::TransactWrite);
    authorize_all(asking, &mut operations, &mut faults)?;
    if operations.is_empty() || operations.len() > MAX_OPERATIONS {
        faults.push(
            "operations",
            format_args!("must have 1 to {MAX_OPERATIONS} operations"),
        );
        return faults.into_result().map(|()| Vec::new());
    }
    let mut checked = Vec::with_capacity(operations.len());
    let mut hasher = RequestHasher::new("TransactWrite");
    for (index, operation) in operations.into_iter().enumerate() {
        if let (Ok(operation), false) = (&operation, request_id.is_empty()) {
            operation.add_to(&mut hasher).await;
        }
        let place = operation
            .as_ref()
            .map_or(Place(index, ""), |operation| Place(index, operation.name()));
        let outcome = match operation {
            Ok(operation) => check_operation(gateway, call, operation).await,
            Err(error) => Err(error),
        };
        if let Some((operation, done)) = faults.take(&place, outcome)? {
            checked.push((place, operation, done));
        }
    }
    check_items(&checked, &mut faults);
    faults.into_result()?;
    let generated = checked.iter().map(|(_, _, done)| done.generated()).collect();
    let operations: Vec<&Operation> = checked.iter().map(|(_, operation, _)| operation).collect();
    let recognition = recognition(gateway, call, &request_id, hasher, &operations, generated)?;
    if validate_only {
        return Ok(Vec::new());
    }
    let (operations, mut done): (Vec<Operation>, Vec<Transacted>) = checked
        .into_iter()
        .map(|(_, operation, done)| (operation, done))
        .unzip();
    let models: Vec<Arc<Model>> = operations
        .iter()
        .map(|operation| Arc::clone(&operation.model))
        .collect();
    let outcome = gateway.committer.transact(call, operations, recognition).await?;
    set_generated(&mut done, &models, outcome);
    let seen = done.into_iter().zip(models);
    Ok(seen
        .map(|(done, model)| done.seen_by(&model).recorded(call))
        .collect())
}

/// Rejects what the caller may not do. From then on the models are as the caller sees them.
fn authorize_all(
    asking: Authorizing<'_>,
    operations: &mut [Result<TransactOperation, Error>],
    faults: &mut PartFaults,
) -> Result<(), Error> {
    for (index, operation) in operations.iter_mut().take(MAX_OPERATIONS).enumerate() {
        if let Ok(operation) = operation {
            faults.take(Place(index, operation.name()), operation.authorize(asking))?;
        }
    }
    Ok(())
}

/// Adds what the transaction set, or what it set the first time.
fn set_generated(done: &mut [Transacted], models: &[Arc<Model>], outcome: TransactOutcome) {
    match outcome {
        TransactOutcome::Applied(applied) => {
            for ((done, model), applied) in done.iter_mut().zip(models).zip(applied) {
                done.set_generated(|generated| {
                    generated.extend(references(applied.objects));
                    generated.extend(readable(model, applied.index_keys));
                });
            }
        }
        TransactOutcome::Repeated(first) => {
            for (done, first) in done.iter_mut().zip(first) {
                done.set_generated(|generated| *generated = first);
            }
        }
    }
}

impl Transacted {
    /// The result without what the caller of this view of the model may not read.
    fn seen_by(self, model: &Model) -> Transacted {
        match self {
            Transacted::Saved(saved) => Transacted::Saved(saved.seen_by(model)),
            Transacted::Updated(updated) => Transacted::Updated(updated.seen_by(model)),
            Transacted::Deleted => Transacted::Deleted,
            Transacted::Checked => Transacted::Checked,
        }
    }

    /// Records what is withheld for the audit log.
    fn recorded(self, call: &Call) -> Transacted {
        match self {
            Transacted::Saved(saved) => Transacted::Saved(saved.recorded(call)),
            Transacted::Updated(updated) => Transacted::Updated(updated.recorded(call)),
            Transacted::Deleted => Transacted::Deleted,
            Transacted::Checked => Transacted::Checked,
        }
    }

    /// What the server set.
    fn generated(&self) -> Item {
        match self {
            Transacted::Saved(Saved { generated, .. }) | Transacted::Updated(Updated { generated, .. }) => {
                generated.clone()
            }
            Transacted::Deleted | Transacted::Checked => Item::new(),
        }
    }

    fn set_generated(&mut self, set: impl FnOnce(&mut Item)) {
        match self {
            Transacted::Saved(Saved { generated, .. }) | Transacted::Updated(Updated { generated, .. }) => {
                set(generated);
            }
            Transacted::Deleted | Transacted::Checked => {}
        }
    }
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
    /// Adds all that decides what is written to the hash of a request.
    async fn add_to(&self, hasher: &mut RequestHasher) {
        hasher.text(self.name());
        match self {
            TransactOperation::Save(save) => save.add_to(hasher).await,
            TransactOperation::Update(update) => update.add_to(hasher).await,
            TransactOperation::Delete(delete) => delete.add_to(hasher),
            TransactOperation::Check(check) => {
                hasher.text(&check.model.name);
                hasher.item(&check.key);
                hasher.expression(check.condition.as_ref());
            }
        }
    }

    fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        match self {
            TransactOperation::Save(save) => asking.part(save.authorize(asking), &save.model, &save.item),
            TransactOperation::Update(update) => {
                asking.part(update.authorize(asking), &update.model, &update.key)
            }
            TransactOperation::Delete(delete) => {
                asking.part(delete.authorize(asking), &delete.model, &delete.key)
            }
            TransactOperation::Check(check) => asking.part(check.authorize(asking), &check.model, &check.key),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            TransactOperation::Save(_) => "save",
            TransactOperation::Update(_) => "update",
            TransactOperation::Delete(_) => "delete",
            TransactOperation::Check(_) => "check",
        }
    }
}

impl Check {
    /// A condition reads the item.
    fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let access = asking.access(Action::Get, &self.model, true, &self.key)?;
        check_named(&access, self.condition.as_ref(), "condition.text")?;
        self.model = Arc::clone(access.model());
        Ok(())
    }
}

/// The operation as it is written, and what it will have done.
async fn check_operation(
    gateway: &Gateway,
    call: &Call,
    operation: TransactOperation,
) -> Result<(Operation, Transacted), Error> {
    match operation {
        TransactOperation::Save(save) => {
            let (operation, saved) = check_saving(gateway, call, save).await?;
            Ok((operation, Transacted::Saved(saved)))
        }
        TransactOperation::Update(update) => {
            let (operation, updated) = check_updating(gateway, call, update).await?;
            Ok((operation, Transacted::Updated(updated)))
        }
        TransactOperation::Delete(delete) => Ok((check_deleting(gateway, delete)?, Transacted::Deleted)),
        TransactOperation::Check(check) => Ok((check_check(gateway, check)?, Transacted::Checked)),
    }
}

async fn check_saving(gateway: &Gateway, call: &Call, save: Save) -> Result<(Operation, Saved), Error> {
    check_inner(save.validate_only, save.return_values)?;
    let return_old = save.return_values == ReturnValues::AllOld;
    let CheckedSave {
        model,
        item,
        generated,
        condition,
        version,
    } = check_save(gateway, call, save).await?;
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
        contents: Contents::new(),
    };
    Ok((operation, saved))
}

async fn check_updating(
    gateway: &Gateway,
    call: &Call,
    update: Update,
) -> Result<(Operation, Updated), Error> {
    check_inner(update.validate_only, update.return_values)?;
    let return_old = update.return_values == ReturnValues::AllOld;
    let CheckedUpdate { item, mut generated } = check_update(gateway, call, update).await?;
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
        contents: Contents::new(),
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
        contents: Contents::new(),
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
        contents: Contents::new(),
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
