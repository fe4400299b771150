//! Protects items as a whole: the attribute [`ITEM_SEAL`] is a code over the stored values of the attributes that it covers,
//! under a data key that it carries itself, so that it outlives every value. A value that is removed, replaced by NULL or
//! by an older one does not match it.
//!
//! | coverage | covers |
//! |---|---|
//! | `sealed` | ciphertexts and pointers to objects in the attributes that a model of the table encrypts |
//! | `all` | every attribute but the seal |
//!
//! Under `sealed`, NULL and plaintext in an encrypted attribute are not covered: in place of a ciphertext they do not match
//! the seal, since that lacks then; and an attribute may be encrypted later. Never writes a seal over values that were not
//! verified: `write` verifies an item before it updates it.

use std::sync::Arc;

use super::Key;
use super::offloaded::is_withheld;
use super::pointer::Pointer;
use super::store::{StoreError, sealing_key};
use super::tenant;
use crate::aws;
use crate::crypto::envelope::{self, Covered, Envelope, ItemSeal, OpenError, Place, WriteId};
use crate::crypto::{CallKeys, Context, KeyIds, SealingKey, UnwrapError};
use crate::model::limits::MAX_ITEM_BYTES;
use crate::model::size::stored_bytes;
use crate::model::{Attribute, Coverage, ITEM_SEAL, Item, Model, Protection, Value};

/// How much of an item is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that is stored. Its seal is verified.
    Whole,
    /// What an index contains of it, which cannot be verified.
    Part,
    /// What a write returned, which verified the item itself.
    Verified,
}

/// Why an item is not the one that was written.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The seal is missing or does not match.
    #[error("the item does not match its seal: {0}")]
    Seal(SealProblem),
    /// The seal's data key is wrapped by a KMS key that the model does not name.
    #[error("the item's seal is made with a key that the model does not accept")]
    KeyNotAccepted {
        /// The keys that were tried.
        tried: Vec<String>,
    },
    /// KMS did not decrypt the data key, for a reason other than an invalid ciphertext.
    #[error(transparent)]
    Kms(#[from] aws::Error),
}

/// What is wrong with a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealProblem {
    /// There is none.
    #[error("it has none")]
    Missing,
    /// It covers less than the model demands.
    #[error("it covers only encrypted attributes")]
    Coverage,
    /// It is malformed, or not that of these values.
    #[error("{0}")]
    Invalid(OpenError),
    /// Its wrapped data key is corrupt or was generated for another encryption context.
    #[error("KMS cannot decrypt its data key")]
    DataKey,
    /// The item lacks key attributes, to which the seal is bound.
    #[error("the item lacks its key")]
    Key,
}

/// Makes the seal of one write.
pub struct Sealer {
    coverage: Coverage,
    key: Arc<SealingKey>,
    place: Place,
    write_id: WriteId,
}

impl Sealer {
    /// A sealer for a write of the item with this key; `None` if the model does not protect items. Needs the data key of the
    /// model's key and context, which encrypted attributes with the same ones share.
    ///
    /// # Errors
    ///
    /// `Kms`, and `Unsealable` if there are no random numbers.
    pub async fn new(model: &Model, key: &Key, keys: &CallKeys) -> Result<Option<Sealer>, StoreError> {
        let Some(protection) = &model.protection else {
            return Ok(None);
        };
        Ok(Some(Sealer {
            coverage: protection.coverage,
            place: place(model, key).ok_or(StoreError::NoKey)?,
            write_id: WriteId::random().map_err(unsealable)?,
            key: sealing_key(model, &protection.encryption, key, keys).await?,
        }))
    }

    /// The bytes that the seal adds to an item, with its name.
    pub fn bytes(&self) -> usize {
        ITEM_SEAL.len() + envelope::item_seal_bytes(self.key.wrapped.len())
    }

    /// Rejects items that are too large with their seal.
    ///
    /// # Errors
    ///
    /// `TooLarge`.
    pub fn check_size(&self, item: &Item) -> Result<(), StoreError> {
        match stored_bytes(item) + self.bytes() {
            bytes if bytes > MAX_ITEM_BYTES => Err(StoreError::TooLarge { bytes }),
            _ => Ok(()),
        }
    }

