//! Checks a caller's items and keys against the model before any request to AWS, fills in what the server sets, and
//! returns values in their stored form. Reports all faults at once, each with its path. Never puts a value in a fault.

mod item;
mod key;
mod object;
mod value;
mod version;

use std::fmt;
use std::time::SystemTime;

use self::item::ItemCheck;
pub use self::item::is_read_only;
pub use self::object::{check_description, is_sha256, names_stored_object, reject_kept};
use self::value::{REQUIRED, Rules};
pub use self::version::VersionExpectation;

use super::Key;
use crate::fault::{Faults, Path, by_name, did_you_mean};
use crate::model::limits::{MAX_ITEM_BYTES, MIN_ITEM_SEAL_BYTES};
use crate::model::size::stored_bytes;
use crate::model::{Attribute, Item, Model, Value};

/// An item that passed the checks.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The whole item by the model's names, with all that the server sets. Values are in their stored form, before
    /// compression and encryption. Object attributes are `Value::Object`, with data unless the stored object is kept.
    pub item: Item,
    /// What the server set, as callers read it.
    pub generated: Item,
    /// The version that the stored item must have.
    pub version: VersionExpectation,
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
/// [`MAX_DEPTH`](crate::model::limits::MAX_DEPTH) or a stricter setting; `now` is when the request arrived.
///
/// # Errors
///
/// See [`CheckError`]; reports all faults.
pub fn check_item(
    model: &Model,
    item: Item,
    root: &str,
    max_depth: usize,
    now: SystemTime,
) -> Result<Checked, CheckError> {
    let mut check = ItemCheck::new(model, Path::Root(root), max_depth, now);
    check.check_given(item);
    check.fill();
    check.build_keys();
    check.check_whole();
    let found = Found {
        faults: check.faults,
        forbidden: check.forbidden,
    };
    found.verdict()?;
    check_size(model, &check.item)?;
    let shown = |name: String| {
        let attribute = model.attribute(&name).filter(|attribute| !attribute.hidden)?;
        let value = attribute.from_stored(check.item.get(&name)?.clone());
        Some((name, value))
    };
    Ok(Checked {
        generated: check.generated.into_iter().filter_map(shown).collect(),
        version: check.version,
        item: check.item,
    })
}

/// Checks a value that a write sets for an attribute, with the checks of a whole item. Null stays null. Returns the stored
/// form, or `None` if it has faults. `root` is the value's place in the request.
pub fn check_value(
    attribute: &Attribute,
    model: &Model,
    value: Value,
    root: Path<'_>,
    max_depth: usize,
    now: SystemTime,
    faults: &mut Faults,
) -> Option<Value> {
    let rules = Rules {
        unknown: model.unknown_attributes,
        max_depth,
        now,
    };
    match value {
        Value::Null => Some(Value::Null),
        value => rules.check(attribute, value, root, 1, faults),
    }
}

/// Checks the size of an item before encryption. If the model compresses or offloads attributes, the size is known only
/// afterwards.
///
/// # Errors
///
/// `TooLarge`.
pub fn check_size(model: &Model, item: &Item) -> Result<(), CheckError> {
    if model.attributes.iter().any(Attribute::may_shrink) {
        return Ok(());
    }
    let names: usize = item.keys().map(String::len).sum();
    let stored_names: usize = item.keys().map(|name| model.stored_name(name).len()).sum();
    let seal = model.protection.as_ref().map_or(0, |_| MIN_ITEM_SEAL_BYTES);
    match stored_bytes(item) + stored_names + seal - names {
        bytes if bytes > MAX_ITEM_BYTES => Err(CheckError::TooLarge { bytes }),
        _ => Ok(()),
    }
}

/// Checks the key of a request: the model's key attributes, or the parts that their templates are built from, or both,
/// each with a valid type and size. Defaults and constants fill in. The model's checks on values apply only to writes.
/// `root` is the request field.
///
/// # Errors
///
/// All faults.
pub fn check_key(model: &Model, given: Item, root: &str) -> Result<Key, Faults> {
    match key::plain(model, given) {
        Ok(key) => Ok(key),
        Err(given) => check_key_parts(model, given, root).map(|(key, _)| key),
    }
}

/// Like [`check_key`], and returns the key attributes and the known parts by the model's names, in their stored form.
///
/// # Errors
///
/// All faults.
pub fn check_key_parts(model: &Model, mut given: Item, root: &str) -> Result<(Key, Item), Faults> {
    let root = Path::Root(root);
    let mut faults = Faults::default();
    let mut item = Item::with_capacity(given.len());
    let mut invalid = Vec::new();
    let known = |name: &str| model.is_key(name) || key::is_key_part(model, name);
    let attributes = model.attributes.iter().filter(|attribute| known(&attribute.name));
    for attribute in attributes.clone() {
        let path = Path::Name(&root, &attribute.name);
        match given.remove(&attribute.name) {
            Some(Value::Null) | None => {}
            Some(value) if value::check_type(attribute, &value, path, &mut faults) => {
                match attribute.to_stored(value, SystemTime::UNIX_EPOCH) {
                    Ok(value) => {
                        item.insert(attribute.name.clone(), value);
                    }
                    Err(problem) => {
                        invalid.push(attribute.name.clone());
                        faults.push(path, problem);
                    }
                }
            }
            Some(_) => invalid.push(attribute.name.clone()),
        }
    }
    key::take_apart(model, &mut item, root, &mut invalid, &mut faults);
    for attribute in attributes.clone() {
        let is_given = item.contains_key(&attribute.name) || invalid.contains(&attribute.name);
        if let (Some(default), false) = (&attribute.default, is_given)
            && let Ok(value) = attribute.to_stored(default.clone(), SystemTime::UNIX_EPOCH)
        {
            item.insert(attribute.name.clone(), value);
        }
    }
    key::build(model, &mut item, root, &mut invalid, &mut faults);
    for attribute in attributes.filter(|attribute| model.is_key(&attribute.name)) {
        let path = Path::Name(&root, &attribute.name);
        match item.get(&attribute.name) {
            Some(value) => key::check_key_size(model, attribute, value, path, &mut faults),
            None if attribute.template.is_some() || invalid.contains(&attribute.name) => {}
            None => faults.push(path, REQUIRED),
        }
    }
    for (name, _) in by_name(&given) {
        let description = fmt::from_fn(|formatter| {
            let near = did_you_mean(name, model.key_names().filter(|known| !item.contains_key(*known)));
            write!(formatter, "is not a key attribute of {}{near}", model.name)
        });
        faults.push(Path::Name(&root, name), description);
    }
    match Key::from_request(model, &item) {
        Some(key) if faults.is_empty() => Ok((key, item)),
        _ => Err(faults),
    }
}

/// Checks the parts of a key, as [`check_key_parts`] returns them, as values of an item that the request creates.
pub fn check_new_key(model: &Model, parts: &Item, root: &str) -> Faults {
    let root = Path::Root(root);
    let mut faults = Faults::new();
    for (name, value) in by_name(parts) {
        let Some(attribute) = model.attribute(name) else {
            continue;
        };
        let violations = attribute.checks.violations(&attribute.from_stored(value.clone()));
        for violation in violations {
            faults.push(
                Path::Name(&root, name),
                format_args!("{violation}; to update only items that exist, set must_exist"),
            );
        }
    }
    faults
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

#[cfg(test)]
mod tests;
