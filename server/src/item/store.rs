//! Builds the stored item from a checked one: compresses and encrypts values, decides which are offloaded to S3, and gives
//! attributes their stored names.
//! [`load`](super::load) is the inverse. Never leaves the value of an encrypted attribute in plaintext, whatever its mode.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};

use super::Key;
use super::compress::{MAX_INLINE_BYTES, compress};
use super::tenant;
use crate::aws;
use crate::crypto::envelope::{self, Place, SealError};
use crate::crypto::{CallKeys, SealingKey};
use crate::model::limits::MAX_ITEM_BYTES;
use crate::model::size::{stored_bytes, value_bytes};
use crate::model::{Attribute, Encryption, Item, Model, Object, Value};

/// Why an item could not be prepared for storage.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The item exceeds DynamoDB's limit.
    #[error("the item would take {bytes} bytes, more than DynamoDB's {MAX_ITEM_BYTES}")]
    TooLarge {
        /// The size of the item; before encryption, if that exceeds the limit already.
        bytes: usize,
    },
    /// The format of an attribute does not support its value. Does not happen with checked items.
    #[error("cannot encrypt {attribute}: {problem}")]
    Unsealable {
        /// The attribute.
        attribute: String,
        /// The cause.
        problem: SealError,
    },
    /// A key attribute is missing or invalid. Does not happen with checked items.
    #[error("the item lacks a valid key")]
    NoKey,
    /// KMS did not generate a data key.
    #[error(transparent)]
    Kms(#[from] aws::Error),
}

/// Compresses and encrypts the attributes of a checked item, and gives all attributes their stored names; null stays NULL.
/// Generates one data key per distinct key id and context, in parallel, and none if the item is too large. Objects stay as
/// they are: the caller replaces them by pointers.
///
/// # Errors
///
/// See [`StoreError`].
pub async fn seal(model: &Model, item: Item, keys: &CallKeys) -> Result<Item, StoreError> {
    let key = Key::from_request(model, &item).ok_or(StoreError::NoKey)?;
    let item = seal_values(model, &key, item, keys).await?;
    let item = stored_names(model, item);
    check_size(&item)?;
    Ok(item)
}

/// The values by their stored names.
fn stored_names(model: &Model, item: Item) -> Item {
    let has_alias = |attribute: &Attribute| attribute.name != attribute.stored_name;
    if !model.attributes.iter().any(has_alias) {
        return item;
    }
    item.into_iter()
        .map(|(name, value)| match model.stored_name(&name) {
            stored_name if stored_name == name => (name, value),
            stored_name => (stored_name.to_owned(), value),
        })
        .collect()
}

/// Like [`seal`], for some of the values of the item with this key. Attributes keep the model's names.
///
/// # Errors
///
/// See [`StoreError`].
pub async fn seal_values(
    model: &Model,
    key: &Key,
    mut values: Item,
    keys: &CallKeys,
) -> Result<Item, StoreError> {
    let mut whole: HashMap<&str, Bytes> = model
        .attributes
        .iter()
        .filter(|attribute| attribute.offloads_values())
        .filter_map(|attribute| Some((attribute.name.as_str(), content(values.get(&attribute.name)?)?)))
        .collect();
    // add-a-model-option: encode its values
    compress_values(model, &mut values).await;
    offload(model, &mut values, &mut whole);
    check_size(&values)?;
    let sealed = sealed_values(model, key, &values, keys).await?;
    values.extend(sealed);
    offload(model, &mut values, &mut whole);
    Ok(values)
}

/// Like [`seal_values`], but all values stay in the item.
///
/// # Errors
///
/// See [`StoreError`].
pub async fn seal_inline(
    model: &Model,
    key: &Key,
    mut values: Item,
    keys: &CallKeys,
) -> Result<Item, StoreError> {
    compress_values(model, &mut values).await;
    check_size(&values)?;
    let sealed = sealed_values(model, key, &values, keys).await?;
    values.extend(sealed);
    Ok(values)
}

async fn compress_values(model: &Model, values: &mut Item) {
    for attribute in &model.attributes {
        if attribute.compressed.is_some()
            && let Some(value) = values.get_mut(&attribute.name)
        {
            compress_value(attribute, value).await;
        }
    }
}

/// Turns values that are too long for the item into objects to upload, with the whole value as it was given.
fn offload(model: &Model, values: &mut Item, whole: &mut HashMap<&str, Bytes>) {
    for attribute in &model.attributes {
        let above = attribute.s3.as_ref().and_then(|offload| offload.offload_above);
        let (Some(above), Some(value)) = (above, values.get_mut(&attribute.name)) else {
            continue;
        };
        if value_bytes(value) as u64 > above
            && let Some(content) = whole.remove(attribute.name.as_str())
        {
            *value = Value::Object(Box::new(Object {
                data: Some(content),
                ..Object::default()
            }));
        }
    }
}

