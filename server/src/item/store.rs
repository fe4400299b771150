//! From a caller's item to the stored one: encrypted attributes are sealed. [`load`](super::load) is the way back.
//! Never stores an encrypted attribute's value in clear, whatever its mode.

use std::sync::Arc;

use futures::future::join_all;

use super::Key;
use crate::aws;
use crate::crypto::envelope::{self, Place, SealError};
use crate::crypto::{CallKeys, SealingKey};
use crate::model::limits::MAX_ITEM_BYTES;
use crate::model::size::stored_bytes;
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

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests {
    use super::*;
    use crate::aws::Kind;
    use crate::call::Call;
    use crate::crypto::testing::keyring;
    use crate::model::testing::{encrypted, model};
    use crate::model::{AttributeType, EncryptionFormat};

    fn item(fields: &[(&str, Value)]) -> Item {
        let key = [("pk", text("U#1")), ("sk", text("PROFILE"))];
        key.iter()
            .chain(fields)
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    fn text(text: &str) -> Value {
        Value::S(text.to_owned())
    }

    fn secure_user() -> Model {
        model(vec![
            encrypted("ssn", AttributeType::String),
            encrypted("phone", AttributeType::String),
            encrypted("age", AttributeType::Number),
        ])
    }

    fn change(attribute: &mut Attribute, change: impl FnOnce(&mut Encryption)) {
        change(attribute.encrypted.as_mut().unwrap());
    }

    #[tokio::test]
    async fn three_fields_cost_one_kms_call_and_none_is_in_clear() {
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let plain = item(&[
            ("ssn", text("123")),
            ("phone", text("456")),
            ("age", Value::N("7".parse().unwrap())),
        ]);
        let stored = seal(&secure_user(), plain.clone(), &keys).await.unwrap();
        assert_eq!(call.bill().kms_calls, 1);
        for name in ["ssn", "phone", "age"] {
            assert!(
                matches!(&stored[name], Value::B(bytes) if bytes[0] == 4),
                "{name}"
            );
        }
        assert_eq!((&stored["pk"], &stored["sk"]), (&plain["pk"], &plain["sk"]));
    }

    #[tokio::test]
    async fn what_is_not_there_costs_nothing_and_null_stays_null() {
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let plain = item(&[("ssn", Value::Null), ("note", text("clear"))]);
        assert!(seal(&secure_user(), plain.clone(), &keys).await.unwrap() == plain);
        assert_eq!(call.bill().kms_calls, 0);
    }

    #[tokio::test]
    async fn another_context_is_another_key_and_pydynox_has_its_own() {
        let mut model = secure_user();
        change(&mut model.attributes[3], |encryption| encryption.context.clear());
        change(&mut model.attributes[2], |encryption| {
            encryption.format = EncryptionFormat::Pydynox;
        });
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let plain = item(&[
            ("ssn", text("1")),
            ("phone", text("2")),
            ("age", Value::N("3".parse().unwrap())),
        ]);
        let stored = seal(&model, plain, &keys).await.unwrap();
        assert!(matches!(&stored["ssn"], Value::S(text) if text.starts_with("ENC:")));
        assert_eq!(call.bill().kms_calls, 3);
    }

    #[tokio::test]
    async fn the_size_counts_before_and_after_sealing() {
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let of_size = |bytes: usize| item(&[("ssn", text(&"x".repeat(bytes)))]);
        let large = seal(&secure_user(), of_size(MAX_ITEM_BYTES), &keys).await;
        assert!(matches!(large, Err(StoreError::TooLarge { .. })));
        assert_eq!(call.bill().kms_calls, 0);
        let just_too_large = seal(&secure_user(), of_size(MAX_ITEM_BYTES - 50), &keys).await;
        assert!(matches!(just_too_large, Err(StoreError::TooLarge { bytes }) if bytes > MAX_ITEM_BYTES));
        assert!(
            seal(&secure_user(), of_size(MAX_ITEM_BYTES - 1000), &keys)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_key_that_is_not_there_is_told_and_nothing_is_stored_in_clear() {
        let mut model = secure_user();
        change(&mut model.attributes[3], |encryption| {
            encryption.key_id = "alias/nobody".to_owned();
        });
        let keys = keyring().await.for_call(&Call::for_test());
        let refused = seal(&model, item(&[("ssn", text("1")), ("phone", text("2"))]), &keys).await;
        assert!(matches!(refused, Err(StoreError::Kms(error)) if matches!(error.kind, Kind::Missing { .. })));
    }

    #[tokio::test]
    async fn what_should_have_been_checked_is_not_stored() {
        let keys = keyring().await.for_call(&Call::for_test());
        let object = item(&[("ssn", Value::Object(Box::default()))]);
        let refused = seal(&secure_user(), object, &keys).await;
        assert!(matches!(
            refused,
            Err(StoreError::Unsealable {
                problem: SealError::Object,
                ..
            })
        ));
        let no_key = Item::from([("ssn".to_owned(), text("1"))]);
        assert!(matches!(
            seal(&secure_user(), no_key, &keys).await,
            Err(StoreError::NoKey)
        ));
    }
}
