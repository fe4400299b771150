//! The policy against the requests of the code: the operations in `aws`, and every request of arbitrary models, evaluated
//! as IAM does.

mod judge;
mod operations;
mod requests;
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;

use self::judge::allows;
use self::requests::{foreign_requests, kms, requests};
use self::samples::{any_models, encrypted, encryption, model, models, owned};
use super::policy::Policy;
use super::scope::{ACCOUNT_PLACEHOLDER, Scope, account, partition, region};
use super::{MAX_MANAGED_CHARACTERS, size_note};
use crate::crypto::envelope;
use crate::model::{Encryption, EncryptionFormat, EncryptionMode, Models};

const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";
const KEY_ARN: &str = "arn:aws:kms:eu-west-1:444455556666:key/0b1c";
const ALIAS_ARN: &str = "arn:aws:kms:eu-west-1:444455556666:alias/far";

/// What each operation of the stores needs. None: only `tollgate provision` and the embedded backend call it.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
const NEEDED: &[(&str, Option<&str>)] = &[
    ("AbortMultipartUpload", Some("s3:AbortMultipartUpload")),
    ("BatchGetItem", Some("dynamodb:BatchGetItem")),
    ("BatchWriteItem", Some("dynamodb:BatchWriteItem")),
    ("CompleteMultipartUpload", Some("s3:PutObject")),
    ("CopyObject", Some("s3:PutObject")),
    ("CreateAlias", None),
    ("CreateBucket", None),
    ("CreateKey", None),
    ("CreateMultipartUpload", Some("s3:PutObject")),
    ("CreateTable", None),
    ("Decrypt", Some("kms:Decrypt")),
    ("DeleteItem", Some("dynamodb:DeleteItem")),
    ("DeleteObject", Some("s3:DeleteObject")),
    ("DescribeContinuousBackups", None),
    ("DescribeKey", Some("kms:DescribeKey")),
    ("DescribeTable", Some("dynamodb:DescribeTable")),
    ("DescribeTimeToLive", None),
    ("GenerateDataKey", Some("kms:GenerateDataKey")),
    ("GetBucketLifecycleConfiguration", None),
    ("GetItem", Some("dynamodb:GetItem")),
    ("GetObject", Some("s3:GetObject")),
    ("GetPublicAccessBlock", None),
    ("HeadBucket", Some("s3:ListBucket")),
    ("HeadObject", Some("s3:GetObject")),
    ("ListMultipartUploads", Some("s3:ListBucketMultipartUploads")),
    ("ListObjectsV2", Some("s3:ListBucket")),
    ("ListParts", Some("s3:ListMultipartUploadParts")),
    ("PutBucketLifecycleConfiguration", None),
    ("PutItem", Some("dynamodb:PutItem")),
    ("PutObject", Some("s3:PutObject")),
    ("PutPublicAccessBlock", None),
    ("Query", Some("dynamodb:Query")),
    ("Scan", Some("dynamodb:Scan")),
    ("TransactGetItems", Some("dynamodb:GetItem")),
    ("TransactWriteItems", Some("dynamodb:ConditionCheckItem")),
    ("UpdateContinuousBackups", None),
    ("UpdateItem", Some("dynamodb:UpdateItem")),
    ("UpdateTable", None),
    ("UpdateTimeToLive", None),
    ("UploadPart", Some("s3:PutObject")),
    ("UploadPartCopy", Some("s3:PutObject")),
];

/// What the operations need that only `tollgate provision` calls, and those that `tollgate serve` calls too.
const PROVISIONING: &[(&str, &str)] = &[
    ("CreateAlias", "kms:CreateAlias"),
    ("CreateBucket", "s3:CreateBucket"),
    ("CreateKey", "kms:CreateKey"),
    ("CreateTable", "dynamodb:CreateTable"),
    ("DescribeContinuousBackups", "dynamodb:DescribeContinuousBackups"),
    ("DescribeKey", "kms:DescribeKey"),
    ("DescribeTable", "dynamodb:DescribeTable"),
    ("DescribeTimeToLive", "dynamodb:DescribeTimeToLive"),
    ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("HeadBucket", "s3:ListBucket"),
    ("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    ("PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("UpdateContinuousBackups", "dynamodb:UpdateContinuousBackups"),
    ("UpdateTable", "dynamodb:UpdateTable"),
    ("UpdateTimeToLive", "dynamodb:UpdateTimeToLive"),
];

fn scope() -> Scope {
    Scope {
        region: REGION.into(),
        account: ACCOUNT.into(),
        partition: "aws".into(),
    }
}

fn unnamed() -> Scope {
    Scope {
        region: "*".into(),
        account: ACCOUNT_PLACEHOLDER.into(),
        partition: "aws".into(),
    }
}

fn json(models: &Models) -> Json {
    serde_json::from_str(&Policy::new(models, &scope()).to_json()).unwrap()
}

fn sids(policy: &Json) -> Vec<&str> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements
        .map(|statement| statement["Sid"].as_str().unwrap())
        .collect()
}

