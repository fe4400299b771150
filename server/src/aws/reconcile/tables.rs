//! Tables: compares them with what the models need, and adds what is missing, one step at a time, as DynamoDB requires.

use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    ContinuousBackupsDescription, IndexStatus, PointInTimeRecoverySpecification, PointInTimeRecoveryStatus,
    ProvisionedThroughput, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::figure::AwsOperation;

use super::super::cause;
use super::super::clients::Stores;
use super::super::request::{Request, SdkFailure};
use super::super::table::Table;
use super::difference::{Difference, Remedy, Step, Wait};
use super::shape::TableShape;

/// Why another key or local index is not added.
const NEEDS_NEW_TABLE: &str =
    "keys and local indexes are fixed when a table is created: a new table is needed";

/// Codes of requests that succeed once the table is no longer busy.
const BUSY: &[&str] = &[
    "ContinuousBackupsUnavailableException",
    "LimitExceededException",
    "ResourceInUseException",
];

/// What differs, and the lines about what no model uses.
pub(super) async fn inspect(
    stores: &Stores,
    table: &Table<'_>,
    with_recovery: bool,
) -> Result<(Vec<Difference>, Vec<String>), String> {
    let wanted = TableShape::wanted(table);
    let Some(actual) = describe(stores, table).await? else {
        return Ok((missing(table, &wanted, with_recovery), Vec::new()));
    };
    let found = TableShape::found(&actual);
    let mut differences = compare(&wanted, &found);
    let mut unused: Vec<String> = found
        .indexes
        .iter()
        .filter(|(name, _)| !wanted.indexes.contains_key(*name))
        .map(|(name, shape)| shape.line(name))
        .collect();
    let expires_by = ttl(stores, table).await?;
    match (table.ttl, expires_by) {
        (Some(attribute), None) => {
            let step = Step::EnableTtl(attribute.to_owned());
            differences.push(Difference::missing(ttl_line(attribute), step));
        }
        (Some(attribute), Some(other)) if attribute != other => differences.push(Difference::manual(
            Some(ttl_line(&other)),
            ttl_line(attribute),
            "a table has one such attribute: disable it first, which takes up to an hour, and run this again",
        )),
        (None, Some(other)) => unused.push(ttl_line(&other)),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if with_recovery && !has_recovery(stores, table).await? {
        differences.push(Difference::missing(RECOVERY, Step::EnableRecovery));
    }
    Ok((differences, unused))
}

/// The line about point-in-time recovery.
const RECOVERY: &str = "point-in-time recovery";

fn ttl_line(attribute: &str) -> String {
    format!("time to live: {attribute}")
}

/// Everything about a table that does not exist.
fn missing(table: &Table<'_>, wanted: &TableShape, with_recovery: bool) -> Vec<Difference> {
    let mut lines = vec![format!("table {}: {}, on demand", table.name, wanted.keys)];
    lines.extend(wanted.indexes.iter().map(|(name, shape)| shape.line(name)));
    let mut differences = vec![Difference {
        found: Vec::new(),
        wanted: lines,
        remedy: Remedy::Step(Step::CreateTable),
    }];
    differences.extend(
        table
            .ttl
            .map(|attribute| Difference::missing(ttl_line(attribute), Step::EnableTtl(attribute.to_owned()))),
    );
    differences.extend(with_recovery.then(|| Difference::missing(RECOVERY, Step::EnableRecovery)));
    differences
}

/// Compares keys and indexes.
fn compare(wanted: &TableShape, found: &TableShape) -> Vec<Difference> {
    let mut differences = Vec::new();
    if wanted.keys != found.keys {
        differences.push(Difference::manual(
            Some(format!("keys: {}", found.keys)),
            format!("keys: {}", wanted.keys),
            NEEDS_NEW_TABLE,
        ));
    }
    for (name, shape) in &wanted.indexes {
        let line = shape.line(name);
        match found.indexes.get(name) {
            Some(actual) if actual == shape => {}
            None if shape.local => differences.push(Difference::manual(None, line, NEEDS_NEW_TABLE)),
            None => differences.push(Difference::missing(line, Step::AddIndex(name.clone()))),
            Some(actual) => {
                let reason = match shape.local || actual.local {
                    true => NEEDS_NEW_TABLE,
                    false => {
                        "an index cannot be changed: delete it and run this again, or give it another `name` in the models"
                    }
                };
                differences.push(Difference::manual(Some(actual.line(name)), line, reason));
            }
        }
    }
    differences
}

/// Does the steps in order; each waits until the table is ready.
pub(super) async fn apply(
    stores: &Stores,
    table: &Table<'_>,
    steps: &[&Step],
    wait: &mut Wait<'_>,
) -> Result<(), String> {
    for step in steps {
        if **step == Step::CreateTable {
            wait.report(&format!("table {}: creating", table.name));
            create(stores, table).await?;
            continue;
        }
        let actual = until_ready(stores, table, wait).await?;
        while !change(stores, table, &actual, step).await? {
            wait.pause(&format!("table {}: busy", table.name)).await?;
        }
    }
    until_ready(stores, table, wait).await.map(|_| ())
}

async fn create(stores: &Stores, table: &Table<'_>) -> Result<(), String> {
    let client = &stores.dynamodb.client;
    let create = table
        .create(client.create_table())
        .map_err(|error| error.to_string())?;
    let created = create.send().await;
    created
        .map(|_| ())
        .map_err(|error| text(AwsOperation::CreateTable, table, &error))
}

/// Sends one change. Returns false if the table is busy.
async fn change(
    stores: &Stores,
    table: &Table<'_>,
    actual: &TableDescription,
    step: &Step,
) -> Result<bool, String> {
    let client = &stores.dynamodb.client;
    match step {
        Step::AddIndex(name) => {
            let Some(index) = table.indexes.get(name.as_str()) else {
                return Ok(true);
            };
            let (update, definitions) = table
                .add_index(name, index, throughput(actual))
                .map_err(|error| error.to_string())?;
            let sent = client
                .update_table()
                .table_name(table.name)
                .set_attribute_definitions(Some(definitions))
                .global_secondary_index_updates(update)
                .send()
                .await;
            accepted(AwsOperation::UpdateTable, table, sent)
        }
        Step::EnableTtl(attribute) => {
            let specification = TimeToLiveSpecification::builder()
                .attribute_name(attribute)
                .enabled(true)
                .build()
                .map_err(|error| error.to_string())?;
            let sent = client
                .update_time_to_live()
                .table_name(table.name)
                .time_to_live_specification(specification)
                .send()
                .await;
            accepted(AwsOperation::UpdateTimeToLive, table, sent)
        }
        Step::EnableRecovery => {
            let specification = PointInTimeRecoverySpecification::builder()
                .point_in_time_recovery_enabled(true)
                .build()
                .map_err(|error| error.to_string())?;
            let sent = client
                .update_continuous_backups()
                .table_name(table.name)
                .point_in_time_recovery_specification(specification)
                .send()
                .await;
            accepted(AwsOperation::UpdateContinuousBackups, table, sent)
        }
        Step::CreateTable
        | Step::CreateBucket
        | Step::AddLifecycle
        | Step::BlockPublicAccess
        | Step::CreateKey => Ok(true),
    }
}

fn accepted<T, E: SdkFailure>(
    operation: AwsOperation,
    table: &Table<'_>,
    sent: Result<T, SdkError<E, HttpResponse>>,
) -> Result<bool, String> {
    let Err(error) = sent else { return Ok(true) };
    let code = error.as_service_error().and_then(cause::code);
    match code.is_some_and(|code| BUSY.contains(&code)) {
        true => Ok(false),
        false => Err(text(operation, table, &error)),
    }
}

/// The capacity of a table that has provisioned capacity, which a new index gets too.
fn throughput(actual: &TableDescription) -> Option<ProvisionedThroughput> {
    let provisioned = actual.provisioned_throughput()?;
    let (read, write) = (
        provisioned.read_capacity_units()?,
        provisioned.write_capacity_units()?,
    );
    let throughput = ProvisionedThroughput::builder()
        .read_capacity_units(read)
        .write_capacity_units(write)
        .build();
    // on demand, both are 0
    throughput.ok().filter(|_| read > 0 && write > 0)
}

/// Waits until the table and its indexes are active.
async fn until_ready(
    stores: &Stores,
    table: &Table<'_>,
    wait: &mut Wait<'_>,
) -> Result<TableDescription, String> {
    loop {
        let what = match describe(stores, table).await? {
            Some(actual) => match not_ready(table, &actual) {
                Some(what) => what,
                None => return Ok(actual),
            },
            // a new table may not be visible yet
            None => format!("table {}: not visible yet", table.name),
        };
        wait.pause(&what).await?;
    }
}

/// What is still in progress.
fn not_ready(table: &Table<'_>, actual: &TableDescription) -> Option<String> {
    let name = table.name;
    match actual.table_status() {
        Some(TableStatus::Active) | None => {}
        Some(status) => return Some(format!("table {name}: {}", status.as_str().to_lowercase())),
    }
    let busy = actual
        .global_secondary_indexes()
        .iter()
        .find(|index| !matches!(index.index_status(), Some(IndexStatus::Active) | None))?;
    let status = busy.index_status().map(IndexStatus::as_str).unwrap_or_default();
    let backfilling = match busy.backfilling() {
        Some(true) => ", adding the items",
        Some(false) | None => "",
    };
    Some(format!(
        "table {name}: index {}: {}{backfilling}",
        busy.index_name().unwrap_or_default(),
        status.to_lowercase()
    ))
}

async fn describe(stores: &Stores, table: &Table<'_>) -> Result<Option<TableDescription>, String> {
    let client = &stores.dynamodb.client;
    let described = client.describe_table().table_name(table.name).send().await;
    match described {
        Ok(output) => Ok(output.table),
        Err(error) => match error.as_service_error() {
            Some(DescribeTableError::ResourceNotFoundException(_)) => Ok(None),
            // any other error, and the SDK's enum is non-exhaustive: the state is unknown
            _ => Err(text(AwsOperation::DescribeTable, table, &error)),
        },
    }
}

/// The attribute by which items expire.
async fn ttl(stores: &Stores, table: &Table<'_>) -> Result<Option<String>, String> {
    let client = &stores.dynamodb.client;
    let described = client
        .describe_time_to_live()
        .table_name(table.name)
        .send()
        .await
        .map_err(|error| text(AwsOperation::DescribeTimeToLive, table, &error))?;
    let description = described
        .time_to_live_description
        .filter(|ttl| match ttl.time_to_live_status() {
            Some(TimeToLiveStatus::Disabled | TimeToLiveStatus::Disabling) | None => false,
            // enabled or being enabled; the SDK's enum is non-exhaustive
            Some(_) => true,
        });
    Ok(description.and_then(|ttl| ttl.attribute_name))
}

async fn has_recovery(stores: &Stores, table: &Table<'_>) -> Result<bool, String> {
    let client = &stores.dynamodb.client;
    let described = client
        .describe_continuous_backups()
        .table_name(table.name)
        .send()
        .await
        .map_err(|error| text(AwsOperation::DescribeContinuousBackups, table, &error))?;
    let recovery = described
        .continuous_backups_description
        .as_ref()
        .and_then(ContinuousBackupsDescription::point_in_time_recovery_description)
        .and_then(|recovery| recovery.point_in_time_recovery_status().cloned());
    Ok(recovery == Some(PointInTimeRecoveryStatus::Enabled))
}

fn text<E: SdkFailure>(
    operation: AwsOperation,
    table: &Table<'_>,
    error: &SdkError<E, HttpResponse>,
) -> String {
    let cause = cause::text(&Request::new(operation, table.name), error);
    format!("{operation}: {cause}")
}
