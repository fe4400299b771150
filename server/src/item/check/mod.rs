//! Checks a caller's items and keys against the model before any request to AWS, and fills in defaults. Reports all faults
//! at once, each with its path. Never puts a value in a fault, and never changes a value that the caller set.

mod object;
mod value;

use std::fmt;

pub use self::object::{names_stored_object, reject_kept};

use super::Key;
use crate::fault::{Faults, Path, by_name, did_you_mean};
use crate::model::limits::{MAX_ITEM_BYTES, MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use crate::model::size::stored_bytes;
use crate::model::{Attribute, EncryptionMode, Item, Model, UnknownAttributes, Value};

/// The fault of a missing or null attribute.
const REQUIRED: &str = "is required";

/// An item that passed the checks.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The whole item, with defaults. Object attributes are `Value::Object`, with data unless the stored object is kept.
    pub item: Item,
    /// The defaults that were added.
    pub generated: Item,
}

/// Why an item was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Fields are invalid. Includes attributes whose encryption mode does not allow setting them.
    #[error("the item has {} invalid fields", .0.count())]
    Invalid(Faults),
    /// All fields are valid, but the encryption mode of these attributes does not allow setting them.
    #[error("the encryption mode of {} attributes does not allow setting them", .0.count())]
    Mode(Faults),
    /// The item exceeds DynamoDB's limit, even before encryption.
    #[error("the item would take {bytes} bytes, more than DynamoDB's {MAX_ITEM_BYTES}")]
    TooLarge {
        /// The size of the item before encryption.
        bytes: usize,
    },
}

