//! Checks which object attribute a request names, and whether this server may read it.

use std::fmt;

use super::error::{Error, shorten};
use crate::fault::{Fault, Faults, did_you_mean};
use crate::model::{Attribute, AttributeType, EncryptionMode, Model, Offload};

/// The S3 options of an object attribute.
pub(super) fn check_object(model: &Model, name: &str) -> Result<Offload, Faults> {
    check_attribute(model, name, |attribute| attribute.kind == AttributeType::Object)
}

/// The S3 options of an object attribute, or of one whose values may be offloaded.
pub(super) fn check_in_s3(model: &Model, name: &str) -> Result<Offload, Faults> {
    check_attribute(model, name, |attribute| attribute.s3.is_some())
}

fn check_attribute(
    model: &Model,
    name: &str,
    is_accepted: impl Fn(&Attribute) -> bool,
) -> Result<Offload, Faults> {
    let is_object = |attribute: &&Attribute| is_accepted(attribute);
    let found = model.attribute(name).filter(is_object);
    if let Some(offload) = found.and_then(|attribute| attribute.s3.clone()) {
        return Ok(offload);
    }
    let fault = match name.is_empty() {
        true => Fault::new("attribute", "is required: the name of an object attribute"),
        false => Fault::new("attribute", not_an_object(model, name, is_object)),
    };
    Err(fault.into())
}

/// Describes a name that is not one of the attributes that are accepted as objects.
pub(super) fn not_an_object(
    model: &Model,
    name: &str,
    is_object: impl Fn(&&Attribute) -> bool,
) -> impl fmt::Display {
    fmt::from_fn(move |formatter| {
        let objects = model.attributes.iter().filter(&is_object);
        let near = did_you_mean(name, objects.map(|attribute| attribute.name.as_str()));
        write!(
            formatter,
            "{:?} is not an object attribute of {}{near}",
            shorten(name),
            model.name
        )
    })
}

/// Refuses an attribute that this server may only write.
pub(super) fn check_mode(model: &Model, name: &str) -> Result<(), Error> {
    let attribute = model.attribute(name);
    let encryption = attribute.and_then(|attribute| attribute.encrypted.as_ref());
    match encryption {
        Some(encryption) if encryption.mode == EncryptionMode::WriteOnly => Err(Error::Mode(
            Fault::new("attribute", "is write_only: this server may not read it").into(),
        )),
        Some(_) | None => Ok(()),
    }
}