/// The bytes of a string or binary.
fn content(value: &Value) -> Option<Bytes> {
    match value {
        Value::S(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        Value::B(bytes) => Some(bytes.clone()),
        Value::N(_)
        | Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => None,
    }
}

/// Compresses a value, if its attribute says so and it becomes smaller.
async fn compress_value(attribute: &Attribute, value: &mut Value) {
    let (Some(options), Value::S(text)) = (attribute.compressed, &*value) else {
        return;
    };
    let compressed = if text.len() <= MAX_INLINE_BYTES {
        compress(text, &options)
    } else {
        let text = text.clone();
        let task = tokio::task::spawn_blocking(move || compress(&text, &options));
        task.await.unwrap_or_default()
    };
    if let Some(compressed) = compressed {
        *value = Value::S(compressed);
    }
}

async fn sealed_values(
    model: &Model,
    key: &Key,
    item: &Item,
    keys: &CallKeys,
) -> Result<Vec<(String, Value)>, StoreError> {
    let to_seal: Vec<_> = model
        .attributes
        .iter()
        .filter_map(|attribute| to_seal(attribute, item))
        .collect();
    generate_for_objects(model, key, item, keys).await?;
    if to_seal.is_empty() {
        return Ok(Vec::new());
    }
    let place = Place::new(&model.table, key.partition(), key.sort()).ok_or(StoreError::NoKey)?;
    let generating = to_seal
        .iter()
        .map(|(_, encryption, _)| sealing_key(model, encryption, key, keys));
    let sealing_keys = join_all(generating).await;
    let mut sealed = Vec::with_capacity(to_seal.len());
    for ((attribute, encryption, value), sealing_key) in to_seal.into_iter().zip(sealing_keys) {
        let SealingKey { key, wrapped } = &*sealing_key?;
        let ciphertext = envelope::seal(
            encryption.format,
            value,
            key,
            wrapped,
            &place,
            &attribute.stored_name,
        )
        .map_err(|problem| StoreError::Unsealable {
            attribute: attribute.name.clone(),
            problem,
        })?;
        sealed.push((attribute.name.clone(), ciphertext));
    }
    Ok(sealed)
}

/// Generates the data keys of objects that are to be encrypted, so that a failure costs no upload.
async fn generate_for_objects(
    model: &Model,
    key: &Key,
    item: &Item,
    keys: &CallKeys,
) -> Result<(), aws::Error> {
    let encrypted = model.attributes.iter().filter_map(|attribute| {
        let encryption = attribute.encrypted.as_ref()?;
        let is_new = matches!(item.get(&attribute.name), Some(Value::Object(object)) if object.is_new());
        (is_new && attribute.s3.is_some()).then_some(encryption)
    });
    let generating = encrypted.map(|encryption| sealing_key(model, encryption, key, keys));
    for generated in join_all(generating).await {
        generated?;
    }
    Ok(())
}

/// An encrypted attribute and its value, unless the value is missing or null, or an object.
fn to_seal<'a>(
    attribute: &'a Attribute,
    item: &'a Item,
) -> Option<(&'a Attribute, &'a Encryption, &'a Value)> {
    let encryption = attribute.encrypted.as_ref()?;
    let value = item.get(&attribute.name)?;
    match value {
        Value::Null => None,
        Value::Object(_) if attribute.s3.is_some() => None,
        value => Some((attribute, encryption, value)),
    }
}

/// Whether a value to be stored is a ciphertext, which no other call writes. Pointers to objects are none.
pub fn is_ciphertext(attribute: &Attribute, value: &Value) -> bool {
    attribute.encrypted.is_some() && !matches!(value, Value::Null | Value::M(_) | Value::Object(_))
}

/// The data key for the values and objects of an encrypted attribute of the item with this key.
pub fn sealing_key<'a>(
    model: &'a Model,
    encryption: &'a Encryption,
    key: &'a Key,
    keys: &'a CallKeys,
) -> BoxFuture<'a, Result<Arc<SealingKey>, aws::Error>> {
    // boxed: the type of the request would be too deep
    Box::pin(async move {
        let encryption = tenant::encryption(model, encryption, key);
        let context = envelope::context(encryption.format, &encryption.context, &model.table);
        keys.generate(&encryption.key_id, &context, model.kms_cache).await
    })
}

fn check_size(item: &Item) -> Result<(), StoreError> {
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
    async fn encrypts_three_attributes_with_one_kms_call() {
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
    async fn missing_and_null_values_need_no_kms_call() {
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let plain = item(&[("ssn", Value::Null), ("note", text("clear"))]);
        assert!(seal(&secure_user(), plain.clone(), &keys).await.unwrap() == plain);
        assert_eq!(call.bill().kms_calls, 0);
    }

    #[tokio::test]
    async fn each_context_and_format_has_its_own_data_key() {
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
    async fn checks_the_size_before_and_after_encryption() {
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
    async fn a_missing_kms_key_fails_the_whole_item() {
        let mut model = secure_user();
        change(&mut model.attributes[3], |encryption| {
            encryption.key_id = "alias/nobody".to_owned();
        });
        let keys = keyring().await.for_call(&Call::for_test());
        let refused = seal(&model, item(&[("ssn", text("1")), ("phone", text("2"))]), &keys).await;
        assert!(matches!(refused, Err(StoreError::Kms(error)) if matches!(error.kind, Kind::Missing { .. })));
    }

    #[tokio::test]
    async fn rejects_unchecked_items() {
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