    /// The seal of an item as it will be stored. Equal items have equal seals in one write.
    ///
    /// # Errors
    ///
    /// `Unsealable`, which does not happen with checked items.
    pub fn seal(&self, model: &Model, stored: &Item) -> Result<Value, StoreError> {
        let SealingKey { key, wrapped } = &*self.key;
        let covered = covered(model, self.coverage, stored);
        envelope::seal_item(self.coverage, key, wrapped, self.write_id, &self.place, &covered)
            .map_err(unsealable)
    }

    /// Which attributes the seal covers.
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }
}

/// Verifies a whole stored item. Returns whether it has a seal: `false` only if the model allows that there is none.
///
/// # Errors
///
/// See [`VerifyError`].
pub async fn verify(model: &Model, stored: &Item, keys: &CallKeys) -> Result<bool, VerifyError> {
    match &model.protection {
        Some(protection) => match Check::new(model, protection, stored)? {
            Some(check) => check.run(protection, keys).await,
            None => Ok(false),
        },
        None => Ok(true),
    }
}

/// What is to be verified of an item before it is returned.
pub(super) enum Verification<'a> {
    /// Nothing; whether the response says that it is unverified.
    Done {
        /// Whether it does.
        unverified: bool,
    },
    /// Its seal.
    Needed(&'a Protection),
}

/// What is to be verified of an item of which the `wanted` attributes are returned.
pub(super) fn verification<'a>(
    model: &'a Model,
    stored: &Item,
    wanted: Option<&[String]>,
    extent: Extent,
) -> Verification<'a> {
    let (Some(protection), Extent::Whole) = (&model.protection, extent) else {
        let unverified = model.protection.is_some() && extent == Extent::Part;
        return Verification::Done { unverified };
    };
    match (
        shows_covered(model, protection, wanted),
        stored.contains_key(ITEM_SEAL),
    ) {
        (true, _) => Verification::Needed(protection),
        (false, true) => Verification::Done { unverified: false },
        (false, false) if protection.allow_unsealed => Verification::Done { unverified: true },
        (false, false) => Verification::Needed(protection),
    }
}

impl Verification<'_> {
    /// Verifies the item. Returns whether the response says that it is unverified.
    pub(super) fn check(self, model: &Model, stored: &Item) -> Result<Pending, VerifyError> {
        match self {
            Verification::Done { unverified } => Ok(Pending::Done { unverified }),
            Verification::Needed(protection) => Ok(match Check::new(model, protection, stored)? {
                Some(check) => Pending::Check(Box::new(check)),
                None => Pending::Done { unverified: true },
            }),
        }
    }
}

/// A verification that may need a data key.
pub(super) enum Pending {
    /// It needs none.
    Done {
        /// Whether the response says that the item is unverified.
        unverified: bool,
    },
    /// It does.
    Check(Box<Check>),
}

impl Pending {
    /// Completes it. Returns whether the response says that the item is unverified.
    pub(super) async fn run(self, model: &Model, keys: &CallKeys) -> Result<bool, VerifyError> {
        match (self, &model.protection) {
            (Pending::Done { unverified }, _) => Ok(unverified),
            (Pending::Check(check), Some(protection)) => {
                check.run(protection, keys).await.map(|verified| !verified)
            }
            (Pending::Check(_), None) => Ok(true),
        }
    }
}

/// A seal, with the text that it is to be the code of.
pub(super) struct Check {
    seal: ItemSeal,
    text: Vec<u8>,
    context: Context,
    key_ids: KeyIds,
    may_cache: bool,
}

