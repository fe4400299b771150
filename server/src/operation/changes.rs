//! What an update changes: the caller's expression, checked, and what the model adds to it: generated values, the version,
//! defaults of an item that the update creates, and conditions.

use std::time::SystemTime;

use super::error::Error;
use super::selection::check_values;
use super::validation::Validation;
use crate::expression::{self, Expression, Placeholders};
use crate::fault::{Fault, Faults, Path};
use crate::item::{Key, check};
use crate::model::limits::{MAX_EXPRESSION_BYTES, MAX_ITEM_BYTES, MIN_ITEM_SEAL_BYTES};
use crate::model::size::stored_bytes;
use crate::model::{Attribute, AttributeType, Generate, ITEM_SEAL, Item, Model, Number, Value};
use crate::write::{ExpectedVersion, IndexKeys};

/// Bytes that one attribute of the stored item adds to the text of the condition if the commit pins it.
const PIN_BYTES: usize = 40;

/// Sets what the server sets on every write. Returns it as callers read it.
pub(super) fn generate(
    model: &Model,
    update: &mut expression::Update,
    now: SystemTime,
) -> Result<Item, Error> {
    let mut generated = Item::new();
    for attribute in &model.attributes {
        if attribute.generate == Some(Generate::UtcNowOnWrite)
            && let Some(value) = attribute.generated(now)
        {
            update.set(&attribute.name, stored(attribute, value.clone(), now)?);
            generated.insert(attribute.name.clone(), value);
        }
    }
    Ok(generated)
}

fn stored(attribute: &Attribute, value: Value, now: SystemTime) -> Result<Value, Error> {
    let stored = attribute.to_stored(value, now);
    stored.map_err(|_| Error::Internal("a value of the model cannot be stored"))
}

/// The next version, or one more than the stored one if the request expects none.
pub(super) fn set_version(model: &Model, update: &mut expression::Update, version: Option<ExpectedVersion>) {
    let Some(attribute) = model.version() else { return };
    match version {
        Some(ExpectedVersion::Exactly(number)) => {
            update.set(&attribute.name, Value::N(Number::from(number.saturating_add(1))));
        }
        Some(ExpectedVersion::Create) | None => update.increment(&attribute.name),
    }
}

/// Checks the changes. Returns `None` if `validation` has their faults.
pub(super) fn check_expression(
    model: &Model,
    update: Option<&Expression>,
    max_depth: usize,
    now: SystemTime,
    validation: &mut Validation,
) -> Option<expression::Update> {
    let Some(update) = update else {
        validation.add_fields(Fault::new("update", "is required").into());
        return None;
    };
    check_values(Some(update), "update", max_depth, validation);
    let root = Path::Root("update");
    let values = Path::Name(&root, "values");
    validation.add_expressions(check::check_new_objects(&update.values, values));
    let mut update = validation.expression(expression::update(model, update, "update", now))?;
    validation.add_fields(check_nested(model, &mut update, max_depth, now));
    Some(update)
}

/// Checks the maps and lists that are set as a whole and declare what is in them, and fills in the defaults inside them.
fn check_nested(model: &Model, update: &mut expression::Update, max_depth: usize, now: SystemTime) -> Faults {
    let declares = |attribute: &&Attribute| !attribute.attributes.is_empty() || attribute.items.is_some();
    let nested: Vec<(&Attribute, Value)> = update
        .whole_values()
        .filter_map(|(name, value)| Some((model.attribute(name).filter(declares)?, value.clone())))
        .collect();
    let root = Path::Root("update");
    let mut faults = Faults::new();
    for (attribute, stored) in nested {
        let path = Path::Name(&root, &attribute.name);
        let value = attribute.from_stored(stored);
        let checked = check::check_value(attribute, model, value, path, max_depth, now, &mut faults);
        if let Some(value) = checked {
            update.set(&attribute.name, value);
        }
    }
    faults
}

