//! The tables, buckets and keys that the models need, checked at start: created if missing on the embedded backend, only
//! reported on AWS. Its requests belong to no call and are not billed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{KeyType, TableDescription, TimeToLiveSpecification};
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::figure::AwsOperation;
use crate::model::{Models, is_per_tenant};

use super::cause;
use super::clients::Stores;
use super::error::Error;
use super::meter;
use super::request::{Request, SdkFailure};
use super::table::Table;

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
pub(super) enum Need<'a> {
    Table(Table<'a>),
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
    /// The table exists, but lacks these indexes.
    MissingIndexes(Vec<String>),
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
pub(super) fn needs(models: &Models) -> Vec<Need<'_>> {
    let mut seen = BTreeSet::new();
    let tables = models.tables();
    let mut needs: Vec<Need<'_>> = tables.iter().filter_map(Table::needed).map(Need::Table).collect();
    for model in models.iter() {
        for encryption in model.encryptions() {
            if encryption.is_per_tenant() {
                // which tenants there are is not known
                continue;
            }
            if seen.insert(("key", encryption.key_id.as_str())) {
                needs.push(Need::Key(&encryption.key_id));
            }
        }
        let accepted = model.encryptions().flat_map(|encryption| &encryption.accepts);
        for key in accepted.filter(|key| !is_per_tenant(key)) {
            // another attribute may be encrypted under it
            if !seen.contains(&("key", key.as_str())) && seen.insert(("accepted key", key.as_str())) {
                needs.push(Need::AcceptedKey(key));
            }
        }
        for attribute in &model.attributes {
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
        Found::MissingIndexes(names) => return add_indexes(stores, need, &names).await,
        Found::Missing => {}
    }
    let created = match need {
        Need::Table(table) => create_table(stores, need, table).await,
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
        Need::Key(alias) if alias.starts_with("alias/") => {
            let created = stores.kms.create_key(alias).await;
            created.map_err(|failed| failed.cause)
        }
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
        Found::MissingIndexes(names) => Some(Warning::new(format!(
            "{} lacks the index {}",
            need.name(),
            names.join(", ")
        ))),
        Found::Mismatch(warning) => Some(Warning::new(warning)),
        Found::Unknown(error) => Some(need.unknown(error)),
    }
}

async fn check(stores: &Stores, need: &Need<'_>) -> Found {
    match need {
        Need::Table(table) => {
            let describe = stores.dynamodb.client.describe_table().table_name(table.name);
            match meter::with_endpoint(describe.send()).await {
                (Ok(output), _) => compare(table, output.table.as_ref()),
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

/// A table with other keys than the models' would reject every request, and one without an index those that read it.
fn compare(table: &Table<'_>, actual: Option<&TableDescription>) -> Found {
    let schema = actual.map(TableDescription::key_schema).unwrap_or_default();
    let of_kind = |kind: KeyType| schema.iter().filter(move |element| element.key_type == kind);
    let keys: Vec<_> = of_kind(KeyType::Hash)
        .chain(of_kind(KeyType::Range))
        .map(|element| element.attribute_name.as_str())
        .collect();
    if keys != table.keys() {
        return Found::Mismatch(format!(
            "the table {} has the keys {}, but its models require {}",
            table.name,
            keys.join(" and "),
            table.keys().join(" and ")
        ));
    }
    let missing = actual
        .map(|actual| table.missing_indexes(actual))
        .unwrap_or_default();
    match missing.is_empty() {
        true => Found::Present,
        false => Found::MissingIndexes(missing.into_iter().map(str::to_owned).collect()),
    }
}

async fn create_table(stores: &Stores, need: &Need<'_>, table: &Table<'_>) -> Result<(), String> {
    let create = stores.dynamodb.client.create_table();
    let create = table.create(create).map_err(|error| error.to_string())?;
    let created = create.send().await;
    created.map_err(|error| need.cause(AwsOperation::CreateTable, &error))?;
    match table.ttl.filter(|_| table.holds_markers) {
        Some(attribute) => enable_ttl(stores, need, table, attribute).await,
        None => Ok(()),
    }
}

/// Lets the items of a new table expire.
async fn enable_ttl(
    stores: &Stores,
    need: &Need<'_>,
    table: &Table<'_>,
    attribute: &str,
) -> Result<(), String> {
    let specification = TimeToLiveSpecification::builder()
        .attribute_name(attribute)
        .enabled(true)
        .build()
        .map_err(|error| error.to_string())?;
    let update = stores.dynamodb.client.update_time_to_live();
    let enabled = update
        .table_name(table.name)
        .time_to_live_specification(specification)
        .send()
        .await;
    enabled
        .map(|_| ())
        .map_err(|error| need.cause(AwsOperation::UpdateTimeToLive, &error))
}

/// Adds the global indexes that a table lacks, one after the other. Local ones can only be created with their table.
async fn add_indexes(
    stores: &Stores,
    need: &Need<'_>,
    names: &[String],
) -> Result<Option<Warning>, ProvisionError> {
    let Need::Table(table) = need else { return Ok(None) };
    let failed = |cause: String| ProvisionError {
        what: format!("an index of {}", need.name()),
        cause,
    };
    let mut impossible = Vec::new();
    for name in names {
        let Some(index) = table.indexes.get(name.as_str()).filter(|index| !index.local) else {
            impossible.push(name.as_str());
            continue;
        };
        let (update, definitions) = table
            .add_index(name, index, None)
            .map_err(|error| failed(error.to_string()))?;
        let sent = stores
            .dynamodb
            .client
            .update_table()
            .table_name(table.name)
            .set_attribute_definitions(Some(definitions))
            .global_secondary_index_updates(update)
            .send()
            .await;
        sent.map_err(|error| failed(need.cause(AwsOperation::UpdateTable, &error)))?;
    }
    Ok((!impossible.is_empty()).then(|| {
        Warning::new(format!(
            "{} lacks the local index {}, which requires a new table",
            need.name(),
            impossible.join(", ")
        ))
    }))
}

impl Need<'_> {
    fn name(&self) -> String {
        match self {
            Need::Table(table) => format!("the table {}", table.name),
            Need::Bucket { name, .. } => format!("the bucket {name}"),
            Need::Key(id) => format!("the KMS key {id}"),
            Need::AcceptedKey(id) => format!("the accepted KMS key {id}"),
        }
    }

    fn request(&self, operation: AwsOperation) -> Request<'_> {
        let name = match self {
            Need::Table(table) => table.name,
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
