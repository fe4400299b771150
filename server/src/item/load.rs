//! Builds a caller's item from a stored one: the inverse of [`store`](super::store). Lenient with plaintext: NULL means
//! absent, unknown attributes are kept, a value of another type is returned as it is stored, and one that does not
//! decompress is left out. Strict with ciphertexts: a ciphertext that fails
//! authentication for its item and attribute is an error, and so is plaintext in an encrypted attribute. Never returns a
//! value that failed authentication.
//!
//! A value is decrypted only with a KMS key that its attribute names (`key_id`, `accepts`). Format `sealed` is always
//! accepted; `pydynox`, which is not bound to an item, only in attributes that accept it. With `allow_plaintext`, a value
//! that does not start like a ciphertext is returned unchanged; one that does must decrypt.
//!
//! A value that was offloaded to S3 is left out, unless its content has been put in place of its pointer.
//!
//! An attribute that another model of the table encrypts and this model does not declare is withheld, whatever its value.
//! So is one that the view of the model withholds from its caller: it is taken out before anything is decrypted.

mod steps;

use futures::future::{join, join_all};

pub use self::steps::readable;
use self::steps::{add_parts, keep_wanted, named_values, parts_of_keys, withhold};
use super::Key;
use super::compress::{DecompressError, MAX_BYTES, MAX_INLINE_BYTES, decompress, is_compressed};
use super::offloaded::take_offloaded;
use super::pointer::Pointer;
use super::protect::{Extent, Verification, VerifyError, verification};
use super::tenant;
use crate::aws;
use crate::call::Call;
use crate::crypto::envelope::{self, Envelope, OpenError, Place};
use crate::crypto::{CallKeys, KeyIds, UnwrapError};
use crate::model::{Attribute, AttributeType, Encryption, ITEM_SEAL, Item, Model, Value};

/// A stored item, opened for a caller.
#[derive(Debug, Default)]
pub struct Opened {
    /// The values; objects without data.
    pub item: Item,
    /// Stored attributes that the caller may not see: those of this model in its order, then those of other models.
    pub withheld: Vec<String>,
    /// Attributes that could not be read; they are not in the item.
    pub unreadable: Vec<UnreadableAttribute>,
    /// Whether the model protects items as a whole, but this one could not be verified.
    pub unverified: bool,
}

/// An attribute that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableAttribute {
    /// The attribute.
    pub attribute: String,
    /// The cause.
    pub problem: DecompressError,
}

/// Why a stored item cannot be returned. Other items are not affected.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The stored value of an encrypted attribute is not a valid ciphertext for its item, attribute and type.
    #[error("cannot decrypt {attribute}: {problem}")]
    Ciphertext {
        /// The attribute.
        attribute: String,
        /// The cause.
        problem: CiphertextProblem,
    },
    /// A value is encrypted under a KMS key that its attribute does not name.
    #[error("{attribute} is encrypted under a key that the model does not accept")]
    KeyNotAccepted {
        /// The attribute.
        attribute: String,
        /// The keys that were tried.
        tried: KeyIds,
    },
    /// The stored value of an object attribute is not a pointer.
    #[error("{attribute} is not a pointer to an object")]
    Pointer {
        /// The attribute.
        attribute: String,
    },
    /// The item has ciphertexts but lacks key attributes, to which ciphertexts are bound.
    #[error("stored item lacks {model}'s key attributes")]
    Key {
        /// The model.
        model: String,
    },
    /// The item is not the one that was written.
    #[error(transparent)]
    Unverified(VerifyError),
    /// KMS did not decrypt the data key, for a reason other than an invalid ciphertext.
    #[error(transparent)]
    Kms(#[from] aws::Error),
}

impl Opened {
    /// Records what is withheld for the audit log.
    pub fn record(&self, call: &Call) {
        if let Some(record) = call.audit() {
            record.add_withheld(self.withheld.iter().map(String::as_str));
        }
    }
}

impl From<VerifyError> for LoadError {
    fn from(error: VerifyError) -> LoadError {
        match error {
            VerifyError::Seal(_) => LoadError::Unverified(error),
            VerifyError::KeyNotAccepted { tried } => LoadError::KeyNotAccepted {
                attribute: ITEM_SEAL.to_owned(),
                tried,
            },
            VerifyError::Kms(error) => LoadError::Kms(error),
        }
    }
}

/// Why a ciphertext is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CiphertextProblem {
    /// The envelope is malformed or fails authentication.
    #[error(transparent)]
    Envelope(#[from] OpenError),
    /// The wrapped data key is corrupt or was generated for another encryption context.
    #[error("KMS cannot decrypt its data key")]
    DataKey,
    /// The attribute does not accept the format.
    #[error("format pydynox is not in the attribute's `accept_formats`")]
    Format,
    /// The decrypted value does not match the attribute's type.
    #[error("decrypted value does not match the attribute's type")]
    Type,
}

