//! Attribute names in rendered text and in faults.

use crate::fault::did_you_mean;
use crate::model::{Attribute, ITEM_SEAL, Model, REMEMBERED_REQUEST, UnknownAttributes};

/// Maximum number of characters of a name in a fault.
const MAX_QUOTED_CHARS: usize = 64;

/// The name under which an attribute is stored. Undeclared attributes are stored under the name in the request.
pub(super) fn stored_name<'a>(model: &'a Model, attribute: &'a str) -> &'a str {
    model.stored_name(attribute)
}

/// Why no expression can use the name of an attribute that the model does not declare, if that is so: the model rejects
/// such names, or the name is the stored name of another attribute, which would bypass the options of that attribute.
pub(super) fn undeclared(model: &Model, name: &str) -> Option<String> {
    if name == REMEMBERED_REQUEST || name == ITEM_SEAL {
        return Some(format!("{} is reserved", quoted(name)));
    }
    if model.unknown_attributes == UnknownAttributes::Reject {
        return Some(no_attribute(model, name));
    }
    model.stored_attribute(name).map(stored_name_refusal)
}

/// Why no expression can use the fields that steps below an attribute lead to, like [`undeclared`]. A step
/// without a name is an index.
pub(super) fn undeclared_field<'s>(
    model: &Model,
    attribute: &Attribute,
    steps: impl IntoIterator<Item = Option<&'s str>>,
) -> Option<String> {
    let mut map = attribute;
    for step in steps {
        let Some(name) = step else {
            map = map.items.as_deref()?;
            continue;
        };
        if map.attributes.is_empty() {
            return None;
        }
        let Some(field) = map.attribute(name) else {
            let unknown = map.nested_unknown.unwrap_or(model.unknown_attributes);
            if unknown == UnknownAttributes::Reject {
                let known = map.attributes.iter().map(|field| field.name.as_str());
                let (name, near) = (quoted(name), did_you_mean(name, known));
                return Some(format!("{name} is not a declared field of the map{near}"));
            }
            return map.stored_attribute(name).map(stored_name_refusal);
        };
        map = field;
    }
    None
}

fn stored_name_refusal(attribute: &Attribute) -> String {
    let (stored_name, name) = (quoted(&attribute.stored_name), &attribute.name);
    format!("{stored_name} is the stored name of `{name}`: use that name")
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
