//! Objects that a save keeps: the caller sends them back as it read them, without their data. An item may keep only a
//! pointer that it already holds, so the condition of the commit compares the whole stored pointer. The expected pointer is
//! built from the caller's fields. If the stored one differs (pydynox writes more fields, older versions wrote fewer), the
//! failed commit returns it and the next commit expects it.

use crate::fault::{Fault, Path};
use crate::item::Key;
use crate::item::check::names_stored_object;
use crate::item::pointer::Pointer;
use crate::model::{Attribute, ForeignPointers, Item, Model, Object, Value};
use crate::object::digest::sha256_hex;
use crate::object::owner::{Owner, offloads};

use super::conjunction::conjunction;
use super::error::Error;
use super::request::Condition;

/// PutItem requests of one save. Each after the first expects the stored pointers that the previous one returned.
pub(super) const MAX_COMMITS: usize = 3;
/// Bytes of one comparison in a condition, ` AND #kept10 = :kept10`, doubled as a safety margin.
const COMPARISON_BYTES: usize = 44;

/// Turns objects that the caller sends with unchanged data into objects to keep: the request has the stored object's
/// location, and the data has its size and SHA-256. An object with other data keeps its server-set fields, which
/// [`check_item`](crate::item::check::check_item) reports, because the caller may want either.
pub async fn keep_unchanged(mut item: Item) -> Item {
    for value in item.values_mut() {
        if let Value::Object(object) = value
            && names_stored_object(object)
            && let Some(data) = &object.data
            && data.len() as u64 == object.size_bytes
            && sha256_hex(data.clone()).await == object.sha256
        {
            object.data = None;
        }
    }
    item
}

/// The kept objects, by attribute, that the item must not keep: their location does not belong to the item, and the
/// attribute does not have `foreign_pointers: read`.
pub fn foreign_kept<'a>(model: &'a Model, item: &'a Item) -> Vec<(&'a str, &'a Object)> {
    let mut foreign = Vec::new();
    let Some(key) = Key::from_request(model, item) else {
        return foreign;
    };
    let owner = Owner { model, key: &key };
    for (attribute, offload) in offloads(model) {
        let Some(Value::Object(object)) = item.get(&attribute.name) else {
            continue;
        };
        let location = Pointer {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            ..Pointer::default()
        };
        let may_be_kept = offload.foreign_pointers == ForeignPointers::Read || owner.owns(offload, &location);
        if !object.is_new() && !may_be_kept {
            foreign.push((attribute.name.as_str(), &**object));
        }
    }
    foreign
}

/// The number of objects that a save of `item` keeps.
pub fn count_kept(item: &Item) -> usize {
    let is_kept = |value: &&Value| matches!(value, Value::Object(object) if !object.is_new());
    item.values().filter(is_kept).count()
}

/// The most bytes that `objects` kept objects add to the text of a condition.
pub fn condition_bytes(objects: usize) -> usize {
    objects * COMPARISON_BYTES
}

/// An object that the item keeps.
pub(super) struct KeptObject {
    pub(super) attribute: String,
    /// The attribute's name in DynamoDB.
    pub(super) stored_name: String,
    /// The caller's object.
    object: Object,
    /// The stored pointer, as far as it is known.
    pub(super) pointer: Value,
}

impl KeptObject {
    pub(super) fn new(attribute: &Attribute, object: Object, table: &str) -> KeptObject {
        let expected = Pointer {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            size_bytes: object.size_bytes,
            etag: object.etag.clone(),
            table: table.to_owned(),
            content_type: object.content_type.clone(),
            version_id: object.version_id.clone(),
            metadata: object.metadata.clone(),
            sha256: object.sha256.clone(),
            name: object.name.clone(),
            ..Pointer::default()
        };
        KeptObject {
            attribute: attribute.name.clone(),
            stored_name: attribute.stored_name.clone(),
            object,
            pointer: expected.to_value(),
        }
    }

    /// The error of an item that no longer holds the pointer.
    pub(super) fn changed(&self) -> Error {
        Error::ObjectChanged {
            attribute: self.attribute.clone(),
        }
    }

    fn altered(&self, field: &str) -> Error {
        let root = Path::Root("item");
        let path = Path::Name(&root, &self.attribute);
        let description = "must be as it was read to keep the stored object; send data to replace it";
        Error::Invalid(Fault::new(Path::Name(&path, field), description).into())
    }

    /// Takes over the stored pointer if it points to the caller's object. Returns whether it differs from the expected one.
    fn adopt(&mut self, stored: Option<&Value>) -> Result<bool, Error> {
        let (value, pointer) = stored
            .and_then(|value| Some((value, Pointer::from_value(value)?)))
            .ok_or_else(|| self.changed())?;
        let sent = &self.object;
        if (&pointer.bucket, &pointer.key, &pointer.etag) != (&sent.bucket, &sent.key, &sent.etag) {
            return Err(self.changed());
        }
        let differs = |sent: &String, stored: &String| !sent.is_empty() && sent != stored;
        let fields = [
            (
                "size",
                sent.size_bytes != 0 && sent.size_bytes != pointer.size_bytes,
            ),
            // the pointer to an encrypted object has no hash that could be compared
            (
                "sha256",
                pointer.mac.is_empty() && differs(&sent.sha256, &pointer.sha256),
            ),
            ("version_id", differs(&sent.version_id, &pointer.version_id)),
            ("name", differs(&sent.name, &pointer.name)),
            ("content_type", differs(&sent.content_type, &pointer.content_type)),
            (
                "metadata",
                !sent.metadata.is_empty() && sent.metadata != pointer.metadata,
            ),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, differs)| *differs) {
            return Err(self.altered(field));
        }
        let is_new = *value != self.pointer;
        self.pointer = value.clone();
        Ok(is_new)
    }
}

/// The caller's condition, extended by a comparison of each kept pointer.
pub(super) fn condition(condition: &Condition, kept: &[KeptObject]) -> Condition {
    let mut whole = condition.clone();
    let mut comparisons = Vec::with_capacity(kept.len());
    for (index, object) in kept.iter().enumerate() {
        let (name, value) = (format!("#kept{index}"), format!(":kept{index}"));
        comparisons.push(format!("{name} = {value}"));
        whole.names.insert(name, object.stored_name.clone());
        whole.values.insert(value, object.pointer.clone());
    }
    whole.text = conjunction(&whole.text, &comparisons);
    whole
}

/// Takes over the pointers of a stored item that failed the condition. Returns whether any of them was not known before,
/// so that another commit may succeed; if none was, the caller's own condition was not met.
pub(super) fn adopt(kept: &mut [KeptObject], stored: Option<&Item>) -> Result<bool, Error> {
    let mut is_new = false;
    for object in kept {
        let value = stored.and_then(|item| item.get(&object.stored_name));
        is_new |= object.adopt(value)?;
    }
    Ok(is_new)
}
