//! From a stored item to a caller's: the way back of [`store`](super::store). Reads leniently what is in plaintext (NULL
//! is absent, unknown attributes are kept, types are not checked) and strictly what was sealed: a value that does not
//! verify at its place is an error, and so is plaintext in a ciphertext's place.
//!
//! A value opens only under a key that its attribute names (`key_id`, `accepts`). Format `sealed` is always read;
//! `pydynox`, which is tied to nothing, only in attributes that accept it. With `allow_plaintext`, a value is taken as it
//! is if it does not begin as a ciphertext does; one that does begin so must open.
//!
//! What another model of the table encrypts and this one does not declare is withheld, whatever is stored there.

use futures::future::join_all;

use super::Key;
use super::pointer::Pointer;
use super::types::fits;
use crate::aws;
use crate::crypto::envelope::{self, Envelope, OpenError, Place};
use crate::crypto::{CallKeys, KeyIds};
use crate::model::{Attribute, AttributeType, Encryption, EncryptionMode, Item, Model, Value};

/// A caller's item.
#[derive(Debug, Default)]
pub struct Opened {
    /// The values, objects without their content.
    pub item: Item,
    /// Attributes that are there but may not be seen in plaintext, in the model's order; then those of other models.
    pub withheld: Vec<String>,
}

/// Why a stored item cannot be handed out; it spoils that item alone.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What is stored of an encrypted attribute is not a whole ciphertext of this place and of the attribute's type.
    #[error("{attribute} does not open: {problem}")]
    Ciphertext {
        /// The attribute.
        attribute: String,
        /// What is wrong with it.
        problem: CiphertextProblem,
    },
    /// A value was sealed under a key that its attribute does not name.
    #[error("{attribute} is sealed under a key that the model does not accept")]
    KeyNotAccepted {
        /// The attribute.
        attribute: String,
        /// The keys that were tried.
        tried: KeyIds,
    },
    /// What is stored of an object attribute does not point to an object.
    #[error("{attribute} does not point to an object")]
    Pointer {
        /// The attribute.
        attribute: String,
    },
    /// The item has ciphertexts, but no whole key, which they are tied to.
    #[error("the stored item has no key of a {model}")]
    Key {
        /// The model.
        model: String,
    },
    /// KMS did not open the data key, for a reason that is not the ciphertext's.
    #[error(transparent)]
    Kms(#[from] aws::Error),
}

/// What is wrong with a ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CiphertextProblem {
    /// The envelope.
    #[error(transparent)]
    Envelope(#[from] OpenError),
    /// The wrapped data key was changed, or belongs to another context.
    #[error("its data key does not open")]
    DataKey,
    /// It has a format that the attribute does not accept.
    #[error("its format is pydynox, which the attribute does not accept (`accept_formats`)")]
    Format,
    /// It verifies, but holds a value of another type than the attribute's.
    #[error("it holds a value of another type")]
    Type,
}

/// Opens a stored item. Only attributes in `wanted` are opened and handed out, where it is given; what is sealed opens
/// only where `stored` has the item's whole key, wanted or not. Asks KMS once per distinct data key of the call, the
/// fields side by side, and not at all where one of them is no ciphertext anyway.
///
/// # Errors
///
/// See [`LoadError`].
pub async fn open(
    model: &Model,
    stored: Item,
    keys: &CallKeys,
    wanted: Option<&[String]>,
) -> Result<Opened, LoadError> {
    let place = place(model, &stored);
    let mut item = wanted_values(stored, wanted);
    item.retain(|name, value| *value != Value::Null || model.attribute(name).is_none());
    let withheld = withhold(model, &mut item);
    let sealed = read_envelopes(model, &item)?;
    if !sealed.is_empty() {
        open_all(model, &sealed, &place?, keys, &mut item).await?;
    }
    resolve_pointers(model, &mut item)?;
    Ok(Opened { item, withheld })
}

/// One ciphertext of the item, taken apart.
struct Sealed<'a> {
    attribute: &'a Attribute,
    encryption: &'a Encryption,
    envelope: Envelope,
}

impl Sealed<'_> {
    fn refused(&self, problem: impl Into<CiphertextProblem>) -> LoadError {
        refused(self.attribute, problem)
    }
}

fn place(model: &Model, stored: &Item) -> Result<Place, LoadError> {
    let place =
        Key::of_item(model, stored).and_then(|key| Place::new(&model.table, key.partition(), key.sort()));
    place.ok_or_else(|| LoadError::Key {
        model: model.name.clone(),
    })
}

fn wanted_values(mut stored: Item, wanted: Option<&[String]>) -> Item {
    if let Some(wanted) = wanted {
        stored.retain(|name, _| wanted.contains(name));
    }
    stored
}

/// Takes out what may not be opened.
fn withhold(model: &Model, item: &mut Item) -> Vec<String> {
    let write_only = model.attributes.iter().filter(|attribute| {
        attribute
            .encrypted
            .as_ref()
            .is_some_and(|encryption| encryption.mode == EncryptionMode::WriteOnly)
    });
    let of_others = model
        .sealed_by_others
        .iter()
        .filter(|name| item.get(*name) != Some(&Value::Null));
    let withheld = write_only.map(|attribute| &attribute.name).chain(of_others);
    let names: Vec<&String> = withheld.collect();
    names
        .into_iter()
        .filter_map(|name| item.remove_entry(name))
        .map(|(name, _)| name)
        .collect()
}

