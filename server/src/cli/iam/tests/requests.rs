//! The requests that models need, listed independently of the policy.

use std::collections::BTreeMap;

use super::judge::Request;
use super::samples::owned;
use super::{ACCOUNT, ALIAS_ARN, KEY_ARN, NEEDED, REGION};
use crate::crypto::envelope;
use crate::model::{Encryption, EncryptionFormat, EncryptionMode, Model, Offload};

pub(super) fn request(action: &'static str, resource: impl Into<String>) -> Request {
    Request {
        action,
        resource: resource.into(),
        keys: BTreeMap::new(),
    }
}

pub(super) fn requests(model: &Model) -> Vec<Request> {
    let table = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}", model.table);
    let mut requests: Vec<Request> = [
        "BatchGetItem",
        "BatchWriteItem",
        "TransactWriteItems",
        "GetItem",
        "Query",
        "Scan",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "DescribeTable",
    ]
    .iter()
    .map(|operation| request(action_of(operation), &table))
    .collect();
    for index in &model.indexes {
        let index = format!("{table}/index/{}", index.stored_name);
        requests.extend(["dynamodb:Query", "dynamodb:Scan"].map(|action| request(action, &index)));
    }
    for attribute in &model.attributes {
        requests.extend(
            attribute
                .encrypted
                .iter()
                .flat_map(|encryption| key_requests(model, encryption)),
        );
        requests.extend(attribute.s3.iter().flat_map(object_requests));
    }
    requests
}

fn key_requests(model: &Model, encryption: &Encryption) -> Vec<Request> {
    let context = |format| envelope::context(format, &encryption.context, &model.table);
    let mut requests = Vec::new();
    if encryption.mode != EncryptionMode::ReadOnly {
        let made = context(encryption.format);
        requests.push(kms("kms:GenerateDataKey", &encryption.key_id, &made));
    }
    for key_id in encryption.key_ids() {
        requests.push(kms("kms:DescribeKey", key_id, &BTreeMap::new()));
        let formats = [EncryptionFormat::Sealed, EncryptionFormat::Pydynox];
        let read = formats
            .into_iter()
            .filter(|format| encryption.mode != EncryptionMode::WriteOnly && encryption.reads(*format));
        requests.extend(read.map(|format| kms("kms:Decrypt", key_id, &context(format))));
    }
    requests
}

fn object_requests(offload: &Offload) -> Vec<Request> {
    let bucket = format!("arn:aws:s3:::{}", offload.bucket);
    let object = format!("{bucket}/{}A%23B/00000000000000000000000007/ü", offload.prefix);
    let operations = [
        "PutObject",
        "UploadPart",
        "AbortMultipartUpload",
        "ListParts",
        "GetObject",
        "DeleteObject",
    ];
    let on_objects = operations
        .iter()
        .map(|operation| request(action_of(operation), &object));
    on_objects
        .chain([request("s3:DeleteObjectVersion", &object)])
        .chain([request("s3:GetObjectVersion", &object)])
        .chain([request(action_of("HeadBucket"), &bucket)])
        .chain([request(action_of("ListMultipartUploads"), &bucket)])
        .collect()
}

fn action_of(operation: &str) -> &'static str {
    let (_, action) = NEEDED.iter().find(|(name, _)| *name == operation).unwrap();
    action.unwrap()
}

/// A request to the key that a model's name stands for, with all the aliases that this key has.
pub(super) fn kms(action: &'static str, key_id: &str, context: &BTreeMap<String, String>) -> Request {
    let home = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key");
    let (resource, alias) = match key_id {
        KEY_ARN => (KEY_ARN.to_owned(), None),
        ALIAS_ARN => (
            "arn:aws:kms:eu-west-1:444455556666:key/behind".to_owned(),
            Some("alias/far"),
        ),
        alias if alias.starts_with("alias/") => (format!("{home}/behind"), Some(alias)),
        id => (format!("{home}/{id}"), None),
    };
    let context = context
        .iter()
        .map(|(name, value)| (format!("kms:EncryptionContext:{name}"), vec![value.clone()]));
    let aliases = alias.map(|alias| {
        let aliases = vec!["alias/another".to_owned(), alias.to_owned()];
        ("kms:ResourceAliases".to_owned(), aliases)
    });
    Request {
        action,
        resource,
        keys: context.chain(aliases).collect(),
    }
}

/// What no model of [`any_models`] needs.
pub(super) fn foreign_requests() -> Vec<Request> {
    let table = |name: &str| format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}");
    let elsewhere = owned(&[(envelope::TABLE_CONTEXT, "elsewhere"), ("app", "billing")]);
    vec![
        request("dynamodb:GetItem", table("foreign")),
        request("dynamodb:GetItem", table("users/index/by_email")),
        request(
            "dynamodb:GetItem",
            format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/users"),
        ),
        request("dynamodb:DeleteTable", table("users")),
        request("dynamodb:UpdateTable", table("users")),
        request("s3:GetObject", "arn:aws:s3:::foreign/docs/x"),
        request("s3:GetObject", "arn:aws:s3:::prefixed-bucket/foreign/x"),
        request("s3:GetObject", "arn:aws:s3:::prefixed-bucket/axxxb/x"),
        request("s3:ListBucket", "arn:aws:s3:::foreign"),
        request("s3:DeleteBucket", "arn:aws:s3:::prefixed-bucket"),
        kms("kms:DescribeKey", "alias/foreign", &BTreeMap::new()),
        kms("kms:DescribeKey", "foreign", &BTreeMap::new()),
        kms("kms:Decrypt", "alias/foreign", &BTreeMap::new()),
        kms("kms:Decrypt", "1a2b", &elsewhere),
        kms("kms:Decrypt", "alias/app", &elsewhere),
        kms("kms:Encrypt", "1a2b", &BTreeMap::new()),
    ]
}