/// Opens a stored item. If `wanted` is set, only those attributes are decrypted and returned. To decrypt any, `stored` must
/// have the item's key attributes, wanted or not. Sends KMS one request per distinct data key of the call, in parallel,
/// and none for values if any of the ciphertexts is malformed. Verifies the item's seal if `extent` says that it can be.
///
/// # Errors
///
/// See [`LoadError`].
pub async fn open(
    model: &Model,
    stored: Item,
    keys: &CallKeys,
    wanted: Option<&[String]>,
    extent: Extent,
) -> Result<Opened, LoadError> {
    let stored = match open_at_once(model, stored, wanted, extent) {
        Ok(opened) => return Ok(opened),
        Err(stored) => stored,
    };
    let pending = verification(model, &stored, wanted, extent).check(model, &stored)?;
    // a failure does not cancel a `Decrypt` that other items of the call wait for
    let (unverified, opened) = join(pending.run(model, keys), open_values(model, stored, keys, wanted)).await;
    Ok(Opened {
        unverified: unverified?,
        ..opened?
    })
}

/// Opens the values of a stored item.
async fn open_values(
    model: &Model,
    stored: Item,
    keys: &CallKeys,
    wanted: Option<&[String]>,
) -> Result<Opened, LoadError> {
    // add-a-model-option: decode its values
    let is_encrypted =
        |attribute: &Attribute| has_ciphertexts(attribute) && stored.contains_key(&attribute.stored_name);
    let has_encrypted = model.attributes.iter().any(is_encrypted);
    let key = has_encrypted.then(|| key(model, &stored));
    let parts = parts_of_keys(model, &stored);
    let mut item = named_values(model, stored);
    keep_wanted(model, &mut item, wanted);
    let withheld = withhold(model, &mut item, wanted);
    let offloaded = take_offloaded(model, &mut item);
    let sealed = read_envelopes(model, &item)?;
    if let (false, Some(key)) = (sealed.is_empty(), key) {
        if let Some(record) = keys.call().audit() {
            record.add_decrypted(sealed.iter().map(|sealed| sealed.attribute.name.as_str()));
        }
        open_all(model, &sealed, &key?, keys, &mut item).await?;
    }
    let unreadable = decompress_all(model, &mut item).await;
    add_parts(model, &mut item, parts, wanted);
    let mut item = readable(model, item);
    resolve_pointers(model, &mut item)?;
    item.extend(offloaded);
    Ok(Opened {
        item,
        withheld,
        unreadable,
        unverified: false,
    })
}

/// Opens a stored item that has no ciphertexts, compressed values or objects, and no seal to verify, as [`open`] does. Any
/// other item is returned as it is.
pub fn open_at_once(
    model: &Model,
    stored: Item,
    wanted: Option<&[String]>,
    extent: Extent,
) -> Result<Opened, Item> {
    let Verification::Done { unverified } = verification(model, &stored, wanted, extent) else {
        return Err(stored);
    };
    let takes_time = |attribute: &Attribute| {
        !attribute.withheld
            && (attribute.encrypted.is_some()
                || attribute.compressed.is_some()
                || attribute.s3.is_some()
                || attribute.kind == AttributeType::Object)
    };
    let mut attributes = model.attributes.iter();
    if attributes.any(|attribute| takes_time(attribute) && stored.contains_key(&attribute.stored_name)) {
        return Err(stored);
    }
    let parts = parts_of_keys(model, &stored);
    let mut item = named_values(model, stored);
    keep_wanted(model, &mut item, wanted);
    let withheld = withhold(model, &mut item, wanted);
    add_parts(model, &mut item, parts, wanted);
    Ok(Opened {
        item: readable(model, item),
        withheld,
        unreadable: Vec::new(),
        unverified,
    })
}

/// Decompresses the values of compressed attributes. Takes out those that cannot be read.
async fn decompress_all(model: &Model, item: &mut Item) -> Vec<UnreadableAttribute> {
    let compressed = model
        .attributes
        .iter()
        .filter(|attribute| attribute.compressed.is_some());
    let mut budget = MAX_BYTES;
    let mut unreadable = Vec::new();
    for Attribute { name, .. } in compressed {
        let Some(Value::S(stored)) = item.get_mut(name) else {
            continue;
        };
        match decompress_value(stored, &mut budget).await {
            Ok(Some(text)) => *stored = text,
            Ok(None) => {}
            Err(problem) => {
                item.remove(name);
                unreadable.push(UnreadableAttribute {
                    attribute: name.clone(),
                    problem,
                });
            }
        }
    }
    unreadable
}

/// Decompresses a value; one with a long text on a separate thread.
async fn decompress_value(
    stored: &mut String,
    budget: &mut usize,
) -> Result<Option<String>, DecompressError> {
    if stored.len() <= MAX_INLINE_BYTES {
        let mut inline = MAX_INLINE_BYTES.min(*budget);
        let before = inline;
        match decompress(stored, &mut inline) {
            Err(DecompressError::TooLarge) => {}
            outcome => {
                *budget -= before - inline;
                return outcome;
            }
        }
    }
    if !is_compressed(stored) {
        return Ok(None);
    }
    let (text, mut left) = (std::mem::take(stored), *budget);
    let task = tokio::task::spawn_blocking(move || {
        let outcome = decompress(&text, &mut left);
        (text, outcome, left)
    });
    let (text, outcome, left) = task.await.map_err(|_| DecompressError::Malformed)?;
    (*stored, *budget) = (text, left);
    outcome
}