#[test]
fn the_committed_policy_is_that_of_the_example_models() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/iam/tollgate-policy.json");
    let policy = Policy::new(&Models::examples(), &unnamed()).to_json();
    assert_eq!(
        fs::read_to_string(file).unwrap_or_default(),
        policy,
        "tollgate iam --models models > deploy/iam/tollgate-policy.json"
    );
}

#[test]
fn encryption_modes_allow_only_what_they_need() {
    let of_mode = |mode| {
        let encryption = Encryption {
            mode,
            ..encryption("1a2b", &[])
        };
        json(&models([model("users", vec![encrypted(encryption)])]))
    };
    let items = ["ReadItems", "WriteItems", "CheckTables"];
    let with = |more: &[&'static str]| [&items[..], more].concat();
    let read_only = of_mode(EncryptionMode::ReadOnly);
    assert_eq!(sids(&read_only), with(&["OpenDataKeys", "CheckKeys"]));
    let write_only = of_mode(EncryptionMode::WriteOnly);
    assert_eq!(sids(&write_only), with(&["MakeDataKeys", "CheckKeys"]));
    let plain = json(&models([model("users", Vec::new())]));
    assert_eq!(sids(&plain), items);
}

#[test]
fn keys_are_named_by_arn_or_alias() {
    let names = ["1a2b", "alias/app", KEY_ARN, ALIAS_ARN];
    let attributes = names.map(|key_id| encrypted(encryption(key_id, &[])));
    let policy = json(&models([model("users", attributes.into())]));
    let checks: Vec<(&Json, &Json)> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|statement| statement["Action"][0] == "kms:DescribeKey")
        .map(|statement| (&statement["Resource"], &statement["Condition"]))
        .collect();
    let having =
        |alias: &str| serde_json::json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": [alias]}});
    let home = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key");
    let expected = [
        (serde_json::json!([format!("{home}/1a2b"), KEY_ARN]), Json::Null),
        (serde_json::json!([format!("{home}/*")]), having("alias/app")),
        (
            serde_json::json!(["arn:aws:kms:eu-west-1:444455556666:key/*"]),
            having("alias/far"),
        ),
    ];
    assert_eq!(checks, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
}

#[test]
fn data_keys_of_other_tables_and_contexts_are_refused() {
    let policy = json(&models([
        model(
            "users",
            vec![encrypted(encryption("1a2b", &[("app", "billing")]))],
        ),
        model("orders", vec![encrypted(encryption("1a2b", &[]))]),
    ]));
    let asked = |action: &'static str, context: &[(&str, &str)]| {
        allows(&policy, &kms(action, "1a2b", &owned(context)))
    };
    let table = envelope::TABLE_CONTEXT;
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        assert!(asked(action, &[("app", "billing"), (table, "users")]), "{action}");
        assert!(asked(action, &[(table, "orders")]), "{action}");
        assert!(!asked(action, &[(table, "users")]), "{action}");
        assert!(!asked(action, &[("app", "other"), (table, "users")]), "{action}");
        assert!(!asked(action, &[(table, "elsewhere")]), "{action}");
    }
    // a value that pydynox wrote does not open, nor is one made like it
    assert!(!asked("kms:Decrypt", &[("app", "billing")]));
    assert!(!asked("kms:GenerateDataKey", &[("app", "billing")]));
}

#[test]
fn pydynox_values_open_if_accepted() {
    let accepting = Encryption {
        accept_formats: vec![EncryptionFormat::Pydynox],
        ..encryption("1a2b", &[("app", "billing")])
    };
    let policy = json(&models([model("users", vec![encrypted(accepting)])]));
    let context = owned(&[("app", "billing")]);
    assert!(allows(&policy, &kms("kms:Decrypt", "1a2b", &context)));
    assert!(!allows(&policy, &kms("kms:GenerateDataKey", "1a2b", &context)));
}

