//! From a caller's item to the stored one: encrypted attributes are sealed. [`load`](super::load) is the way back.
//! Never stores an encrypted attribute's value in clear, whatever its mode.

use std::sync::Arc;

use futures::future::join_all;

use super::Key;
use super::size::{MAX_ITEM_BYTES, stored_bytes};
use crate::aws;
use crate::crypto::envelope::{self, Place, SealError};
use crate::crypto::{CallKeys, SealingKey};
use crate::model::{Attribute, Encryption, Item, Model, Value};

/// Why an item was not made ready to be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB takes no item of this size; what was not sealed is counted as it is.
    #[error("the item would take {bytes} bytes, more than DynamoDB's {MAX_ITEM_BYTES}")]
    TooLarge {
        /// The size of the item as it would be stored.
        bytes: usize,
    },
    /// The item has no key, or a value that its attribute's format does not hold: checked items do not come here.
    #[error("{attribute} cannot be sealed: {problem}")]
    Unsealable {
        /// The attribute.
        attribute: String,
        /// What is in the way.
        problem: SealError,
    },
    /// A key attribute is missing: checked items do not come here.
    #[error("the item has no key")]
    NoKey,
    /// KMS gave no data key.
    #[error(transparent)]
    Kms(#[from] aws::Error),
}

/// Seals the encrypted attributes of a checked item whose objects are pointers already. Asks KMS for one data key per
/// distinct key id and context, side by side, and for none where the item is too large anyway. Null stays NULL.
///
/// # Errors
///
/// See [`StoreError`].
pub async fn seal(model: &Model, mut item: Item, keys: &CallKeys) -> Result<Item, StoreError> {
    refuse_too_large(&item)?;
    let sealed = sealed_values(model, &item, keys).await?;
    item.extend(sealed);
    refuse_too_large(&item)?;
    Ok(item)
}

async fn sealed_values(
    model: &Model,
    item: &Item,
    keys: &CallKeys,
) -> Result<Vec<(String, Value)>, StoreError> {
    let to_seal: Vec<_> = model
        .attributes
        .iter()
        .filter_map(|attribute| to_seal(attribute, item))
        .collect();
    if to_seal.is_empty() {
        return Ok(Vec::new());
    }
    let key = Key::of_item(model, item).ok_or(StoreError::NoKey)?;
    let place = Place::new(&model.table, key.partition(), key.sort()).ok_or(StoreError::NoKey)?;
    let asked = to_seal
        .iter()
        .map(|(_, encryption, _)| sealing_key(model, encryption, keys));
    let sealing_keys = join_all(asked).await;
    let mut sealed = Vec::with_capacity(to_seal.len());
    for ((attribute, encryption, value), sealing_key) in to_seal.into_iter().zip(sealing_keys) {
        let SealingKey { key, wrapped } = &*sealing_key?;
        let ciphertext = envelope::seal(encryption.format, value, key, wrapped, &place, &attribute.name)
            .map_err(|problem| StoreError::Unsealable {
                attribute: attribute.name.clone(),
                problem,
            })?;
        sealed.push((attribute.name.clone(), ciphertext));
    }
    Ok(sealed)
}

/// An encrypted attribute that the item gives a value; a null has nothing to hide.
fn to_seal<'a>(
    attribute: &'a Attribute,
    item: &'a Item,
) -> Option<(&'a Attribute, &'a Encryption, &'a Value)> {
    let encryption = attribute.encrypted.as_ref()?;
    let value = item.get(&attribute.name).filter(|value| **value != Value::Null)?;
    Some((attribute, encryption, value))
}

async fn sealing_key(
    model: &Model,
    encryption: &Encryption,
    keys: &CallKeys,
) -> Result<Arc<SealingKey>, aws::Error> {
    let context = envelope::context(encryption.format, &encryption.context, &model.table);
    keys.generate(&encryption.key_id, &context).await
}

fn refuse_too_large(item: &Item) -> Result<(), StoreError> {
    match stored_bytes(item) {
        bytes if bytes > MAX_ITEM_BYTES => Err(StoreError::TooLarge { bytes }),
        _ => Ok(()),
    }
}
