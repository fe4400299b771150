//! Builds an IAM policy from models: exactly the actions that `aws` calls to serve them, each on the named resources
//! only. Pure; never allows what only `tollgate provision` and the embedded backend do, which create tables, buckets and
//! keys.
//!
//! | statement | why | on |
//! |---|---|---|
//! | `ReadItems`, `WriteItems` | calls | the tables |
//! | `ReadIndexes` | calls | the indexes |
//! | `CheckTables`, `CheckKeys`, `CheckBuckets` | the check at the start | the tables, keys and buckets |
//! | `MakeDataKeys` | encrypting attributes | their key, in their encryption context |
//! | `OpenDataKeys` | decrypting attributes | their key and accepted keys, in their encryption context |
//! | `KeepObjects` | object attributes | their bucket and prefix |
//!
//! A purpose that needs several statements numbers them from the second on. `CheckBuckets` also lets S3 return 404
//! instead of 403 for a missing object.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::scope::Scope;
use crate::crypto::envelope;
use crate::model::{Encryption, EncryptionFormat, EncryptionMode, Models, Offload, TENANT_PLACEHOLDER};

/// The version of the policy language with variables, which escape special characters.
const VERSION: &str = "2012-10-17";
/// The condition key of one name of an encryption context, before the name.
const CONTEXT_KEY: &str = "kms:EncryptionContext:";

/// Transactional reads need the permission of GetItem.
const READ_ITEMS: Actions = &[
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
];
const READ_INDEXES: Actions = &["dynamodb:Query", "dynamodb:Scan"];
/// Transactional writes need the permissions of the single ones, and one for checks.
const WRITE_ITEMS: Actions = &[
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
];
const CHECK_TABLES: Actions = &["dynamodb:DescribeTable"];
const MAKE_DATA_KEYS: Actions = &["kms:GenerateDataKey"];
const OPEN_DATA_KEYS: Actions = &["kms:Decrypt"];
const CHECK_KEYS: Actions = &["kms:DescribeKey"];
/// PutObject includes creating, uploading to and completing a multipart upload; GetObject includes HeadObject, and both
/// together CopyObject. In versioned buckets, objects are read by their version, and those that no item ever pointed to are
/// deleted by it.
const KEEP_OBJECTS: Actions = &[
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
];
/// The permissions for HeadBucket, and for the lists of a sweep.
const CHECK_BUCKETS: Actions = &["s3:ListBucket", "s3:ListBucketMultipartUploads"];

/// An identity-based policy.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    sid: String,
    effect: &'static str,
    action: Actions,
    resource: BTreeSet<String>,
    #[serde(skip_serializing_if = "Conditions::is_empty")]
    condition: Conditions,
}

pub(super) type Actions = &'static [&'static str];

/// By operator, then by condition key.
type Conditions = BTreeMap<&'static str, BTreeMap<String, BTreeSet<String>>>;

/// The key of a statement: a key by its ARN, or all keys with an alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    arn: String,
    alias: Option<String>,
}

/// The key and context of requests for data keys. Requests with equal terms differ at most in their table.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Terms {
    key: Key,
    /// The attribute's own context, as far as a policy can express it.
    context: BTreeMap<String, String>,
    /// How the table in the context is compared, if there is one.
    table_operator: Option<&'static str>,
}

/// Tables by the terms that their attributes have.
type TablesByTerms<'a> = BTreeMap<Terms, BTreeSet<&'a str>>;

impl Policy {
    /// The policy that these models need.
    pub(super) fn new(models: &Models, scope: &Scope) -> Policy {
        let mut statements = items(models, scope);
        statements.extend(data_keys(models, scope));
        statements.extend(objects(models, scope));
        Policy::of(statements)
    }

    /// A policy of these statements, without those that name nothing.
    pub(super) fn of(mut statements: Vec<Statement>) -> Policy {
        statements.retain(|statement| !statement.resource.is_empty());
        Policy {
            version: VERSION,
            statement: numbered(statements),
        }
    }

    /// The size as AWS counts it, without white space.
    pub(super) fn characters(&self) -> usize {
        let compact = serde_json::to_string(self).expect("a tree of strings is JSON");
        ascii(&compact).len()
    }

    /// The policy document, ending in a newline.
    pub(super) fn to_json(&self) -> String {
        let pretty = serde_json::to_string_pretty(self).expect("a tree of strings is JSON");
        ascii(&pretty) + "\n"
    }
}