/// Rejects changes of attributes that this server may not set.
pub(super) fn check_modes(model: &Model, update: &expression::Update) -> Result<(), Error> {
    let touched = update.touched();
    let mut forbidden = Faults::new();
    let read_only = model
        .attributes
        .iter()
        .filter(|attribute| check::is_read_only(attribute));
    for attribute in read_only.filter(|attribute| touched.contains(attribute.name.as_str())) {
        let description = format!(
            "changes {}, which is read_only: this server may not set it",
            attribute.name
        );
        forbidden.push("update.text", description);
    }
    match forbidden.is_empty() {
        true => Ok(()),
        false => Err(Error::Mode(forbidden)),
    }
}

/// Null stores nothing in objects, sets and times to live: `SET photo = :null` removes the attribute.
pub(super) fn remove_nulls(model: &Model, update: &mut expression::Update) {
    let nulls: Vec<String> = update
        .whole_values()
        .filter(|(_, value)| **value == Value::Null)
        .filter_map(|(name, _)| model.attribute(name))
        .filter(|attribute| stores_no_null(attribute.kind))
        .map(|attribute| attribute.name.clone())
        .collect();
    for name in nulls {
        update.remove(&name);
    }
}

fn stores_no_null(kind: AttributeType) -> bool {
    match kind {
        AttributeType::Object
        | AttributeType::StringSet
        | AttributeType::NumberSet
        | AttributeType::BinarySet
        | AttributeType::Ttl
        | AttributeType::Version => true,
        AttributeType::String
        | AttributeType::Number
        | AttributeType::Binary
        | AttributeType::Boolean
        | AttributeType::List
        | AttributeType::Map
        | AttributeType::Json
        | AttributeType::Datetime => false,
    }
}

/// Whether an item that the update creates would lack a required attribute. Of those that are built from templates, the
/// keys of the table are complete.
pub(super) fn lacks_required(model: &Model, update: &expression::Update, key: &Item) -> bool {
    let provided = update.provided();
    model.attributes.iter().any(|attribute| {
        attribute.required
            && attribute.default.is_none()
            && attribute.generate.is_none()
            && !key.contains_key(&attribute.name)
            && !provided.contains(attribute.name.as_str())
    })
}

/// The values, in their stored form, that the server gives to attributes of a new item that the update leaves alone.
/// `key` are the key attributes and their parts, by the model's names.
pub(super) fn defaults(
    model: &Model,
    update: &expression::Update,
    key: Item,
    now: SystemTime,
) -> Result<Item, Error> {
    let touched = update.touched();
    let mut defaults = key;
    defaults.retain(|name, _| !model.is_key(name) && !touched.contains(name.as_str()));
    let others = model.attributes.iter().filter(|attribute| {
        !model.is_key(&attribute.name)
            && !touched.contains(attribute.name.as_str())
            && !check::is_read_only(attribute)
    });
    for attribute in others.filter(|attribute| attribute.generate != Some(Generate::UtcNowOnWrite)) {
        if defaults.contains_key(&attribute.name) {
            continue;
        }
        if let Some(value) = attribute.default.clone().or_else(|| attribute.generated(now)) {
            defaults.insert(attribute.name.clone(), stored(attribute, value, now)?);
        }
    }
    if let Some(discriminator) = &model.discriminator {
        let value = Value::S(discriminator.value.clone());
        defaults.insert(discriminator.attribute.clone(), value);
    }
    Ok(defaults)
}

/// Builds the index keys that the update changes, as far as it determines them. Returns those that depend on the stored
/// item. Adds those that are set to `generated`.
pub(super) fn build_index_keys(
    model: &Model,
    key: &Key,
    update: &mut expression::Update,
    defaults: &Item,
    must_exist: bool,
    generated: &mut Item,
) -> Result<IndexKeys, Error> {
    let planned = IndexKeys::plan(model, key, update, defaults, !must_exist);
    let pending = planned.map_err(|error| {
        let description = format!(
            "would give {} an invalid value: {}",
            error.attribute, error.problem
        );
        Error::InvalidExpression(Fault::new("update.text", description).into())
    })?;
    let whole_values: Item = update
        .whole_values()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    for (attribute, _) in model.rebuilt().filter(|(attribute, _)| !attribute.hidden) {
        if let Some(value) = whole_values.get(&attribute.name) {
            generated.insert(attribute.name.clone(), value.clone());
        }
    }
    Ok(pending)
}

