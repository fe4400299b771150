//! The tables, buckets and keys that the models need, checked at start: created if missing on the embedded backend, only
//! reported on AWS. Its requests belong to no call and are not billed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription,
};
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::figure::AwsOperation;
use crate::model::{AttributeType, Model, Models};

use super::cause;
use super::clients::Stores;
use super::error::Error;
use super::meter;
use super::request::{Request, SdkFailure};

/// Time limit for all checks and creations together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the embedded backend could not create, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("embedded backend cannot create {what}: {cause}")]
pub struct ProvisionError {
    what: String,
    cause: String,
}

/// A resource that models need.
#[derive(Clone, Debug)]
enum Need<'a> {
    Table(&'a Model),
    Bucket {
        name: &'a str,
        region: Option<&'a str>,
    },
    Key(&'a str),
    /// A key that only decrypts: it decrypts stored values, and encrypts no new ones.
    AcceptedKey(&'a str),
}

/// The state of a [`Need`].
enum Found {
    Present,
    Missing,
    /// It exists, but is not as the models need it.
    Mismatch(String),
    /// The check failed.
    Unknown(Box<Error>),
}

/// A resource that is missing, does not match the models, or could not be checked.
#[derive(Clone, Debug)]
pub struct Warning {
    /// One line.
    pub text: String,
    /// Why it could not be checked.
    pub error: Option<Box<Error>>,
}

/// Creates the tables, buckets and key aliases that the models need and that are missing. Returns a warning for each one
/// that exists but does not match the models.
///
/// # Errors
///
/// The first resource that could not be created.
pub async fn provision(stores: &Stores, models: &Models) -> Result<Vec<Warning>, ProvisionError> {
    let needs = needs(models);
    let mut ensured: FuturesUnordered<_> = needs.iter().map(|need| ensure(stores, need)).collect();
    let mut warnings = Vec::new();
    let all = async {
        while let Some(result) = ensured.next().await {
            warnings.extend(result?);
        }
        Ok(())
    };
    let elapsed = |_| ProvisionError {
        what: "the resources of the models".to_owned(),
        cause: "timed out".to_owned(),
    };
    tokio::time::timeout(TIMEOUT, all).await.map_err(elapsed)??;
    warnings.sort_by(|one: &Warning, other| one.text.cmp(&other.text));
    Ok(warnings)
}

/// Returns a warning for each resource that the models need and the stores lack, by name. Changes nothing.
pub async fn missing(stores: &Stores, models: &Models) -> Vec<Warning> {
    let needs = needs(models);
    let reported: FuturesUnordered<_> = needs.iter().map(|need| report(stores, need)).collect();
    let all = reported.filter_map(std::future::ready).collect::<Vec<Warning>>();
    match tokio::time::timeout(TIMEOUT, all).await {
        Ok(mut warnings) => {
            warnings.sort_by(|one, other| one.text.cmp(&other.text));
            warnings
        }
        Err(_elapsed) => vec![Warning::new("timed out while checking what the models need")],
    }
}

/// Each resource once, however many models need it.
fn needs(models: &Models) -> Vec<Need<'_>> {
    let mut seen = BTreeSet::new();
    let mut needs = Vec::new();
    for model in models.iter() {
        if seen.insert(("table", model.table.as_str())) {
            needs.push(Need::Table(model));
        }
        for attribute in &model.attributes {
            if let Some(encryption) = &attribute.encrypted
                && seen.insert(("key", encryption.key_id.as_str()))
            {
                needs.push(Need::Key(&encryption.key_id));
            }
            let accepted = attribute
                .encrypted
                .iter()
                .flat_map(|encryption| &encryption.accepts);
            needs.extend(
                accepted
                    .filter(|key| seen.insert(("accepted key", key.as_str())))
                    .map(|key| Need::AcceptedKey(key)),
            );
            if let Some(offload) = &attribute.s3
                && seen.insert(("bucket", offload.bucket.as_str()))
            {
                needs.push(Need::Bucket {
                    name: &offload.bucket,
                    region: offload.region.as_deref(),
                });
            }
        }
    }
    needs
}

async fn ensure(stores: &Stores, need: &Need<'_>) -> Result<Option<Warning>, ProvisionError> {
    match check(stores, need).await {
        Found::Present => return Ok(None),
        Found::Mismatch(warning) => return Ok(Some(Warning::new(warning))),
        Found::Unknown(error) => return Ok(Some(need.unknown(error))),
        Found::Missing => {}
    }
    let created = match need {
        Need::Table(model) => create_table(stores, need, model).await,
        Need::Bucket { name, region } => {
            let client = stores.s3.client(*region);
            client
                .create_bucket()
                .bucket(*name)
                .send()
                .await
                .map(|_| ())
                .map_err(|error| need.cause(AwsOperation::CreateBucket, &error))
        }
        Need::Key(alias) if alias.starts_with("alias/") => create_key(stores, need, alias).await,
        // a new key could not decrypt anything stored
        Need::AcceptedKey(_) => {
            return Ok(Some(Warning::new(format!("{} is missing", need.name()))));
        }
        // KMS assigns ids and ARNs: a key cannot be created under a given one
        Need::Key(_) => {
            let text = format!(
                "{} is missing: the embedded KMS can create only keys with an alias",
                need.name()
            );
            return Ok(Some(Warning::new(text)));
        }
    };
    match created {
        Ok(()) => Ok(None),
        Err(cause) => Err(ProvisionError {
            what: need.name(),
            cause,
        }),
    }
}

async fn report(stores: &Stores, need: &Need<'_>) -> Option<Warning> {
    match check(stores, need).await {
        Found::Present => None,
        Found::Missing => Some(Warning::new(format!("{} is missing", need.name()))),
        Found::Mismatch(warning) => Some(Warning::new(warning)),
        Found::Unknown(error) => Some(need.unknown(error)),
    }
}

async fn check(stores: &Stores, need: &Need<'_>) -> Found {
    match need {
        Need::Table(model) => {
            let describe = stores.dynamodb.client.describe_table().table_name(&model.table);
            match meter::with_endpoint(describe.send()).await {
                (Ok(output), _) => compare_keys(model, output.table.as_ref()),
                (Err(error), endpoint) => match error.as_service_error() {
                    Some(DescribeTableError::ResourceNotFoundException(_)) => Found::Missing,
                    // any other error, and the SDK's enum is non-exhaustive: the state is unknown
                    _ => Found::Unknown(Box::new(
                        need.request(AwsOperation::DescribeTable)
                            .sdk_error(error, endpoint),
                    )),
                },
            }
        }
        Need::Bucket { name, region } => {
            let client = stores.s3.client(*region);
            match meter::with_endpoint(client.head_bucket().bucket(*name).send()).await {
                (Ok(_), _) => Found::Present,
                (Err(error), _) if status(&error) == Some(404) => Found::Missing,
                (Err(error), endpoint) => Found::Unknown(Box::new(
                    need.request(AwsOperation::HeadBucket).sdk_error(error, endpoint),
                )),
            }
        }
        Need::Key(id) | Need::AcceptedKey(id) => {
            let describe = stores.kms.client.describe_key().key_id(*id);
            match meter::with_endpoint(describe.send()).await {
                (Ok(output), _) => {
                    let metadata = output.key_metadata.as_ref();
                    let arn = metadata.and_then(|key| key.arn.as_deref()).unwrap_or_default();
                    stores.kms.aliases.remember(id, arn);
                    match metadata.is_some_and(|key| key.enabled) {
                        true => Found::Present,
                        false => Found::Mismatch(format!("{} is not enabled", need.name())),
                    }
                }
                (Err(error), endpoint) => match error.as_service_error() {
                    Some(DescribeKeyError::NotFoundException(_)) => Found::Missing,
                    // any other error, and the SDK's enum is non-exhaustive: the state is unknown
                    _ => Found::Unknown(Box::new(
                        need.request(AwsOperation::DescribeKey).sdk_error(error, endpoint),
                    )),
                },
            }
        }
    }
}

/// A table with other keys than the model's would reject every request.
fn compare_keys(model: &Model, table: Option<&TableDescription>) -> Found {
    let schema = table.map(TableDescription::key_schema).unwrap_or_default();
    let name_of = |kind: KeyType| {
        schema
            .iter()
            .find(|element| element.key_type == kind)
            .map(|element| element.attribute_name.as_str())
    };
    let actual = (name_of(KeyType::Hash), name_of(KeyType::Range));
    let wanted = (Some(model.partition_key.as_str()), model.sort_key.as_deref());
    if actual == wanted {
        return Found::Present;
    }
    let keys = |(partition, sort): (Option<&str>, Option<&str>)| {
        partition
            .into_iter()
            .chain(sort)
            .collect::<Vec<_>>()
            .join(" and ")
    };
    Found::Mismatch(format!(
        "the table {} has the keys {}, but the model {} requires {}",
        model.table,
        keys(actual),
        model.name,
        keys(wanted)
    ))
}

async fn create_table(stores: &Stores, need: &Need<'_>, model: &Model) -> Result<(), String> {
    let mut create = stores
        .dynamodb
        .client
        .create_table()
        .table_name(&model.table)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in model.key_names().zip([KeyType::Hash, KeyType::Range]) {
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(scalar_type(model, name))
            .build();
        let element = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build();
        create = create
            .attribute_definitions(definition.map_err(|error| error.to_string())?)
            .key_schema(element.map_err(|error| error.to_string())?);
    }
    let created = create.send().await;
    created
        .map(|_| ())
        .map_err(|error| need.cause(AwsOperation::CreateTable, &error))
}

async fn create_key(stores: &Stores, need: &Need<'_>, alias: &str) -> Result<(), String> {
    let created = stores
        .kms
        .client
        .create_key()
        .description("made by tollgate")
        .send()
        .await
        .map_err(|error| need.cause(AwsOperation::CreateKey, &error))?;
    let metadata = created.key_metadata;
    let arn = metadata.as_ref().and_then(|key| key.arn.clone());
    let id = metadata.map(|key| key.key_id).unwrap_or_default();
    stores
        .kms
        .client
        .create_alias()
        .alias_name(alias)
        .target_key_id(id)
        .send()
        .await
        .map_err(|error| need.cause(AwsOperation::CreateAlias, &error))?;
    stores.kms.aliases.remember(alias, &arn.unwrap_or_default());
    Ok(())
}

/// The type of a key attribute; the model parser allows only strings, numbers and binaries.
fn scalar_type(model: &Model, name: &str) -> ScalarAttributeType {
    match model.attribute(name).map(|attribute| attribute.kind) {
        Some(AttributeType::Number | AttributeType::Ttl | AttributeType::Version) => ScalarAttributeType::N,
        Some(AttributeType::Binary) => ScalarAttributeType::B,
        Some(
            AttributeType::String
            | AttributeType::Boolean
            | AttributeType::List
            | AttributeType::Map
            | AttributeType::Object
            | AttributeType::StringSet
            | AttributeType::NumberSet
            | AttributeType::BinarySet
            | AttributeType::Json
            | AttributeType::Datetime,
        )
        | None => ScalarAttributeType::S,
    }
}

impl Need<'_> {
    fn name(&self) -> String {
        match self {
            Need::Table(model) => format!("the table {}", model.table),
            Need::Bucket { name, .. } => format!("the bucket {name}"),
            Need::Key(id) => format!("the KMS key {id}"),
            Need::AcceptedKey(id) => format!("the accepted KMS key {id}"),
        }
    }

    fn request(&self, operation: AwsOperation) -> Request<'_> {
        let name = match self {
            Need::Table(model) => model.table.as_str(),
            Need::Bucket { name, .. } => *name,
            Need::Key(id) | Need::AcceptedKey(id) => *id,
        };
        Request::new(operation, name)
    }

    /// Why it could not be created, without the SDK's debug output.
    fn cause<E: SdkFailure>(&self, operation: AwsOperation, error: &SdkError<E, HttpResponse>) -> String {
        cause::text(&self.request(operation), error)
    }

    fn unknown(&self, error: Box<Error>) -> Warning {
        Warning {
            text: format!("{} could not be checked", self.name()),
            error: Some(error),
        }
    }
}

impl fmt::Display for Warning {
    /// In one line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(formatter, "{}: {}", self.text, error.cause),
            None => formatter.write_str(&self.text),
        }
    }
}

impl Warning {
    fn new(text: impl Into<String>) -> Warning {
        Warning {
            text: text.into(),
            error: None,
        }
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