/// Takes every ciphertext apart before KMS is asked for any.
fn read_envelopes<'a>(model: &'a Model, item: &Item) -> Result<Vec<Sealed<'a>>, LoadError> {
    let mut sealed = Vec::new();
    for attribute in &model.attributes {
        let Some(encryption) = &attribute.encrypted else {
            continue;
        };
        let Some(value) = item.get(&attribute.name) else {
            continue;
        };
        match Envelope::read(value) {
            Ok(envelope) if !encryption.reads(envelope.format()) => {
                return Err(refused(attribute, CiphertextProblem::Format));
            }
            Ok(envelope) => sealed.push(Sealed {
                attribute,
                encryption,
                envelope,
            }),
            Err(problem) if encryption.allow_plaintext && is_plaintext(attribute.kind, problem) => {}
            Err(problem) => return Err(refused(attribute, problem)),
        }
    }
    Ok(sealed)
}

/// Whether what does not begin as a ciphertext may be a plaintext of the attribute: bytes with another format id
/// only where the attribute holds bytes.
fn is_plaintext(kind: AttributeType, problem: OpenError) -> bool {
    match problem {
        OpenError::NotSealed => true,
        OpenError::UnknownFormat(_) => kind == AttributeType::Binary,
        OpenError::Layout | OpenError::Commitment | OpenError::Forged | OpenError::Plaintext => false,
    }
}

/// Opens the fields side by side, each to its end: a failed one does not cut off a `Decrypt` that other items of the
/// call wait for.
async fn open_all(
    model: &Model,
    sealed: &[Sealed<'_>],
    place: &Place,
    keys: &CallKeys,
    item: &mut Item,
) -> Result<(), LoadError> {
    let values = join_all(sealed.iter().map(|sealed| open_one(model, sealed, place, keys))).await;
    for (Sealed { attribute, .. }, value) in sealed.iter().zip(values) {
        match value? {
            Value::Null => item.remove(&attribute.name),
            value => item.insert(attribute.name.clone(), value),
        };
    }
    Ok(())
}

async fn open_one(
    model: &Model,
    sealed: &Sealed<'_>,
    place: &Place,
    keys: &CallKeys,
) -> Result<Value, LoadError> {
    let Sealed {
        attribute,
        encryption,
        envelope,
    } = sealed;
    let context = envelope::context(envelope.format(), &encryption.context, &model.table);
    let key_ids = encryption.key_ids().cloned().collect();
    let key = keys
        .open(envelope.wrapped_key(), &context, key_ids)
        .await
        .map_err(|error| of_kms(sealed, error))?;
    let value = envelope
        .open(&key, place, &attribute.name)
        .map_err(|problem| sealed.refused(problem))?;
    let is_of_type = match attribute.kind {
        // what is stored of an object is its pointer
        AttributeType::Object => matches!(value, Value::M(_)),
        kind => fits(kind, &value),
    };
    if is_of_type || value == Value::Null {
        Ok(value)
    } else {
        Err(sealed.refused(CiphertextProblem::Type))
    }
}

/// A wrapped key that KMS cannot read is damaged, one of another key is not accepted; what else KMS says is about the
/// key or the service.
fn of_kms(sealed: &Sealed<'_>, error: aws::Error) -> LoadError {
    match error.kind {
        aws::Kind::InvalidCiphertext | aws::Kind::UnknownKey => sealed.refused(CiphertextProblem::DataKey),
        aws::Kind::IncorrectKey => LoadError::KeyNotAccepted {
            attribute: sealed.attribute.name.clone(),
            tried: sealed.encryption.key_ids().cloned().collect(),
        },
        aws::Kind::Missing { .. }
        | aws::Kind::KeyUnusable
        | aws::Kind::ConditionFailed { .. }
        | aws::Kind::Throttled
        | aws::Kind::Denied
        | aws::Kind::TooLarge
        | aws::Kind::Refused
        | aws::Kind::Unavailable
        | aws::Kind::OutcomeUnknown
        | aws::Kind::Deadline { .. } => LoadError::Kms(error),
    }
}

fn resolve_pointers(model: &Model, item: &mut Item) -> Result<(), LoadError> {
    for attribute in model
        .attributes
        .iter()
        .filter(|attribute| attribute.kind == AttributeType::Object)
    {
        let Some(value) = item.get_mut(&attribute.name) else {
            continue;
        };
        let pointer = Pointer::from_value(value);
        let pointer = pointer.ok_or_else(|| LoadError::Pointer {
            attribute: attribute.name.clone(),
        })?;
        *value = Value::Object(Box::new(pointer.to_object()));
    }
    Ok(())
}

fn refused(attribute: &Attribute, problem: impl Into<CiphertextProblem>) -> LoadError {
    LoadError::Ciphertext {
        attribute: attribute.name.clone(),
        problem: problem.into(),
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
