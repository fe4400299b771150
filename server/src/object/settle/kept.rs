//! Objects that a save keeps: read from the item and sent back without their content. The item may hold only a pointer
//! that it holds already, so the commit's condition compares the whole stored pointer. The pointer that is expected is made
//! of what the caller sent; if the stored one has more (fields of pydynox, or fewer of an older version), the refused
//! commit shows it, and the next one keeps it as it is.

use crate::item::pointer::Pointer;
use crate::model::{Item, Object, Value};

use super::Condition;

/// Commits of one save: each one after the first knows the stored pointers from the refusal before.
pub(super) const COMMITS: usize = 3;
/// Bytes of one object's comparison: ` AND #kept10 = :kept10`, and as much again to be safe.
const COMPARISON_BYTES: usize = 44;

/// An object that stays as it is.
pub(super) struct Kept {
    pub(super) attribute: String,
    /// As the caller sent it.
    object: Object,
    /// What is stored, as far as it is known.
    pub(super) pointer: Value,
}

/// Why an object cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// The item points to another object by now, or to none.
    #[error("{attribute} points to another object by now")]
    Changed {
        /// The attribute.
        attribute: String,
    },
    /// The caller says something else of it than what is stored.
    #[error("{attribute}.{field} differs from the stored object's")]
    Altered {
        /// The attribute.
        attribute: String,
        /// What differs.
        field: &'static str,
    },
}

impl Kept {
    pub(super) fn new(attribute: &str, object: Object, table: &str) -> Kept {
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
        };
        Kept {
            attribute: attribute.to_owned(),
            object,
            pointer: expected.to_value(),
        }
    }

    fn changed(&self) -> KeptError {
        KeptError::Changed {
            attribute: self.attribute.clone(),
        }
    }

    /// Takes over what is stored, if it is the object that the caller means; whether it differs from what was expected.
    fn adopt(&mut self, stored: Option<&Value>) -> Result<bool, KeptError> {
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
            ("sha256", differs(&sent.sha256, &pointer.sha256)),
            ("version_id", differs(&sent.version_id, &pointer.version_id)),
            ("name", differs(&sent.name, &pointer.name)),
            ("content_type", differs(&sent.content_type, &pointer.content_type)),
            (
                "metadata",
                !sent.metadata.is_empty() && sent.metadata != pointer.metadata,
            ),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, differs)| *differs) {
            return Err(KeptError::Altered {
                attribute: self.attribute.clone(),
                field,
            });
        }
        let is_new = *value != self.pointer;
        self.pointer = value.clone();
        Ok(is_new)
    }
}

/// What must hold for the item as it is: what the caller says, and that it has the pointers that are kept.
pub(super) fn condition(condition: &Condition, kept: &[Kept]) -> Condition {
    let mut whole = condition.clone();
    for (index, object) in kept.iter().enumerate() {
        let (name, value) = (format!("#kept{index}"), format!(":kept{index}"));
        let comparison = format!("{name} = {value}");
        whole.text = match (whole.text.as_str(), index) {
            ("", _) => comparison,
            (text, 0) => format!("({text}) AND {comparison}"),
            (text, _) => format!("{text} AND {comparison}"),
        };
        whole.names.insert(name, object.attribute.clone());
        whole.values.insert(value, object.pointer.clone());
    }
    whole
}

/// Bytes that so many kept objects add to the text of a condition at most.
pub fn condition_bytes(objects: usize) -> usize {
    objects * COMPARISON_BYTES
}

/// Compares what is kept with the item as it is, after a commit was refused: whether something of it was not known before,
/// so that another commit may succeed. If nothing was, the caller's own condition was not met.
pub(super) fn adopt(kept: &mut [Kept], stored: Option<&Item>) -> Result<bool, KeptError> {
    let mut is_new = false;
    for object in kept {
        let value = stored.and_then(|item| item.get(&object.attribute));
        is_new |= object.adopt(value)?;
    }
    Ok(is_new)
}
