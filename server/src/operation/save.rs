//! Save: one item whole. Checks everything first; then `object::settle` runs the writes to their end.

use std::sync::Arc;

use tracing::warn;

use super::selection::check_values;
use super::verdict::Verdict;
use super::{Error, Gateway, ReturnValues};
use crate::aws;
use crate::call::Call;
use crate::expression::{self, Expression, Placeholders};
use crate::fault::{Fault, Faults, Path};
use crate::item::Key;
use crate::item::check::{self, CheckError};
use crate::item::load::{self, Opened};
use crate::item::pointer::Pointer;
use crate::item::store::StoreError;
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{ForeignPointers, Item, Model, Value};
use crate::object::owner::Owner;
use crate::object::settle::{self, Condition, KeptError, SettleError, Write};
use crate::object::upload::sha256_hex;

/// What to write.
pub struct Save {
    /// The model.
    pub model: Arc<Model>,
    /// The whole item.
    pub item: Item,
    /// Write only where this holds.
    pub condition: Option<Expression>,
    /// What to answer.
    pub return_values: ReturnValues,
    /// Check only.
    pub validate_only: bool,
    /// What decoding found.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 4] = ["model", "item", "condition", "return_values"];

/// What was written; empty where the request was only checked.
#[derive(Default)]
pub struct Saved {
    /// What the server set.
    pub generated: Item,
    /// The item that was replaced, where asked.
    pub old_item: Option<Opened>,
    /// The item as written, where asked.
    pub item: Option<Item>,
}

/// Writes one item.
pub async fn save(gateway: &Gateway, call: &Call, request: Save) -> Result<Saved, Error> {
    let Save {
        model,
        item,
        condition,
        return_values,
        validate_only,
        faults,
    } = request;
    let mut verdict = Verdict::new(&FIELDS, faults);
    let max_depth = gateway.attribute_depth;
    let item = without_unchanged_content(item).await;
    check_values(condition.as_ref(), "condition", max_depth, &mut verdict);
    let condition = verdict.expression(settled_condition(&model, condition.as_ref()));
    let checked = match check::check_item(&model, item, "item", max_depth) {
        Ok(checked) => {
            verdict.add_fields(misplaced(&model, &checked.item));
            Some(checked)
        }
        Err(CheckError::Invalid(faults)) => {
            verdict.add_fields(faults);
            None
        }
        Err(CheckError::Mode(faults)) => return verdict.pass().and(Err(Error::Mode(faults.sorted(&FIELDS)))),
        Err(CheckError::TooLarge { bytes }) => return verdict.pass().and(Err(Error::ItemTooLarge { bytes })),
    };
    let passed = verdict.pass()?;
    let (condition, checked) = (passed.take(condition)?, passed.take(checked)?);
    check_room(condition.as_ref(), &checked.item)?;
    if validate_only {
        return Ok(Saved::default());
    }
    let keys = gateway.keyring.for_call(call);
    let written = (return_values == ReturnValues::AllNew).then(|| checked.item.clone());
    let write = Write {
        call: call.clone(),
        model: model.clone(),
        item: checked.item,
        keys,
        condition,
        return_old: return_values == ReturnValues::AllOld,
    };
    let committed = match gateway.settler.save(write).await {
        Ok(committed) => committed,
        Err(error) => return Err(refusal(gateway, call, &model, return_values, error).await),
    };
    let (references, kept) = (references(committed.objects), references(committed.kept));
    let old_item = match committed.old {
        Some(old) => open_old(gateway, call, &model, old).await,
        None => None,
    };
    let item = written.map(|item| item.into_iter().chain(kept).chain(references.clone()).collect());
    let generated = checked.generated.into_iter().chain(references).collect();
    Ok(Saved {
        generated,
        old_item,
        item,
    })
}

/// A condition ready for the commit; none where none was given.
pub(super) fn settled_condition(
    model: &Model,
    condition: Option<&Expression>,
) -> Result<Option<Condition>, Faults> {
    let Some(condition) = condition else {
        return Ok(None);
    };
    let mut placeholders = Placeholders::new();
    let text = expression::condition(model, condition, "condition", &mut placeholders)?;
    let (names, values) = placeholders.into_parts();
    Ok(Some(Condition { text, names, values }))
}

/// The item with every object that was read together with its content, and is unchanged, as if the content had not been
/// read: the stored object is kept. With other content the fields of the server stay faults, since the caller may have
/// meant either.
async fn without_unchanged_content(mut item: Item) -> Item {
    for value in item.values_mut() {
        if let Value::Object(object) = value
            && check::names_stored_object(object)
            && let Some(data) = &object.data
            && data.len() as u64 == object.size_bytes
            && sha256_hex(data.clone()).await == object.sha256
        {
            object.data = None;
        }
    }
    item
}

/// Faults of objects that are sent back to be kept, but whose place is not the item's own: an item that has such a pointer
/// all the same keeps it only if the attribute reads foreign pointers.
fn misplaced(model: &Model, item: &Item) -> Faults {
    let Some(key) = Key::of_item(model, item) else {
        return Faults::new();
    };
    let owner = Owner { model, key: &key };
    let mut faults = Faults::new();
    for attribute in &model.attributes {
        let (Some(offload), Some(Value::Object(object))) = (&attribute.s3, item.get(&attribute.name)) else {
            continue;
        };
        let place = Pointer {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            ..Pointer::default()
        };
        let may_be_kept = offload.foreign_pointers == ForeignPointers::Read || owner.has(offload, &place);
        if object.data.is_none() && !may_be_kept {
            faults.extend(check::not_kept(object, "item", &attribute.name));
        }
    }
    faults
}

/// Refuses a condition that is too long for DynamoDB together with what keeping objects adds to it.
fn check_room(condition: Option<&Condition>, item: &Item) -> Result<(), Error> {
    let is_kept = |value: &&Value| matches!(value, Value::Object(object) if object.data.is_none());
    let kept = item.values().filter(is_kept).count();
    let most_bytes = MAX_EXPRESSION_BYTES.saturating_sub(settle::condition_bytes(kept));
    match condition {
        Some(condition) if kept > 0 && condition.text.len() > most_bytes => {
            let description =
                format!("must have at most {most_bytes} bytes beside {kept} objects that are kept");
            Err(Error::InvalidExpression(
                Fault::new("condition.text", description).into(),
            ))
        }
        _ => Ok(()),
    }
}

/// The item that a write replaced or removed, for its caller. The write is done: an old value that does not open is
/// left out rather than told as a failure of what succeeded.
pub(super) async fn open_old(
    gateway: &Gateway,
    call: &Call,
    model: &Arc<Model>,
    old: Item,
) -> Option<Opened> {
    let keys = gateway.keyring.for_call(call);
    match load::open(model, old, &keys, None).await {
        Ok(opened) => Some(opened),
        Err(error) => {
            warn!(
                request_id = call.request_id(),
                "the old item does not open: {error}"
            );
            None
        }
    }
}

async fn refusal(
    gateway: &Gateway,
    call: &Call,
    model: &Arc<Model>,
    return_values: ReturnValues,
    error: SettleError,
) -> Error {
    match error {
        SettleError::Seal(StoreError::TooLarge { bytes }) => Error::ItemTooLarge { bytes },
        SettleError::Seal(StoreError::Kms(error)) => Error::Store(error),
        SettleError::Seal(StoreError::Unsealable { .. } | StoreError::NoKey) => {
            Error::Internal("a checked item does not seal")
        }
        SettleError::Kept(KeptError::Changed { attribute }) => Error::ObjectChanged { attribute },
        SettleError::Kept(KeptError::Altered { attribute, field }) => {
            let root = Path::Root("item");
            let path = Path::Name(&root, &attribute);
            let description = "must be as it was read to keep the stored object; send data to replace it";
            Error::Invalid(Fault::new(Path::Name(&path, field), description).into())
        }
        SettleError::Store(error) => {
            condition_refusal(gateway, call, model, return_values == ReturnValues::AllOld, error).await
        }
    }
}

/// A refused condition, with the item as it is where that was asked for.
pub(super) async fn condition_refusal(
    gateway: &Gateway,
    call: &Call,
    model: &Arc<Model>,
    return_old: bool,
    error: aws::Error,
) -> Error {
    match error.kind {
        aws::Kind::ConditionFailed { item: Some(item) } if return_old => Error::ConditionFailed {
            current: open_old(gateway, call, model, item).await,
        },
        aws::Kind::ConditionFailed { .. } => Error::ConditionFailed { current: None },
        _ => Error::Store(error),
    }
}

fn references(objects: Vec<(String, Pointer)>) -> Item {
    objects
        .into_iter()
        .map(|(name, pointer)| (name, Value::Object(Box::new(pointer.to_object()))))
        .collect()
}
