//! The policy that `tollgate provision` needs: exactly the actions that it calls, on the tables, buckets and aliases of the
//! models. Pure.
//!
//! | statement | why | on |
//! |---|---|---|
//! | `ProvisionTables` | tables, indexes, time to live, point-in-time recovery | the tables |
//! | `ProvisionBuckets` | buckets, lifecycle rules, blocks of public access | the buckets |
//! | `CreateKeys` | `--keys` | all keys: a key that does not exist has no name |
//! | `CreateAliases` | `--keys` | the aliases, and the keys of the account |
//! | `CheckKeys` | whether the keys exist | the keys |

use std::collections::BTreeSet;

use super::policy::{Actions, Policy, Statement, encryptions, looked_up_keys, tables};
use super::scope::Scope;
use crate::model::{Models, is_per_tenant};

const PROVISION_TABLES: Actions = &[
    "dynamodb:CreateTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
];
/// `ListBucket` is the permission for HeadBucket.
const PROVISION_BUCKETS: Actions = &[
    "s3:CreateBucket",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetLifecycleConfiguration",
    "s3:ListBucket",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutLifecycleConfiguration",
];
const CREATE_KEYS: Actions = &["kms:CreateKey"];
const CREATE_ALIASES: Actions = &["kms:CreateAlias"];

/// The policy for these models.
pub(super) fn policy(models: &Models, scope: &Scope) -> Policy {
    let attributes = models.iter().flat_map(|model| &model.attributes);
    let offloads = attributes.filter_map(|attribute| attribute.s3.as_ref());
    let buckets = offloads
        .map(|offload| format!("arn:{}:s3:::{}", scope.partition, offload.bucket))
        .collect();
    let home = scope.home("kms");
    let mut aliases: BTreeSet<String> = encryptions(models)
        .map(|(_, encryption)| encryption.key_id.as_str())
        .filter(|id| id.starts_with("alias/") && !is_per_tenant(id))
        .map(|alias| format!("{home}{alias}"))
        .collect();
    let mut new_keys = BTreeSet::new();
    if !aliases.is_empty() {
        aliases.insert(format!("{home}key/*"));
        new_keys.insert("*".to_owned());
    }
    let mut statements = vec![
        Statement::allow("ProvisionTables", PROVISION_TABLES, tables(models, scope)),
        Statement::allow("ProvisionBuckets", PROVISION_BUCKETS, buckets),
        Statement::allow("CreateKeys", CREATE_KEYS, new_keys),
        Statement::allow("CreateAliases", CREATE_ALIASES, aliases),
    ];
    statements.extend(looked_up_keys(models, scope));
    Policy::of(statements)
}