#[test]
fn accepted_keys_only_decrypt() {
    let accepting = Encryption {
        accepts: vec!["mrk-7".to_owned(), "alias/app".to_owned()],
        ..encryption("1a2b", &[])
    };
    let policy = json(&models([model("users", vec![encrypted(accepting)])]));
    let context = owned(&[(envelope::TABLE_CONTEXT, "users")]);
    for key_id in ["1a2b", "mrk-7", "alias/app"] {
        assert!(allows(&policy, &kms("kms:Decrypt", key_id, &context)), "{key_id}");
        let makes = allows(&policy, &kms("kms:GenerateDataKey", key_id, &context));
        assert_eq!(makes, key_id == "1a2b");
        assert!(allows(&policy, &kms("kms:DescribeKey", key_id, &BTreeMap::new())));
    }
}

#[test]
fn a_key_with_the_alias_in_another_account_is_refused() {
    let models = models([model("users", vec![encrypted(encryption("alias/app", &[]))])]);
    let context = owned(&[(envelope::TABLE_CONTEXT, "users")]);
    let policy = json(&models);
    for action in ["kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"] {
        let mut asked = kms(action, "alias/app", &context);
        assert!(allows(&policy, &asked), "{action}");
        asked.resource = asked.resource.replace(ACCOUNT, "444455556666");
        assert!(!allows(&policy, &asked), "{action}");
    }
    let unnamed = Policy::new(&models, &unnamed()).to_json();
    assert!(
        !unnamed.contains(":*:key/") && unnamed.contains(":ACCOUNT_ID:key/*"),
        "{unnamed}"
    );
}

#[test]
fn a_context_that_conditions_cannot_express_is_left_out() {
    let inexpressible = [("App", "a"), ("app", "b"), ("ä b", "c"), ("plain", "${d}")];
    let policy = json(&models([model(
        "users",
        vec![encrypted(encryption("1a2b", &inexpressible))],
    )]));
    let made = &policy["Statement"][3];
    assert_eq!(made["Sid"], "MakeDataKeys");
    let expected = serde_json::json!({
        "kms:EncryptionContext:plain": ["${$}{d}"],
        "kms:EncryptionContext:tollgate:table": ["users"],
    });
    assert_eq!(made["Condition"]["StringEquals"], expected);
}

#[test]
fn large_policies_are_reported() {
    let large = models((0..60).map(|count| model(&format!("a_table_with_a_long_name_{count}"), Vec::new())));
    let characters = Policy::new(&large, &scope()).characters();
    assert!(characters > MAX_MANAGED_CHARACTERS);
    let note = size_note(characters).unwrap();
    assert!(
        note.contains(&characters.to_string()) && note.contains("6144"),
        "{note}"
    );
    assert_eq!(size_note(MAX_MANAGED_CHARACTERS), None);
    assert_eq!(
        size_note(Policy::new(&Models::examples(), &scope()).characters()),
        None
    );
}

#[test]
fn refuses_arguments_that_are_not_part_of_an_arn() {
    for name in ["*", "eu-central-1"] {
        assert_eq!(region(name).as_deref(), Ok(name));
    }
    for name in ["", "eu:central", "EU", "eu-*"] {
        assert!(region(name).is_err(), "{name}");
    }
    assert!(account(ACCOUNT_PLACEHOLDER).is_ok() && account(ACCOUNT).is_ok());
    assert!(account("*").is_err() && account("1234").is_err() && account("11112222333x").is_err());
    assert!(partition("aws-us-gov").is_ok());
    assert!(partition("*").is_err() && partition("azure").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_models_need_is_allowed_and_nothing_else(models in any_models()) {
        let policy = Policy::new(&models, &scope());
        let text = policy.to_json();
        prop_assert!(text.is_ascii());
        let policy: Json = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&policy["Version"], "2012-10-17");
        let sids = sids(&policy);
        prop_assert!(sids.iter().all(|sid| sid.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        prop_assert_eq!(sids.iter().collect::<BTreeSet<_>>().len(), sids.len());
        for request in models.iter().flat_map(|model| requests(model)) {
            prop_assert!(allows(&policy, &request), "{:?} under {}", request, text);
        }
        for request in foreign_requests() {
            prop_assert!(!allows(&policy, &request), "{:?} under {}", request, text);
        }
    }

    #[test]
    fn the_policy_of_any_region_allows_what_that_of_one_does(models in any_models()) {
        let anywhere = Scope { region: "*".into(), ..scope() };
        let policy = serde_json::from_str(&Policy::new(&models, &anywhere).to_json()).unwrap();
        for request in models.iter().flat_map(|model| requests(model)) {
            prop_assert!(allows(&policy, &request), "{:?}", request);
        }
    }
}
