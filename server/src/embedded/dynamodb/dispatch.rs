//! Runs operations through dynoxide's typed API. Never validates items itself.

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
use super::operation::Operation;
use super::pages;
use super::tokens::{TokenCheck, Tokens, replay_read};
use super::wire;

/// The lowest status of a failure of the engine itself.
const SERVER_ERROR: u16 = 500;

/// A response body, or the error of the operation.
type Outcome = Result<Vec<u8>, DynoxideError>;

/// Handles one request. Failures are responses too.
pub(super) fn handle(handle: &mut Handle, operation: Operation, body: &[u8]) -> HttpResponse {
    if let Err(failure) = handle.refresh() {
        tracing::error!(%failure, "cannot reopen a DynamoDB handle");
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

/// Parses the request, runs it and encodes the response.
fn typed<Request, Response, Running>(body: &[u8], execute: impl FnOnce(Request) -> Running) -> Outcome
where
    Request: DeserializeOwned,
    Response: Serialize,
    Running: Future<Output = Result<Response, DynoxideError>>,
{
    let request = serde_json::from_slice(body).map_err(|failure| wire::unreadable(&failure))?;
    // no operation on SQLite is pending
    let Some(response) = execute(request).now_or_never() else {
        return Err(DynoxideError::InternalServerError(
            "an operation on SQLite was pending".to_owned(),
        ));
    };
    let response = response?;
    serde_json::to_vec(&response).map_err(|failure| DynoxideError::InternalServerError(failure.to_string()))
}

/// Runs a transaction once per client token. A repeated request returns the capacity of a read of its items.
async fn transact_write(
    storage: &Storage,
    tokens: &mut Tokens,
    request: TransactWriteItemsRequest,
) -> Result<TransactWriteItemsResponse, DynoxideError> {
    match tokens.check(&request)? {
        TokenCheck::Run(token) => {
            let response = transact_write_items::execute(storage, request).await?;
            if let Some(token) = token {
                tokens.record(token);
            }
            Ok(response)
        }
        TokenCheck::Replay => {
            let read = transact_get_items::execute(storage, replay_read(storage, &request)?).await?;
            let consumed_capacity = read.consumed_capacity;
            Ok(TransactWriteItemsResponse {
                consumed_capacity,
                ..Default::default()
            })
        }
    }
}

/// Logs a failure of the engine, which the response does not describe.
fn report(operation: Operation, error: &DynoxideError) {
    match error {
        DynoxideError::SqliteError(source) => tracing::error!(?operation, %source, "SQLite failed"),
        // the variants of dynoxide; their texts may quote an item
        _ => tracing::error!(?operation, "dynoxide failed"),
    }
}
