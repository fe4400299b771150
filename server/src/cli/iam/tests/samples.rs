//! Models for policies: single ones, and arbitrary ones with all kinds of keys, contexts, modes and prefixes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::{ALIAS_ARN, KEY_ARN};
use crate::model::{
    Attribute, AttributeType, Encryption, EncryptionFormat, EncryptionMode, Model, Models, UnknownAttributes,
    testing,
};

pub(super) fn models(models: impl IntoIterator<Item = Model>) -> Models {
    Models::new(models)
}

pub(super) fn model(table: &str, attributes: Vec<Attribute>) -> Model {
    Model {
        name: table.to_owned(),
        table: table.to_owned(),
        sort_key: None,
        attributes,
        unknown_attributes: UnknownAttributes::Reject,
        ..testing::model(Vec::new())
    }
}

pub(super) fn encrypted(encryption: Encryption) -> Attribute {
    Attribute {
        encrypted: Some(encryption),
        ..testing::attribute("attribute", AttributeType::String)
    }
}

pub(super) fn encryption(key_id: &str, context: &[(&str, &str)]) -> Encryption {
    Encryption {
        context: owned(context),
        ..testing::encryption(key_id)
    }
}

pub(super) fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(super) fn any_models() -> impl Strategy<Value = Models> {
    let table = select(vec!["users", "orders", "a.b-c_9"]);
    let attributes = prop::collection::vec(prop_oneof![any_encrypted(), any_object()], 0..5);
    let named = (table, attributes).prop_map(|(table, attributes)| model(table, attributes));
    prop::collection::vec(named, 1..5).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        models(numbered.map(|(number, model)| Model {
            name: format!("M{number}"),
            ..model
        }))
    })
}

fn any_encrypted() -> impl Strategy<Value = Attribute> {
    let key = select(vec![
        "1a2b",
        "mrk-7",
        "alias/app",
        "alias/app/two",
        KEY_ARN,
        ALIAS_ARN,
    ]);
    let context = prop::collection::btree_map("app|App|team|ä|[$*{}]{1,3}", "billing|[$*?{}a]{0,4}", 0..3);
    let mode = select(vec![
        EncryptionMode::ReadWrite,
        EncryptionMode::ReadOnly,
        EncryptionMode::WriteOnly,
    ]);
    let format = select(vec![EncryptionFormat::Sealed, EncryptionFormat::Pydynox]);
    let accepts = prop::collection::vec(select(vec!["0old", "alias/old"]), 0..3);
    let accept_formats = prop_oneof![Just(Vec::new()), Just(vec![EncryptionFormat::Pydynox])];
    let options = (key, context, mode, format, accepts, accept_formats);
    options.prop_map(|(key_id, context, mode, format, accepts, accept_formats)| {
        encrypted(Encryption {
            accepts: accepts.into_iter().map(str::to_owned).collect(),
            context,
            mode,
            format,
            accept_formats,
            ..encryption(key_id, &[])
        })
    })
}

fn any_object() -> impl Strategy<Value = Attribute> {
    let prefix = select(vec!["docs/", "a*b/", "${x}/", "ä?/", "日本/"]);
    let prefixed = prefix.prop_map(|prefix| ("prefixed-bucket", prefix));
    prop_oneof![prefixed, Just(("whole-bucket", ""))].prop_map(|(bucket, prefix)| Attribute {
        s3: Some(testing::offload(bucket, prefix)),
        ..testing::attribute("attribute", AttributeType::Object)
    })
}