impl Check {
    /// The check of a stored item; `None` if it has no seal, which is allowed.
    fn new(model: &Model, protection: &Protection, stored: &Item) -> Result<Option<Check>, VerifyError> {
        let Some(seal) = stored.get(ITEM_SEAL) else {
            return match protection.allow_unsealed {
                true => Ok(None),
                false => Err(VerifyError::Seal(SealProblem::Missing)),
            };
        };
        let seal = ItemSeal::read(seal).map_err(invalid)?;
        if (protection.coverage, seal.coverage()) == (Coverage::All, Coverage::Sealed)
            && !protection.allow_unsealed
        {
            return Err(VerifyError::Seal(SealProblem::Coverage));
        }
        let key = Key::from_item(model, stored).ok_or(VerifyError::Seal(SealProblem::Key))?;
        let place = place(model, &key).ok_or(VerifyError::Seal(SealProblem::Key))?;
        let covered = covered(model, seal.coverage(), stored);
        let text = seal.text(&place, &covered).map_err(invalid)?;
        let encryption = tenant::encryption(model, &protection.encryption, &key);
        let context = envelope::context(encryption.format, &encryption.context, &model.table);
        Ok(Some(Check {
            seal,
            text,
            context,
            key_ids: encryption.key_ids().cloned().collect(),
            may_cache: model.kms_cache,
        }))
    }

    /// Verifies the seal. Returns whether it covers what the model demands.
    async fn run(self, protection: &Protection, keys: &CallKeys) -> Result<bool, VerifyError> {
        let Check {
            seal,
            text,
            context,
            key_ids,
            may_cache,
        } = self;
        let key = keys.open(seal.wrapped_key(), &context, key_ids, may_cache).await;
        let key = key.map_err(|error| unwrap_error(protection, error.into()))?;
        seal.verify(&key, &text).map_err(invalid)?;
        Ok(protection.coverage == Coverage::Sealed || seal.coverage() == Coverage::All)
    }
}

/// Whether the `wanted` attributes include one that the seal covers and the caller sees.
fn shows_covered(model: &Model, protection: &Protection, wanted: Option<&[String]>) -> bool {
    let is_wanted = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
    let is_shown = |attribute: &Attribute| {
        attribute.encrypted.is_some()
            && !attribute.hidden
            && !is_withheld(attribute)
            && is_wanted(&attribute.name)
    };
    match protection.coverage {
        Coverage::All => true,
        Coverage::Sealed => model.attributes.iter().any(is_shown),
    }
}

/// The values of a stored item that a seal covers.
fn covered<'a>(model: &'a Model, coverage: Coverage, stored: &'a Item) -> Covered<'a> {
    match coverage {
        Coverage::All => stored
            .iter()
            .filter(|(name, _)| *name != ITEM_SEAL)
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
        Coverage::Sealed => {
            let own = model
                .attributes
                .iter()
                .filter(|attribute| attribute.encrypted.is_some());
            let own = own.map(|attribute| &attribute.stored_name);
            own.chain(&model.sealed_by_others)
                .filter_map(|name| Some((name.as_str(), stored.get(name)?)))
                .filter(|(_, value)| is_sealed(value))
                .collect()
        }
    }
}

/// Whether a value is a ciphertext, or leads to one.
fn is_sealed(value: &Value) -> bool {
    match Envelope::read(value) {
        Ok(_) => true,
        Err(OpenError::NotEncrypted) => Pointer::from_value(value).is_some(),
        Err(OpenError::UnknownFormat(_)) => false,
        Err(
            OpenError::Malformed | OpenError::Commitment | OpenError::Authentication | OpenError::Plaintext,
        ) => true,
    }
}

fn place(model: &Model, key: &Key) -> Option<Place> {
    Place::new(&model.table, key.partition(), key.sort())
}

fn unsealable(problem: envelope::SealError) -> StoreError {
    StoreError::Unsealable {
        attribute: ITEM_SEAL.to_owned(),
        problem,
    }
}

fn invalid(problem: OpenError) -> VerifyError {
    VerifyError::Seal(SealProblem::Invalid(problem))
}

fn unwrap_error(protection: &Protection, error: UnwrapError) -> VerifyError {
    match error {
        UnwrapError::Invalid => VerifyError::Seal(SealProblem::DataKey),
        UnwrapError::KeyNotAccepted => VerifyError::KeyNotAccepted {
            tried: protection.encryption.key_ids().cloned().collect(),
        },
        UnwrapError::Kms(error) => VerifyError::Kms(error),
    }
}
