//! An object whose content is returned inline: what its pointer allows, and its content from S3.

use bytes::Bytes;

use super::error::Error;
use crate::aws::S3;
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, Offload};
use crate::object::owner::Owner;
use crate::object::read::{self as object_read, Reading};

use super::view::View;

/// An object whose content is returned inline.
pub(super) struct InlineObject<'a> {
    pub(super) attribute: &'a str,
    offload: &'a Offload,
    pointer: Pointer,
}

/// An object that could not be read, possibly because it has been replaced.
pub(super) struct Unreadable<'a> {
    pub(super) object: &'a InlineObject<'a>,
    pub(super) error: Error,
}

impl InlineObject<'_> {
    /// The inline objects that a stored item points to. Malformed pointers are left out: `load` reports them.
    pub(super) fn all_of<'a>(view: &'a View, model: &'a Model, stored: &Item) -> Vec<InlineObject<'a>> {
        let mut objects: Vec<InlineObject<'_>> = Vec::new();
        for name in &view.include_objects {
            let attribute = model.attribute(name);
            let offload = attribute.and_then(|attribute| attribute.s3.as_ref());
            let pointer = stored.get(model.stored_name(name)).and_then(Pointer::from_value);
            if let (Some(offload), Some(pointer)) = (offload, pointer)
                && !objects.iter().any(|other| other.attribute == name)
            {
                objects.push(InlineObject {
                    attribute: name,
                    offload,
                    pointer,
                });
            }
        }
        objects
    }

    /// The size of the content according to the pointer.
    pub(super) fn size_bytes(&self) -> u64 {
        self.pointer.size_bytes
    }

    /// Where it is.
    pub(super) fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Whether both are the same object of the same attribute.
    pub(super) fn is_same(&self, other: &InlineObject<'_>) -> bool {
        self.attribute == other.attribute && self.pointer == other.pointer
    }

    /// Rejects, before any request to S3, objects that may not be read or that exceed `max_bytes`.
    pub(super) fn check(&self, owner: Owner<'_>, max_bytes: usize) -> Result<(), Error> {
        if !self.reading(owner).is_allowed() {
            return Err(Error::ForeignPointer {
                attribute: self.attribute.to_owned(),
            });
        }
        if self.pointer.size_bytes > max_bytes as u64 {
            return Err(Error::ObjectTooLarge {
                attribute: self.attribute.to_owned(),
                bytes: self.pointer.size_bytes,
            });
        }
        Ok(())
    }

    /// Reads the content, whose size has been checked. The outer error ends the read of the item; `Unreadable` may have another cause than damage.
    pub(super) async fn read<'a>(
        &'a self,
        s3: &S3,
        call: &Call,
        owner: Owner<'_>,
    ) -> Result<Result<(&'a str, Bytes), Unreadable<'a>>, Error> {
        match object_read::read(s3, call, self.reading(owner)).await {
            Ok(content) => Ok(Ok((self.attribute, content))),
            Err(error) => {
                let may_be_replaced = error.may_be_replaced();
                let error = Error::from_object(self.attribute, error);
                match may_be_replaced {
                    true => Ok(Err(Unreadable { object: self, error })),
                    false => Err(error),
                }
            }
        }
    }

    fn reading<'a>(&'a self, owner: Owner<'a>) -> Reading<'a> {
        Reading {
            owner,
            offload: self.offload,
            pointer: &self.pointer,
        }
    }
}