/// A parsed ciphertext of the item.
struct Sealed<'a> {
    attribute: &'a Attribute,
    encryption: &'a Encryption,
    envelope: Envelope,
}

impl Sealed<'_> {
    fn invalid(&self, problem: impl Into<CiphertextProblem>) -> LoadError {
        invalid(self.attribute, problem)
    }
}

fn key(model: &Model, stored: &Item) -> Result<Key, LoadError> {
    Key::from_item(model, stored).ok_or_else(|| no_key(model))
}

fn no_key(model: &Model) -> LoadError {
    LoadError::Key {
        model: model.name.clone(),
    }
}

/// Whether the item stores ciphertexts of the attribute. Of an object it stores a pointer, and S3 the ciphertext.
fn has_ciphertexts(attribute: &Attribute) -> bool {
    attribute.encrypted.is_some() && attribute.kind != AttributeType::Object
}

/// Parses all ciphertexts, so that a malformed one fails the item before any request to KMS.
fn read_envelopes<'a>(model: &'a Model, item: &Item) -> Result<Vec<Sealed<'a>>, LoadError> {
    let mut sealed = Vec::new();
    for attribute in &model.attributes {
        let Some(encryption) = attribute
            .encrypted
            .as_ref()
            .filter(|_| has_ciphertexts(attribute))
        else {
            continue;
        };
        let Some(value) = item.get(&attribute.name) else {
            continue;
        };
        match Envelope::read(value) {
            Ok(envelope) if !encryption.reads(envelope.format()) => {
                return Err(invalid(attribute, CiphertextProblem::Format));
            }
            Ok(envelope) => sealed.push(Sealed {
                attribute,
                encryption,
                envelope,
            }),
            Err(problem) if encryption.allow_plaintext && is_plaintext(attribute.kind, problem) => {}
            Err(problem) => return Err(invalid(attribute, problem)),
        }
    }
    Ok(sealed)
}

/// Whether a value that does not parse as a ciphertext may be plaintext. Bytes with an unknown format id may be plaintext
/// only in a binary attribute.
fn is_plaintext(kind: AttributeType, problem: OpenError) -> bool {
    match problem {
        OpenError::NotEncrypted => true,
        OpenError::UnknownFormat(_) => kind == AttributeType::Binary,
        OpenError::Malformed | OpenError::Commitment | OpenError::Authentication | OpenError::Plaintext => {
            false
        }
    }
}

/// Decrypts all values in parallel, each to completion: a failure does not cancel a `Decrypt` that other items of the call
/// wait for.
async fn open_all(
    model: &Model,
    sealed: &[Sealed<'_>],
    key: &Key,
    keys: &CallKeys,
    item: &mut Item,
) -> Result<(), LoadError> {
    let place = Place::new(&model.table, key.partition(), key.sort()).ok_or_else(|| no_key(model))?;
    let opening = sealed
        .iter()
        .map(|sealed| open_one(model, sealed, key, &place, keys));
    let values = join_all(opening).await;
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
    key: &Key,
    place: &Place,
    keys: &CallKeys,
) -> Result<Value, LoadError> {
    let Sealed {
        attribute,
        encryption,
        envelope,
    } = sealed;
    let encryption = tenant::encryption(model, encryption, key);
    let context = envelope::context(envelope.format(), &encryption.context, &model.table);
    let key_ids = encryption.key_ids().cloned().collect();
    let key = keys
        .open(envelope.wrapped_key(), &context, key_ids, model.kms_cache)
        .await
        .map_err(|error| unwrap_error(sealed, error.into()))?;
    let value = envelope
        .open(&key, place, &attribute.stored_name)
        .map_err(|problem| sealed.invalid(problem))?;
    if attribute.holds(&value) || value == Value::Null {
        Ok(value)
    } else {
        Err(sealed.invalid(CiphertextProblem::Type))
    }
}

fn unwrap_error(sealed: &Sealed<'_>, error: UnwrapError) -> LoadError {
    match error {
        UnwrapError::Invalid => sealed.invalid(CiphertextProblem::DataKey),
        UnwrapError::KeyNotAccepted => LoadError::KeyNotAccepted {
            attribute: sealed.attribute.name.clone(),
            tried: sealed.encryption.key_ids().cloned().collect(),
        },
        UnwrapError::Kms(error) => LoadError::Kms(error),
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
        let pointer = Pointer::from_value(value).filter(|pointer| pointer.kind.is_none());
        let pointer = pointer.ok_or_else(|| LoadError::Pointer {
            attribute: attribute.name.clone(),
        })?;
        *value = Value::Object(Box::new(pointer.to_object()));
    }
    Ok(())
}

fn invalid(attribute: &Attribute, problem: impl Into<CiphertextProblem>) -> LoadError {
    LoadError::Ciphertext {
        attribute: attribute.name.clone(),
        problem: problem.into(),
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
