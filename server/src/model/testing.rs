//! The models that tests build: one table, `users`, whose keys are `pk` and `sk`. Tests change the fields they are about.

use std::collections::BTreeMap;

use super::{
    Attribute, AttributeType, Compat, Encryption, EncryptionFormat, EncryptionMode, ForeignPointers, Model,
    Offload, UnknownAttributes,
};

/// The KMS key of [`encrypted`] attributes.
pub(crate) const KEY_ID: &str = "alias/test";

/// A model `User` with these attributes beside its keys; it keeps attributes that it does not declare.
pub(crate) fn model(attributes: Vec<Attribute>) -> Model {
    let keys = ["pk", "sk"].map(|name| attribute(name, AttributeType::String));
    Model {
        name: "User".to_owned(),
        table: "users".to_owned(),
        partition_key: "pk".to_owned(),
        sort_key: Some("sk".to_owned()),
        attributes: keys.into_iter().chain(attributes).collect(),
        indexes: Vec::new(),
        discriminator: None,
        unknown_attributes: UnknownAttributes::Keep,
        compat: Compat::default(),
        idempotency: None,
        protection: None,
        tenancy: None,
        kms_cache: true,
        sealed_by_others: Vec::new(),
        withholds_undeclared: false,
    }
}

/// An attribute without options.
pub(crate) fn attribute(name: &str, kind: AttributeType) -> Attribute {
    Attribute::plain(name, kind)
}

/// An attribute encrypted under [`KEY_ID`], in the context `app: test`.
pub(crate) fn encrypted(name: &str, kind: AttributeType) -> Attribute {
    let encryption = Encryption {
        context: BTreeMap::from([("app".to_owned(), "test".to_owned())]),
        ..encryption(KEY_ID)
    };
    Attribute {
        encrypted: Some(encryption),
        ..attribute(name, kind)
    }
}

/// Encryption under this key with the default options and no context.
pub(crate) fn encryption(key_id: &str) -> Encryption {
    Encryption {
        key_id: key_id.to_owned(),
        accepts: Vec::new(),
        context: BTreeMap::new(),
        mode: EncryptionMode::ReadWrite,
        format: EncryptionFormat::Sealed,
        accept_formats: Vec::new(),
        allow_plaintext: false,
    }
}

/// An object attribute of the bucket `files`.
pub(crate) fn object(name: &str, prefix: &str) -> Attribute {
    Attribute {
        s3: Some(offload("files", prefix)),
        ..attribute(name, AttributeType::Object)
    }
}

/// Offloading to this bucket with the default options.
pub(crate) fn offload(bucket: &str, prefix: &str) -> Offload {
    Offload {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: None,
        foreign_pointers: ForeignPointers::Refuse,
        offload_above: None,
        max_bytes: None,
        content_types: Vec::new(),
        purge_versions: false,
    }
}
