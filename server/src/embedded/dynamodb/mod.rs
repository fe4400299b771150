//! DynamoDB on SQLite, in process: dynoxide's operations with the JSON protocol of DynamoDB. Knows nothing of models or
//! bills, and stores items only in the database.
//!
//! All writes use one handle on one thread. On a file, reads use separate threads and handles (WAL), so that reads and
//! writes do not wait for each other. A handle caches the schema, so readers reopen the file after every table change.

mod dispatch;
mod expiry;
mod handle;
mod operation;
mod page;
mod pages;
mod threads;
mod tokens;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures::FutureExt;

use super::connector::Engine;
use super::error::Error;
use super::place::{Place, Synchronous};
use handle::{Handle, Source};
use operation::Operation;
use threads::Threads;

/// The least number of threads that read a database file.
const MIN_READERS: usize = 2;
/// The largest number of threads that read a database file.
const MAX_READERS: usize = 8;

/// The DynamoDB engine. Dropping it completes the queued jobs and ends its threads.
pub(super) struct DynamoDb {
    /// `None` in memory, where a second handle would be a second database.
    readers: Option<Threads>,
    /// Dropped last: the last handle to close truncates and removes the log; two that close at once would leave it.
    writer: Threads,
}

/// Opens the database, and creates it if it is missing.
pub(super) fn open(place: &Place, synchronous: Synchronous) -> Result<Arc<DynamoDb>, Error> {
    let source = Source::create(place, synchronous)?;
    let writer = Threads::start("dynamodb-write", vec![Handle::writer(&source)?])?;
    let readers = match source {
        Source::Memory => None,
        Source::File { .. } => {
            let count = std::thread::available_parallelism().map_or(MIN_READERS, usize::from);
            let handles = (0..count.clamp(MIN_READERS, MAX_READERS)).map(|_| Handle::reader(&source));
            Some(Threads::start(
                "dynamodb-read",
                handles.collect::<Result<_, _>>()?,
            )?)
        }
    };
    Ok(Arc::new(DynamoDb { readers, writer }))
}

impl DynamoDb {
    fn threads(&self, operation: Operation) -> &Threads {
        self.readers
            .as_ref()
            .filter(|_| operation.only_reads())
            .unwrap_or(&self.writer)
    }
}

impl Engine for DynamoDb {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target");
        let Some(operation) = target.and_then(Operation::from_target) else {
            return HttpConnectorFuture::ready(Ok(wire::unknown_operation()));
        };
        let body = request.take_body();
        let response = self.threads(operation).run(move |handle| match body.bytes() {
            Some(body) => dispatch::handle(handle, operation, body),
            None => wire::unreadable_body(),
        });
        HttpConnectorFuture::new(
            response.map(|response| Ok(response.unwrap_or_else(|_| wire::internal_error()))),
        )
    }
}
