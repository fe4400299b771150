//! Attribute names in rendered text and in faults.

use crate::fault::did_you_mean;
use crate::model::{Model, REMEMBERED_REQUEST, UnknownAttributes};

/// Maximum number of characters of a name in a fault.
const MAX_QUOTED_CHARS: usize = 64;

/// The name under which an attribute is stored. Undeclared attributes are stored under the name in the request.
pub(super) fn stored_name<'a>(model: &'a Model, attribute: &'a str) -> &'a str {
    model.stored_name(attribute)
}

/// The fault of a name that the model does not declare, unless it allows undeclared attributes.
pub(super) fn undeclared(model: &Model, name: &str) -> Option<String> {
    if name == REMEMBERED_REQUEST {
        return Some(format!("{} is reserved", quoted(name)));
    }
    let is_refused = model.unknown_attributes == UnknownAttributes::Reject;
    is_refused.then(|| no_attribute(model, name))
}

/// The fault of an attribute that the model neither declares nor allows.
fn no_attribute(model: &Model, name: &str) -> String {
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
