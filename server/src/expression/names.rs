//! Attribute names in rendered text and in faults.

use crate::fault::did_you_mean;
use crate::model::Model;

/// Maximum number of characters of a name in a fault.
const MAX_QUOTED_CHARS: usize = 64;

/// The name under which an attribute is stored. Undeclared attributes are stored under the name in the request.
pub(super) fn stored_name<'a>(model: &'a Model, attribute: &'a str) -> &'a str {
    model.stored_name(attribute)
}

/// The fault of an attribute that the model neither declares nor allows.
pub(super) fn no_attribute(model: &Model, name: &str) -> String {
    let known = model.attributes.iter().map(|attribute| attribute.name.as_str());
    format!(
        "{} has no attribute {}{}",
        model.name,
        quoted(name),
        did_you_mean(name, known)
    )
}

/// A name as faults show it: in quotes, and truncated if it is long.
pub(super) fn quoted(name: &str) -> String {
    match name.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}