/// Checks a whole item. `root` is the request field, with which every path begins; `max_depth` is
/// [`MAX_DEPTH`](crate::model::limits::MAX_DEPTH) or a stricter setting.
///
/// # Errors
///
/// See [`CheckError`]; reports all faults.
pub fn check_item(
    model: &Model,
    mut item: Item,
    root: &str,
    max_depth: usize,
) -> Result<Checked, CheckError> {
    let root = Path::Root(root);
    let mut found = Found::default();
    if model.unknown_attributes == UnknownAttributes::Drop {
        item.retain(|name, _| model.attribute(name).is_some());
    }
    let generated = check_attributes(model, &item, root, max_depth, &mut found);
    check_unknown(model, &item, root, max_depth, &mut found.faults);
    found.verdict()?;
    item.extend(
        generated
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    match stored_bytes(&item) {
        bytes if bytes > MAX_ITEM_BYTES => Err(CheckError::TooLarge { bytes }),
        _ => Ok(Checked { item, generated }),
    }
}

/// Checks the key of a request: exactly the model's key attributes, each with a valid type and size. The model's checks on
/// values apply only to writes. `root` is the request field.
///
/// # Errors
///
/// All faults.
pub fn check_key(model: &Model, key: Item, root: &str) -> Result<Key, Faults> {
    let root = Path::Root(root);
    let mut faults = Faults::default();
    for attribute in model
        .attributes
        .iter()
        .filter(|attribute| model.is_key(&attribute.name))
    {
        let path = Path::Name(&root, &attribute.name);
        match key.get(&attribute.name) {
            Some(Value::Null) | None => faults.push(path, REQUIRED),
            Some(value) if value::check_type(attribute, value, path, &mut faults) => {
                check_key_size(model, attribute, value, path, &mut faults);
            }
            Some(_) => {}
        }
    }
    let foreign = by_name(&key).into_iter().filter(|(name, _)| !model.is_key(name));
    for (name, _) in foreign {
        let description = fmt::from_fn(|formatter| {
            let near = did_you_mean(name, model.key_names().filter(|known| !key.contains_key(*known)));
            write!(formatter, "is not a key attribute of {}{near}", model.name)
        });
        faults.push(Path::Name(&root, name), description);
    }
    match Key::from_owned_item(model, key) {
        Some(key) if faults.is_empty() => Ok(key),
        _ => Err(faults),
    }
}

/// Checks the values of an expression: the rules that apply to any stored value, without those of a model. `root` is the
/// field that holds the values.
pub fn check_values(values: &Item, root: Path<'_>, max_depth: usize) -> Faults {
    let mut faults = Faults::new();
    for (placeholder, value) in by_name(values) {
        // the expression's check rejects whole objects
        if !matches!(value, Value::Object(_)) {
            value::check_parts(value, Path::Name(&root, placeholder), 1, max_depth, &mut faults);
        }
    }
    faults
}

/// Checks the objects among the values of an update: each must be a new one, with data. `root` is the field that holds
/// the values.
pub fn check_new_objects(values: &Item, root: Path<'_>) -> Faults {
    let mut faults = Faults::new();
    for (placeholder, value) in by_name(values) {
        if let Value::Object(object) = value {
            object::check_new(object, Path::Name(&root, placeholder), &mut faults);
        }
    }
    faults
}

/// Whether this server may not set the attribute.
pub fn is_read_only(attribute: &Attribute) -> bool {
    attribute
        .encrypted
        .as_ref()
        .is_some_and(|encryption| encryption.mode == EncryptionMode::ReadOnly)
}

/// The faults of an item: invalid fields, and valid ones that may not be set.
#[derive(Default)]
struct Found {
    faults: Faults,
    forbidden: Faults,
}

impl Found {
    fn verdict(mut self) -> Result<(), CheckError> {
        match (self.faults.is_empty(), self.forbidden.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(CheckError::Mode(self.forbidden)),
            (false, _) => {
                self.faults.extend(self.forbidden);
                Err(CheckError::Invalid(self.faults))
            }
        }
    }
}

/// Checks the declared attributes. Returns the defaults of those that the caller did not set.
fn check_attributes(model: &Model, item: &Item, root: Path<'_>, max_depth: usize, found: &mut Found) -> Item {
    let mut generated = Item::new();
    for attribute in &model.attributes {
        let path = Path::Name(&root, &attribute.name);
        match (item.get(&attribute.name), &attribute.default) {
            (Some(_), _) if is_read_only(attribute) => {
                found
                    .forbidden
                    .push(path, "is read_only: this server may not set it");
            }
            (Some(value), _) => check_declared(model, attribute, value, path, max_depth, &mut found.faults),
            (None, Some(default)) if !is_read_only(attribute) => {
                generated.insert(attribute.name.clone(), default.clone());
            }
            (None, _) if attribute.required || model.is_key(&attribute.name) => {
                found.faults.push(path, REQUIRED);
            }
            (None, _) => {}
        }
    }
    generated
}

/// Checks a declared attribute that the caller set.
fn check_declared(
    model: &Model,
    attribute: &Attribute,
    value: &Value,
    path: Path<'_>,
    max_depth: usize,
    faults: &mut Faults,
) {
    let is_key = model.is_key(&attribute.name);
    if *value == Value::Null {
        if attribute.required || is_key {
            faults.push(path, REQUIRED);
        }
        return;
    }
    if value::check_type(attribute, value, path, faults) {
        value::check(attribute, value, path, max_depth, faults);
        if is_key {
            check_key_size(model, attribute, value, path, faults);
        }
    }
}

fn check_key_size(model: &Model, attribute: &Attribute, value: &Value, path: Path<'_>, faults: &mut Faults) {
    let is_partition = attribute.name == model.partition_key;
    let max_bytes = if is_partition {
        MAX_PARTITION_KEY_BYTES
    } else {
        MAX_SORT_KEY_BYTES
    };
    let bytes = match value {
        Value::S(text) => text.len(),
        Value::B(bytes) => bytes.len(),
        // numbers have no length limit; other types are not keys
        Value::N(_)
        | Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => return,
    };
    if bytes == 0 {
        faults.push(path, "must not be empty: it is a key");
    } else if bytes > max_bytes {
        faults.push(
            path,
            format_args!("must have at most {max_bytes} bytes: it is a key"),
        );
    }
}

fn check_unknown(model: &Model, item: &Item, root: Path<'_>, max_depth: usize, faults: &mut Faults) {
    let mut unknown: Vec<_> = item
        .iter()
        .filter(|(name, _)| model.attribute(name).is_none())
        .collect();
    unknown.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in unknown {
        let path = Path::Name(&root, name);
        match model.unknown_attributes {
            UnknownAttributes::Reject => faults.push(path, unknown_attribute(model, item, name)),
            UnknownAttributes::Keep => {
                value::check_name(name, path, faults);
                value::check_parts(value, path, 1, max_depth, faults);
            }
            UnknownAttributes::Drop => {}
        }
    }
}

/// The fault of an undeclared attribute.
fn unknown_attribute(model: &Model, item: &Item, name: &str) -> impl fmt::Display {
    fmt::from_fn(move |formatter| {
        let known = model.attributes.iter().map(|attribute| attribute.name.as_str());
        let near = did_you_mean(name, known.filter(|known| !item.contains_key(*known)));
        write!(formatter, "is not an attribute of {}{near}", model.name)
    })
}

#[cfg(test)]
mod tests;
