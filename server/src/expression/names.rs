//! Attribute names in rendered text and in faults.

use crate::fault::did_you_mean;
use crate::model::Model;

/// Characters of a name that a fault shows.
const MAX_QUOTED_CHARS: usize = 64;

/// The name under which an attribute of the model is stored; other attributes are stored under their own.
pub(super) fn stored_name<'a>(model: &'a Model, attribute: &'a str) -> &'a str {
    model
        .attribute(attribute)
        .map_or(attribute, |declared| declared.name.as_str())
}

/// What a fault says of an attribute that the model neither has nor allows.
pub(super) fn no_attribute(model: &Model, name: &str) -> String {
    let known = model.attributes.iter().map(|attribute| attribute.name.as_str());
    format!(
        "{} has no attribute {}{}",
        model.name,
        quoted(name),
        did_you_mean(name, known)
    )
}

/// A name as faults show it.
pub(super) fn quoted(name: &str) -> String {
    match name.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}
