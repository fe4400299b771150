//! Checks which parts of an item a read asks for: `fields` and `include_objects`.

use super::object_attribute::not_an_object;
use crate::expression::{self, Placeholders, Projection, ReadScope};
use crate::fault::{Faults, Path};
use crate::model::{Attribute, AttributeType, Model};

/// The projection to `fields` and the objects that are returned inline; `None`: whole items.
pub(super) fn check_fields(
    model: &Model,
    fields: &[String],
    include_objects: &[String],
    placeholders: &mut Placeholders,
) -> Result<Option<Projection>, Faults> {
    if fields.is_empty() {
        return Ok(None);
    }
    expression::projection(
        &ReadScope::table(model),
        fields,
        include_objects,
        "fields",
        placeholders,
    )
    .map(Some)
}

/// Checks `include_objects` against the model. Returns each name once, however often the request has it.
pub(super) fn check_include_objects(
    model: &Model,
    include_objects: &[String],
) -> Result<Vec<String>, Faults> {
    let root = Path::Root("include_objects");
    let is_object = |attribute: &&Attribute| attribute.kind == AttributeType::Object;
    let mut faults = Faults::new();
    let mut included: Vec<String> = Vec::new();
    for (index, name) in include_objects.iter().enumerate() {
        let path = Path::Index(&root, index);
        if model.attribute(name).as_ref().is_some_and(is_object) {
            if !included.contains(name) {
                included.push(name.clone());
            }
            continue;
        }
        faults.push(path, not_an_object(model, name, is_object));
    }
    faults.into_result().map(|()| included)
}