/// The caller's condition, and those of the model.
pub(super) fn whole_condition(
    model: &Model,
    condition: Option<String>,
    update: &expression::Update,
    must_exist: bool,
    version: Option<ExpectedVersion>,
    placeholders: &mut Placeholders,
) -> String {
    let mut parts = Vec::new();
    if let (Some(ExpectedVersion::Exactly(number)), Some(attribute)) = (version, model.version()) {
        let name = placeholders.name(&attribute.stored_name);
        parts.push(format!(
            "{name}={}",
            placeholders.value(Value::N(Number::from(number)))
        ));
    }
    if let Some(discriminator) = model.guard() {
        let name = placeholders.name(model.stored_name(&discriminator.attribute));
        let key = placeholders.name(model.stored_name(&model.partition_key));
        let value = placeholders.value(Value::S(discriminator.value.clone()));
        parts.push(format!("(attribute_not_exists({key}) OR {name}={value})"));
    }
    if must_exist {
        let key = placeholders.name(model.stored_name(&model.partition_key));
        parts.push(format!("attribute_exists({key})"));
    }
    let bounds = update.bounds().iter();
    parts.extend(bounds.map(|bound| bound.render(model, placeholders)));
    match condition {
        Some(condition) if parts.is_empty() => return condition,
        Some(condition) => parts.push(format!("({condition})")),
        None => {}
    }
    parts.join(" AND ")
}

/// Rejects values that no item can hold, before they cost anything.
pub(super) fn check_size(
    model: &Model,
    key: &Key,
    update: &expression::Update,
    defaults: &Item,
) -> Result<(), Error> {
    let mut values = key.item();
    let may_shrink = |name: &str| model.attribute(name).is_some_and(Attribute::may_shrink);
    let whole_values = update.whole_values().filter(|(name, _)| !may_shrink(name));
    values.extend(whole_values.map(|(name, value)| (name.to_owned(), value.clone())));
    let seal = model.protection.as_ref().map_or(0, |_| MIN_ITEM_SEAL_BYTES);
    let bytes = stored_bytes(&values) + stored_bytes(defaults) + seal;
    match bytes > MAX_ITEM_BYTES {
        true => Err(Error::ItemTooLarge { bytes }),
        false => Ok(()),
    }
}

/// Rejects expressions that are too long for DynamoDB with what this server adds to them.
pub(super) fn check_length(
    model: &Model,
    update: &expression::Update,
    defaults: &Item,
    index_keys: &IndexKeys,
    condition: &str,
    placeholders: &Placeholders,
) -> Result<(), Error> {
    let mut complete = update.clone();
    for (name, value) in defaults {
        complete.set_if_not_exists(name, value.clone());
    }
    for name in index_keys.names() {
        complete.set(name, Value::Null);
    }
    if model.protection.is_some() {
        complete.set(ITEM_SEAL, Value::Null);
    }
    complete
        .render(model, "update", &mut placeholders.clone())
        .map_err(Error::InvalidExpression)?;
    let objects = model.attributes.iter().filter(|attribute| attribute.s3.is_some());
    let repaired = model
        .attributes
        .iter()
        .filter(|attribute| attribute.null_sets_repair && update.completes(&attribute.name));
    let seal = usize::from(model.protection.is_some());
    let pins = objects.count() + index_keys.pins() + repaired.count() + seal;
    let max_bytes = MAX_EXPRESSION_BYTES.saturating_sub(pins * PIN_BYTES);
    if condition.len() > max_bytes {
        let description = format!("has more than {max_bytes} bytes with the conditions that the model adds");
        return Err(Error::InvalidExpression(
            Fault::new("condition.text", description).into(),
        ));
    }
    Ok(())
}