fn items(models: &Models, scope: &Scope) -> Vec<Statement> {
    let home = scope.home("dynamodb");
    let tables = tables(models, scope);
    let indexes: BTreeSet<String> = models
        .iter()
        .flat_map(|model| {
            let indexes = model.indexes.iter();
            indexes.map(|index| format!("{home}table/{}/index/{}", model.table, index.stored_name))
        })
        .collect();
    vec![
        Statement::allow("ReadItems", READ_ITEMS, tables.clone()),
        Statement::allow("ReadIndexes", READ_INDEXES, indexes),
        Statement::allow("WriteItems", WRITE_ITEMS, tables.clone()),
        Statement::allow("CheckTables", CHECK_TABLES, tables),
    ]
}

/// The tables of the models.
pub(super) fn tables(models: &Models, scope: &Scope) -> BTreeSet<String> {
    let home = scope.home("dynamodb");
    let tables = models.tables();
    let tables = tables.iter();
    tables
        .map(|table| format!("{home}table/{}", table.name()))
        .collect()
}

fn data_keys(models: &Models, scope: &Scope) -> Vec<Statement> {
    let (mut made, mut opened) = (TablesByTerms::new(), TablesByTerms::new());
    let mut keys = BTreeSet::new();
    for (table, encryption) in encryptions(models) {
        if encryption.mode != EncryptionMode::ReadOnly {
            let key = Key::new(&encryption.key_id, scope);
            let terms = Terms::of_making(&key, encryption);
            made.entry(terms).or_default().insert(table);
        }
        for key in encryption.key_ids().map(|key_id| Key::new(key_id, scope)) {
            if encryption.mode != EncryptionMode::WriteOnly {
                let terms = Terms::of_opening(&key, encryption);
                opened.entry(terms).or_default().insert(table);
            }
            keys.insert(key);
        }
    }
    let mut statements = under_terms("MakeDataKeys", MAKE_DATA_KEYS, made);
    statements.extend(under_terms("OpenDataKeys", OPEN_DATA_KEYS, opened));
    statements.extend(check_keys(keys));
    statements
}

/// The statements that allow looking up the keys of the models.
pub(super) fn looked_up_keys(models: &Models, scope: &Scope) -> Vec<Statement> {
    let ids = encryptions(models).flat_map(|(_, encryption)| encryption.key_ids());
    check_keys(ids.map(|key_id| Key::new(key_id, scope)).collect())
}

/// The keys of encrypted attributes and of seals, each with its table.
pub(super) fn encryptions(models: &Models) -> impl Iterator<Item = (&str, &Encryption)> {
    models.iter().flat_map(|model| {
        let encryptions = model.encryptions();
        encryptions.map(|encryption| (model.table.as_str(), encryption))
    })
}

fn under_terms(sid: &str, action: Actions, tables_by_terms: TablesByTerms<'_>) -> Vec<Statement> {
    tables_by_terms
        .into_iter()
        .map(|(terms, tables)| Statement {
            condition: terms.conditions(&tables),
            ..Statement::allow(sid, action, BTreeSet::from([terms.key.arn]))
        })
        .collect()
}

/// One statement of the keys that are named themselves, and one per place of those that have an alias.
fn check_keys(keys: BTreeSet<Key>) -> Vec<Statement> {
    let mut named = BTreeSet::new();
    let mut aliases_by_arn: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Key { arn, alias } in keys {
        if let Some(alias) = alias {
            aliases_by_arn.entry(arn).or_default().insert(alias);
        } else {
            named.insert(arn);
        }
    }
    let mut statements = vec![Statement::allow("CheckKeys", CHECK_KEYS, named)];
    statements.extend(aliases_by_arn.into_iter().map(|(arn, aliases)| Statement {
        condition: having_alias(aliases),
        ..Statement::allow("CheckKeys", CHECK_KEYS, BTreeSet::from([arn]))
    }));
    statements
}

fn objects(models: &Models, scope: &Scope) -> Vec<Statement> {
    let (mut buckets, mut places) = (BTreeSet::new(), BTreeSet::new());
    let attributes = models.iter().flat_map(|model| &model.attributes);
    for Offload { bucket, prefix, .. } in attributes.filter_map(|attribute| attribute.s3.as_ref()) {
        let bucket = format!("arn:{}:s3:::{bucket}", scope.partition);
        places.insert(format!("{bucket}/{}*", literal(prefix)));
        buckets.insert(bucket);
    }
    vec![
        Statement::allow("KeepObjects", KEEP_OBJECTS, places),
        Statement::allow("CheckBuckets", CHECK_BUCKETS, buckets),
    ]
}

