//! Values that were offloaded to S3: a stored item has a pointer in their place, until its content is put there.

use bytes::Bytes;

use super::pointer::Pointer;
use crate::model::{Attribute, AttributeType, EncryptionMode, Item, Model, Value};

/// Whether the values of an attribute may not be decrypted, or not be read by the caller.
pub fn is_withheld(attribute: &Attribute) -> bool {
    let encryption = attribute.encrypted.as_ref();
    attribute.withheld || encryption.is_some_and(|encryption| encryption.mode == EncryptionMode::WriteOnly)
}

/// Removes the pointers to values that were offloaded. Returns the values whose content was put in place of its pointer.
pub(super) fn take_offloaded(model: &Model, item: &mut Item) -> Vec<(String, Value)> {
    let mut offloaded = Vec::new();
    let offloading = model.attributes.iter();
    for attribute in offloading.filter(|attribute| attribute.offloads_values()) {
        let is_offloaded = |value: &Value| match value {
            Value::Object(_) => true,
            value => Pointer::from_value(value).is_some_and(|pointer| pointer.kind.is_some()),
        };
        if !item.get(&attribute.name).is_some_and(is_offloaded) {
            continue;
        }
        let Some((name, Value::Object(object))) = item.remove_entry(&attribute.name) else {
            continue;
        };
        let value = object
            .data
            .and_then(|content| offloaded_value(attribute.kind, content));
        offloaded.extend(value.filter(|_| !attribute.hidden).map(|value| (name, value)));
    }
    offloaded
}

/// The value with this content; `None` if it is none of the type.
fn offloaded_value(kind: AttributeType, content: Bytes) -> Option<Value> {
    match kind {
        AttributeType::Binary => Some(Value::B(content)),
        _ => String::from_utf8(content.into()).ok().map(Value::S),
    }
}
