//! An object whose content is returned inline, or an offloaded value: what its pointer allows, and its content from S3.

use super::error::Error;
use super::view::View;
use crate::aws::S3;
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::item::offloaded::is_withheld;
use crate::item::pointer::{OffloadedKind, Pointer};
use crate::model::{Attribute, Item, Model, Offload, Value};
use crate::object::owner::{Owner, offloads};
use crate::object::read::{self as object_read, Content, ReadError, Reading, Sealing};

/// An object whose content is returned inline, or in place of which its content is returned.
pub(super) struct InlineObject<'a> {
    pub(super) attribute: &'a str,
    declared: &'a Attribute,
    offload: &'a Offload,
    pointer: Pointer,
}

/// An object that could not be read, possibly because it has been replaced.
pub(super) struct Unreadable<'a> {
    pub(super) object: &'a InlineObject<'a>,
    pub(super) error: Error,
}

impl InlineObject<'_> {
    /// The inline objects that a stored item points to, and the values of it that were offloaded. Malformed pointers are left
    /// out: `load` reports them.
    pub(super) fn all_of<'a>(view: &'a View, model: &'a Model, stored: &Item) -> Vec<InlineObject<'a>> {
        let mut objects: Vec<InlineObject<'_>> = Vec::new();
        for (attribute, offload) in offloads(model) {
            let Some(pointer) = stored.get(&attribute.stored_name).and_then(Pointer::from_value) else {
                continue;
            };
            let is_returned = match pointer.kind {
                None => view.include_objects.contains(&attribute.name),
                Some(_) => view.reads(attribute),
            };
            if is_returned && attribute.is_offloaded(pointer.kind.is_some()) && !is_withheld(attribute) {
                objects.push(InlineObject {
                    attribute: &attribute.name,
                    declared: attribute,
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
        if !self.reading(owner, None).is_allowed() {
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
        keys: &CallKeys,
    ) -> Result<Result<(&'a InlineObject<'a>, Content), Unreadable<'a>>, Error> {
        match object_read::read(s3, call, self.reading(owner, Some(keys))).await {
            Ok(content) => Ok(Ok((self, content))),
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

    /// Puts the content that was read into the opened item.
    pub(super) fn put(&self, item: &mut Item, content: Content) -> Result<(), Error> {
        let value = match self.pointer.kind {
            None => {
                if let Some(Value::Object(object)) = item.get_mut(self.attribute) {
                    object.data = Some(content.bytes);
                    if let Some(sha256) = content.sha256.filter(|_| object.sha256.is_empty()) {
                        object.sha256 = sha256;
                    }
                }
                return Ok(());
            }
            Some(OffloadedKind::Binary) => Value::B(content.bytes),
            Some(OffloadedKind::String) => {
                let text = String::from_utf8(content.bytes.into()).map_err(|_| {
                    let description = "the offloaded string is not UTF-8".to_owned();
                    Error::from_object(self.attribute, ReadError::Invalid { description })
                })?;
                Value::S(text)
            }
        };
        item.insert(self.attribute.to_owned(), value);
        Ok(())
    }

    fn reading<'a>(&'a self, owner: Owner<'a>, keys: Option<&'a CallKeys>) -> Reading<'a> {
        let encryption = self.declared.encrypted.as_ref();
        Reading {
            owner,
            offload: self.offload,
            pointer: &self.pointer,
            sealing: encryption.zip(keys).map(|(encryption, keys)| Sealing {
                attribute: &self.declared.stored_name,
                encryption,
                keys,
            }),
        }
    }
}
