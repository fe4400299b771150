//! Which operations there are, what each needs, and their way through dynoxide's typed API. Never decides what an
//! item may hold.

use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dynoxide::DynoxideError;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::actions::transact_write_items::{TransactWriteItemsRequest, TransactWriteItemsResponse};
use dynoxide::actions::{
    batch_get_item, batch_write_item, create_table, delete_item, delete_table, describe_table,
    describe_time_to_live, get_item, list_tables, list_tags_of_resource, put_item, tag_resource,
    transact_get_items, transact_write_items, untag_resource, update_item, update_table, update_time_to_live,
};
use dynoxide::storage::Storage;
use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::Handle;
use super::pages;
use super::tokens::{Tokens, Verdict, replay_read};
use super::wire;

const TARGET_PREFIX: &str = "DynamoDB_20120810.";
/// A read of several statements sees one moment of the database.
const BEGIN_SNAPSHOT: &str = "BEGIN";
/// A crash between the statements of a change would leave half a table.
const BEGIN_CHANGE: &str = "BEGIN IMMEDIATE";

/// Statuses from here on are the engine's own faults.
const SERVER_ERROR: u16 = 500;

/// A response's body, or the operation's error.
type Outcome = Result<Vec<u8>, DynoxideError>;

/// An operation of DynamoDB's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    ListTables,
    ListTagsOfResource,
    PutItem,
    Query,
    Scan,
    TagResource,
    TransactGetItems,
    TransactWriteItems,
    UntagResource,
    UpdateItem,
    UpdateTable,
    UpdateTimeToLive,
}

impl Operation {
    /// Reads `x-amz-target`.
    pub(super) fn from_target(target: &str) -> Option<Self> {
        Some(match target.strip_prefix(TARGET_PREFIX)? {
            "BatchGetItem" => Self::BatchGetItem,
            "BatchWriteItem" => Self::BatchWriteItem,
            "CreateTable" => Self::CreateTable,
            "DeleteItem" => Self::DeleteItem,
            "DeleteTable" => Self::DeleteTable,
            "DescribeTable" => Self::DescribeTable,
            "DescribeTimeToLive" => Self::DescribeTimeToLive,
            "GetItem" => Self::GetItem,
            "ListTables" => Self::ListTables,
            "ListTagsOfResource" => Self::ListTagsOfResource,
            "PutItem" => Self::PutItem,
            "Query" => Self::Query,
            "Scan" => Self::Scan,
            "TagResource" => Self::TagResource,
            "TransactGetItems" => Self::TransactGetItems,
            "TransactWriteItems" => Self::TransactWriteItems,
            "UntagResource" => Self::UntagResource,
            "UpdateItem" => Self::UpdateItem,
            "UpdateTable" => Self::UpdateTable,
            "UpdateTimeToLive" => Self::UpdateTimeToLive,
            _ => return None,
        })
    }

    /// Whether a reading handle can do it.
    pub(super) fn only_reads(self) -> bool {
        self.reads_in_steps()
            || matches!(
                self,
                Self::GetItem | Self::ListTables | Self::DescribeTimeToLive | Self::ListTagsOfResource
            )
    }

    /// Whether DynamoDB wraps its request-validation messages in an envelope.
    pub(super) fn envelopes_validation(self) -> bool {
        matches!(self, Self::PutItem | Self::UpdateItem | Self::DeleteItem)
    }

    /// How the transaction around it begins, where it has several statements and dynoxide makes none itself.
    fn transaction(self) -> Option<&'static str> {
        if self.reads_in_steps() {
            return Some(BEGIN_SNAPSHOT);
        }
        matches!(self, Self::CreateTable | Self::DeleteTable).then_some(BEGIN_CHANGE)
    }

    /// Whether it reads by several statements, which must not see a write in between.
    fn reads_in_steps(self) -> bool {
        matches!(
            self,
            Self::Query | Self::Scan | Self::BatchGetItem | Self::TransactGetItems | Self::DescribeTable
        )
    }

    /// Whether it changes what other handles have cached.
    fn changes_tables(self) -> bool {
        matches!(
            self,
            Self::CreateTable | Self::DeleteTable | Self::UpdateTable | Self::UpdateTimeToLive
        )
    }
}

/// Answers one request; every failure is a response too.
pub(super) fn answer(handle: &mut Handle, operation: Operation, body: &[u8]) -> HttpResponse {
    if let Err(failure) = handle.refresh() {
        tracing::error!(%failure, "a dynamodb handle could not be opened anew");
        return wire::internal_error();
    }
    let outcome = match operation.transaction() {
        Some(begin) => in_transaction(handle, operation, body, begin),
        None => run(handle, operation, body),
    };
    if operation.changes_tables() {
        handle.tables_changed();
    }
    match outcome {
        Ok(body) => wire::success(body),
        Err(error) => {
            if error.status_code() >= SERVER_ERROR {
                report(operation, &error);
                handle.recover();
            }
            wire::failure(operation, &error)
        }
    }
}

