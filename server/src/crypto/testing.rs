//! A KMS for tests of this room and of `item`: the embedded engine, with the key that their models name.

use std::collections::BTreeMap;

use super::Keyring;
use crate::aws::{Connectors, Settings, Stores, provision};
use crate::embedded::{Engines, Place, Synchronous};
use crate::model::{
    Attribute, AttributeType, Checks, Encryption, EncryptionFormat, EncryptionMode, Model, Models,
    UnknownAttributes,
};

/// The key that is there.
pub(crate) const KEY_ID: &str = "alias/test";

/// A key that is there if it was asked for.
pub(crate) const OTHER_KEY_ID: &str = "alias/other";

/// A keyring over a KMS that has [`KEY_ID`].
pub(crate) async fn keyring() -> Keyring {
    keyring_of(vec![encrypted("ssn", AttributeType::String)]).await
}

/// A keyring over a KMS that has [`KEY_ID`] and [`OTHER_KEY_ID`].
pub(crate) async fn two_keys() -> Keyring {
    let mut other = encrypted("phone", AttributeType::String);
    if let Some(encryption) = &mut other.encrypted {
        encryption.key_id = OTHER_KEY_ID.to_owned();
    }
    keyring_of(vec![encrypted("ssn", AttributeType::String), other]).await
}

async fn keyring_of(attributes: Vec<Attribute>) -> Keyring {
    let engines = Engines::open(&Place::Memory, Synchronous::Full).await.unwrap();
    let connectors = Connectors {
        dynamodb: engines.dynamodb,
        kms: engines.kms,
        s3: engines.s3,
    };
    let stores = Stores::embedded(connectors, &Settings::default());
    let models = Models::new([model(attributes)]);
    let warnings = provision(&stores, &models).await.unwrap();
    assert!(warnings.is_empty());
    Keyring::new(stores.kms, 4)
}

/// A model with the key `pk`, `sk` and these attributes.
pub(crate) fn model(mut attributes: Vec<Attribute>) -> Model {
    attributes.splice(
        0..0,
        ["pk", "sk"].map(|name| attribute(name, AttributeType::String)),
    );
    Model {
        name: "User".to_owned(),
        table: "users".to_owned(),
        partition_key: "pk".to_owned(),
        sort_key: Some("sk".to_owned()),
        attributes,
        unknown_attributes: UnknownAttributes::Keep,
        sealed_by_others: Vec::new(),
    }
}

/// An attribute without options.
pub(crate) fn attribute(name: &str, kind: AttributeType) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind,
        required: false,
        default: None,
        checks: Checks::default(),
        encrypted: None,
        s3: None,
    }
}

/// An attribute sealed under [`KEY_ID`].
pub(crate) fn encrypted(name: &str, kind: AttributeType) -> Attribute {
    let encryption = Encryption {
        key_id: KEY_ID.to_owned(),
        accepts: Vec::new(),
        context: BTreeMap::from([("app".to_owned(), "test".to_owned())]),
        mode: EncryptionMode::ReadWrite,
        format: EncryptionFormat::Sealed,
        accept_formats: Vec::new(),
        allow_plaintext: false,
    };
    Attribute {
        encrypted: Some(encryption),
        ..attribute(name, kind)
    }
}
