//! DynamoDB on SQLite, in process: dynoxide's operations behind DynamoDB's JSON protocol. Knows nothing of models
//! or bills, and keeps no item anywhere but in the database.
//!
//! All writes go through one handle on one thread. On a file, reads have threads and handles of their own (WAL), so
//! that neither waits for the other; a handle caches the schema, so readers open anew after every table change.

mod dispatch;
mod handle;
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
use super::{Error, Place, Synchronous};
use dispatch::Operation;
use handle::{Handle, Source};
use threads::Threads;

/// Threads that read a database file side by side.
const MIN_READERS: usize = 2;
const MAX_READERS: usize = 8;

/// The engine. Dropping it ends its threads once they have done what was queued.
pub(super) struct DynamoDb {
    /// None in memory, where a second handle would be a second database.
    readers: Option<Threads>,
    /// Dropped last: the last handle to close empties and removes the log, and two at once leave it.
    writer: Threads,
}

/// Opens the database, making it where it is missing.
pub(super) fn open(place: &Place, synchronous: Synchronous) -> Result<Arc<DynamoDb>, Error> {
    let source = Source::of(place, synchronous)?;
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
        let answer = self.threads(operation).run(move |handle| match body.bytes() {
            Some(body) => dispatch::answer(handle, operation, body),
            None => wire::unreadable_body(),
        });
        HttpConnectorFuture::new(answer.map(|answer| Ok(answer.unwrap_or_else(|_| wire::internal_error()))))
    }
}