impl Statement {
    /// A statement without conditions.
    pub(super) fn allow(sid: &str, action: Actions, resource: BTreeSet<String>) -> Statement {
        Statement {
            sid: sid.to_owned(),
            effect: "Allow",
            action,
            resource,
            condition: Conditions::new(),
        }
    }
}

impl Scope {
    /// The prefix of the ARNs of a service.
    pub(super) fn home(&self, service: &str) -> String {
        format!(
            "arn:{}:{service}:{}:{}:",
            self.partition, self.region, self.account
        )
    }
}

impl Key {
    /// A key as a model names it: by its ARN, its id, its alias, or the alias's ARN. An alias names no resource that
    /// data keys are asked of, so that a condition has to. The account is always named: anybody's key can have an alias
    /// of that name.
    /// <https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html>
    fn new(key_id: &str, scope: &Scope) -> Key {
        let (home, resource) = match key_id.rsplit_once(':') {
            Some((home, resource)) => (format!("{home}:"), resource.to_owned()),
            // any tenant's
            None if key_id.starts_with("alias/") => {
                (scope.home("kms"), key_id.replace(TENANT_PLACEHOLDER, "*"))
            }
            None => (scope.home("kms"), format!("key/{key_id}")),
        };
        let is_alias = resource.starts_with("alias/");
        Key {
            arn: home + if is_alias { "key/*" } else { &resource },
            alias: is_alias.then_some(resource),
        }
    }
}

impl Terms {
    /// An attribute's data keys are made in the context of the format that is written.
    fn of_making(key: &Key, encryption: &Encryption) -> Terms {
        Terms {
            key: key.clone(),
            context: tellable(&encryption.context),
            table_operator: match encryption.format {
                EncryptionFormat::Sealed => Some("StringEquals"),
                EncryptionFormat::Pydynox => None,
            },
        }
    }

    /// `sealed` is always read, and has the table in its context; `pydynox`, if it is read as well, has not.
    fn of_opening(key: &Key, encryption: &Encryption) -> Terms {
        let reads_pydynox = encryption.reads(EncryptionFormat::Pydynox);
        Terms {
            key: key.clone(),
            context: tellable(&encryption.context),
            table_operator: Some(if reads_pydynox {
                "StringEqualsIfExists"
            } else {
                "StringEquals"
            }),
        }
    }

    fn conditions(&self, tables: &BTreeSet<&str>) -> Conditions {
        let mut conditions = having_alias(self.key.alias.iter().cloned().collect());
        for (name, value) in &self.context {
            let value = BTreeSet::from([without_variables(value)]);
            conditions
                .entry("StringEquals")
                .or_default()
                .insert(format!("{CONTEXT_KEY}{name}"), value);
        }
        if let Some(operator) = self.table_operator {
            let tables = tables.iter().map(|&table| table.to_owned()).collect();
            conditions
                .entry(operator)
                .or_default()
                .insert(format!("{CONTEXT_KEY}{}", envelope::TABLE_CONTEXT), tables);
        }
        conditions
    }
}

/// `None` if the key is named by its ARN.
fn having_alias(aliases: BTreeSet<String>) -> Conditions {
    if aliases.is_empty() {
        return Conditions::new();
    }
    let operator = match aliases.iter().any(|alias| alias.contains('*')) {
        true => "ForAnyValue:StringLike",
        false => "ForAnyValue:StringEquals",
    };
    let condition = BTreeMap::from([("kms:ResourceAliases".to_owned(), aliases)]);
    Conditions::from([(operator, condition)])
}

/// The part of a context that conditions can ask for: names that may stand in a condition key, where case makes no
/// difference. The rest is left to KMS itself, which opens nothing in another context.
fn tellable(context: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    let is_tellable = |name: &str| {
        let alike = context.keys().filter(|other| other.eq_ignore_ascii_case(name));
        name.bytes().all(may_stand) && alike.count() == 1
    };
    context
        .iter()
        .filter(|(name, _)| is_tellable(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Escapes text in an ARN: `*`, `?` and `$` lose their special meaning.
fn literal(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '*' | '?' | '$' => format!("${{{character}}}"),
        other => other.to_string(),
    });
    escaped.collect()
}

/// A condition's value that means itself: compared as a whole, but variables are filled in there too.
fn without_variables(value: &str) -> String {
    value.replace('$', "${$}")
}

/// No two statements of a policy have the same Sid.
fn numbered(mut statements: Vec<Statement>) -> Vec<Statement> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for statement in &mut statements {
        let count = counts.entry(statement.sid.clone()).or_default();
        *count += 1;
        if *count > 1 {
            statement.sid += &count.to_string();
        }
    }
    statements
}

/// JSON in ASCII: IAM does not accept characters above U+00FF.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
