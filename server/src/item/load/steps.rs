//! The steps of opening an item that need no data keys: names, parts of keys, what is left out and what is withheld.

use crate::item::offloaded::is_withheld;
use crate::model::{Attribute, ITEM_SEAL, Item, Model, REMEMBERED_REQUEST, Value};

/// The item as its caller reads it, from one by the model's names whose values are in their stored form, decrypted and
/// decompressed. Leaves out hidden attributes, the request id that the item remembers, and its seal.
pub fn readable(model: &Model, mut item: Item) -> Item {
    // in place, since a page has thousands of items
    item.retain(|name, value| {
        let Some(attribute) = model.attribute(name) else {
            return name != REMEMBERED_REQUEST && name != ITEM_SEAL && !model.withholds_undeclared;
        };
        if attribute.hidden || attribute.withheld {
            return false;
        }
        *value = attribute.from_stored(std::mem::replace(value, Value::Null));
        *value != Value::Null
    });
    item
}

/// The stored values by the model's names. Leaves out attributes under the name of one that has an alias.
pub(super) fn named_values(model: &Model, stored: Item) -> Item {
    let has_alias = |attribute: &Attribute| attribute.name != attribute.stored_name;
    if !model.attributes.iter().any(has_alias) {
        return stored;
    }
    let named = stored.into_iter().filter_map(|(name, value)| {
        match (model.stored_attribute(&name), model.attribute(&name)) {
            (Some(attribute), _) if attribute.name == name => Some((name, value)),
            (Some(attribute), _) => Some((attribute.name.clone(), value)),
            (None, Some(_)) => None,
            (None, None) => Some((name, value)),
        }
    });
    named.collect()
}

/// The parts of the item's templated keys, in their stored form.
pub(super) fn parts_of_keys(model: &Model, stored: &Item) -> Vec<(String, Value)> {
    let keys = model.key_names().filter_map(|name| model.attribute(name));
    let parts = keys.filter_map(|attribute| {
        let template = attribute.template.as_ref()?;
        match stored.get(&attribute.stored_name)? {
            Value::S(key) => template.take_apart(key),
            _ => None,
        }
    });
    parts.flatten().collect()
}

fn is_wanted(wanted: Option<&[String]>, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name))
}

/// Leaves out what the read does not name, and attributes that are NULL.
pub(super) fn keep_wanted(model: &Model, item: &mut Item, wanted: Option<&[String]>) {
    item.retain(|name, value| {
        is_wanted(wanted, name) && (*value != Value::Null || model.attribute(name).is_none())
    });
}

/// Adds the parts of the keys that the item does not have.
pub(super) fn add_parts(
    model: &Model,
    item: &mut Item,
    parts: Vec<(String, Value)>,
    wanted: Option<&[String]>,
) {
    for (name, value) in parts {
        if is_wanted(wanted, &name) && !model.withholds(&name) {
            item.entry(name).or_insert(value);
        }
    }
}

/// Removes the attributes that may not be decrypted and those that the caller may not read. Returns their names: of the
/// latter all that are wanted, whether the item has them or not.
pub(super) fn withhold(model: &Model, item: &mut Item, wanted: Option<&[String]>) -> Vec<String> {
    model.withhold(item);
    let denied = match model.withholds_any() {
        true => model.withheld_names(|name| is_wanted(wanted, name)),
        false => Vec::new(),
    };
    let write_only = model.attributes.iter().filter(|attribute| is_withheld(attribute));
    let sealed_by_others = model
        .sealed_by_others
        .iter()
        .filter(|name| item.get(*name) != Some(&Value::Null));
    let withheld = write_only
        .map(|attribute| &attribute.name)
        .chain(sealed_by_others);
    let names: Vec<&String> = withheld.collect();
    let present = names
        .into_iter()
        .filter_map(|name| item.remove_entry(name))
        .map(|(name, _)| name);
    denied.into_iter().chain(present).collect()
}
