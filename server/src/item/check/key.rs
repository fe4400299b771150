//! Keys in requests: given as key attributes, as the parts that their templates are built from, or as both. Values are in
//! their stored form.

use super::value::REQUIRED;
use crate::fault::{Faults, Path};
use crate::item::Key;
use crate::model::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use crate::model::{Attribute, AttributeType, Index, Item, Model, Template, TemplateError, Value};

/// The key of a request that has just the key attributes, if there is nothing to convert, to build or to refuse. Other
/// values are returned as they are.
pub(super) fn plain(model: &Model, given: Item) -> Result<Key, Item> {
    let is_plain = model.key_names().count() == given.len()
        && given.iter().all(|(name, value)| {
            let attribute = model.attribute(name).filter(|_| model.is_key(name));
            let attribute = attribute.filter(|attribute| attribute.template.is_none());
            attribute.is_some_and(|attribute| is_plain(model, attribute, value))
        });
    if !is_plain {
        return Err(given);
    }
    Key::from_attributes(model, given).ok_or_else(Item::new)
}

/// Whether a value is a valid key as it is.
fn is_plain(model: &Model, attribute: &Attribute, value: &Value) -> bool {
    let has_type = matches!(
        (attribute.kind, value),
        (AttributeType::String, Value::S(_))
            | (AttributeType::Number, Value::N(_))
            | (AttributeType::Binary, Value::B(_))
    );
    let max_bytes = max_key_bytes(model, attribute);
    has_type && length(value).is_none_or(|bytes| (1..=max_bytes).contains(&bytes))
}

/// Whether the attribute is a part of one of the table's keys.
pub(super) fn is_key_part(model: &Model, name: &str) -> bool {
    key_templates(model).any(|(_, template)| template.has_part(name))
}

/// Takes the given keys apart, and adds the parts that are not given. `invalid` are the attributes with faults.
pub(super) fn take_apart(
    model: &Model,
    item: &mut Item,
    root: Path<'_>,
    invalid: &mut Vec<String>,
    faults: &mut Faults,
) {
    for (attribute, template) in key_templates(model) {
        let Some(Value::S(key)) = item.get(&attribute.name) else {
            continue;
        };
        match template.take_apart(key) {
            Some(parts) => {
                for (part, value) in parts {
                    if !invalid.contains(&part) {
                        item.entry(part).or_insert(value);
                    }
                }
            }
            None => {
                invalid.push(attribute.name.clone());
                faults.push(
                    Path::Name(&root, &attribute.name),
                    format_args!("must match its template {}", template.as_str()),
                );
            }
        }
    }
}

/// Builds the templated keys of the table, and compares them with those that are given. Returns the names of those that
/// were not given.
pub(super) fn build<'m>(
    model: &'m Model,
    item: &mut Item,
    root: Path<'_>,
    invalid: &mut Vec<String>,
    faults: &mut Faults,
) -> Vec<&'m str> {
    let mut built = Vec::new();
    for (attribute, template) in key_templates(model) {
        let name = attribute.name.as_str();
        if is_invalid(name, invalid) || has_invalid_part(template, invalid) {
            continue;
        }
        let key = template.build(|part| item.get(part));
        match (key, item.get(name)) {
            (Ok(key), Some(given)) => {
                if *given != Value::S(key) {
                    faults.push(
                        Path::Name(&root, name),
                        format_args!(
                            "must be what its template {} makes of the other attributes",
                            template.as_str()
                        ),
                    );
                }
            }
            (Ok(key), None) => {
                item.insert(name.to_owned(), Value::S(key));
                built.push(name);
            }
            // the key does not have the whole part
            (Err(TemplateError::Missing { .. }), Some(_)) => {}
            (Err(TemplateError::Missing { attribute }), None) => {
                let path = Path::Name(&root, &attribute);
                if !faults.iter().any(|fault| fault.field == path.to_string()) {
                    faults.push(path, REQUIRED);
                }
            }
            (Err(TemplateError::Invalid { attribute, problem }), _) => {
                faults.push(Path::Name(&root, &attribute), problem);
                invalid.push(attribute);
            }
        }
    }
    built
}

/// Whether a part of the template has a fault already.
pub(super) fn has_invalid_part(template: &Template, invalid: &[String]) -> bool {
    template.parts().any(|part| is_invalid(part.attribute(), invalid))
}

fn is_invalid(name: &str, invalid: &[String]) -> bool {
    invalid.iter().any(|invalid| invalid == name)
}

fn key_templates(model: &Model) -> impl Iterator<Item = (&Attribute, &Template)> {
    let keys = model.key_names().filter_map(|name| model.attribute(name));
    keys.filter_map(|attribute| Some((attribute, attribute.template.as_ref()?)))
}

fn max_key_bytes(model: &Model, attribute: &Attribute) -> usize {
    if attribute.name == model.partition_key {
        MAX_PARTITION_KEY_BYTES
    } else {
        MAX_SORT_KEY_BYTES
    }
}

/// Checks the size of a key of the table.
pub(super) fn check_key_size(
    model: &Model,
    attribute: &Attribute,
    value: &Value,
    path: Path<'_>,
    faults: &mut Faults,
) {
    let max_bytes = max_key_bytes(model, attribute);
    match length(value) {
        Some(0) => faults.push(path, "must not be empty: it is a key"),
        Some(bytes) if bytes > max_bytes => faults.push(
            path,
            format_args!("must have at most {max_bytes} bytes: it is a key"),
        ),
        Some(_) | None => {}
    }
}

/// Checks the keys of the secondary indexes that the item has. An item without one is not in the index.
pub(super) fn check_index_keys(model: &Model, item: &Item, root: Path<'_>, faults: &mut Faults) {
    let mut checked: Vec<&str> = Vec::new();
    for name in model.indexes.iter().flat_map(Index::key_names) {
        if checked.contains(&name) {
            continue;
        }
        checked.push(name);
        // null is refused where it is given
        let value = item.get(name).filter(|value| **value != Value::Null);
        if let Some(problem) = value.and_then(|value| model.index_key_problem(name, value)) {
            faults.push(Path::Name(&root, name), problem);
        }
    }
}

/// Bytes of a string or binary; other keys have no length limit.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::S(text) => Some(text.len()),
        Value::B(bytes) => Some(bytes.len()),
        Value::N(_)
        | Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => None,
    }
}