fn in_transaction(handle: &mut Handle, operation: Operation, body: &[u8], begin: &str) -> Outcome {
    handle.storage.conn().execute_batch(begin)?;
    let outcome = run(handle, operation, body);
    match outcome {
        Ok(_) => handle.storage.commit()?,
        Err(_) => handle.storage.rollback()?,
    }
    outcome
}

fn run(handle: &mut Handle, operation: Operation, body: &[u8]) -> Outcome {
    let Handle {
        storage,
        lifecycle,
        tokens,
        ..
    } = handle;
    let storage: &Storage = storage;
    match operation {
        Operation::BatchGetItem => typed(body, |request| batch_get_item::execute(storage, request)),
        Operation::BatchWriteItem => typed(body, |request| batch_write_item::execute(storage, request)),
        Operation::CreateTable => typed(body, |request| create_table::execute(storage, request)),
        Operation::DeleteItem => typed(body, |request| delete_item::execute(storage, request)),
        Operation::DeleteTable => typed(body, |request| delete_table::execute(storage, request, lifecycle)),
        Operation::DescribeTable => typed(body, |request| {
            describe_table::execute(storage, request, lifecycle)
        }),
        Operation::DescribeTimeToLive => {
            typed(body, |request| describe_time_to_live::execute(storage, request))
        }
        Operation::GetItem => typed(body, |request| get_item::execute(storage, request)),
        Operation::ListTables => typed(body, |request| list_tables::execute(storage, request)),
        Operation::ListTagsOfResource => {
            typed(body, |request| list_tags_of_resource::execute(storage, request))
        }
        Operation::PutItem => typed(body, |request| put_item::execute(storage, request)),
        Operation::Query => typed(body, |request: QueryRequest| pages::execute(storage, request)),
        Operation::Scan => typed(body, |request: ScanRequest| pages::execute(storage, request)),
        Operation::TagResource => typed(body, |request| tag_resource::execute(storage, request)),
        Operation::TransactGetItems => typed(body, |request| transact_get_items::execute(storage, request)),
        Operation::TransactWriteItems => typed(body, |request| transact_write(storage, tokens, request)),
        Operation::UntagResource => typed(body, |request| untag_resource::execute(storage, request)),
        Operation::UpdateItem => typed(body, |request| update_item::execute(storage, request)),
        Operation::UpdateTable => typed(body, |request| update_table::execute(storage, request, lifecycle)),
        Operation::UpdateTimeToLive => typed(body, |request| update_time_to_live::execute(storage, request)),
    }
}

/// Reads the request, runs it and writes the response.
fn typed<Request, Response, Running>(body: &[u8], execute: impl FnOnce(Request) -> Running) -> Outcome
where
    Request: DeserializeOwned,
    Response: Serialize,
    Running: Future<Output = Result<Response, DynoxideError>>,
{
    let request = serde_json::from_slice(body).map_err(|failure| wire::unreadable(&failure))?;
    // on SQLite no operation ever waits
    let Some(response) = execute(request).now_or_never() else {
        return Err(DynoxideError::InternalServerError(
            "an operation on SQLite waited".to_owned(),
        ));
    };
    let response = response?;
    serde_json::to_vec(&response).map_err(|failure| DynoxideError::InternalServerError(failure.to_string()))
}

/// Runs a transaction once per client token; a repeat answers as a read of its items.
async fn transact_write(
    storage: &Storage,
    tokens: &mut Tokens,
    request: TransactWriteItemsRequest,
) -> Result<TransactWriteItemsResponse, DynoxideError> {
    match tokens.judge(&request)? {
        Verdict::Run(token) => {
            let response = transact_write_items::execute(storage, request).await?;
            if let Some(token) = token {
                tokens.record(token);
            }
            Ok(response)
        }
        Verdict::Replay => {
            let read = transact_get_items::execute(storage, replay_read(storage, &request)?).await?;
            let consumed_capacity = read.consumed_capacity;
            Ok(TransactWriteItemsResponse {
                consumed_capacity,
                ..Default::default()
            })
        }
    }
}

/// Logs a fault of the engine; the caller learns only that there was one.
fn report(operation: Operation, error: &DynoxideError) {
    match error {
        DynoxideError::SqliteError(source) => tracing::error!(?operation, %source, "sqlite failed"),
        _ => tracing::error!(?operation, "dynoxide failed"),
    }
}
