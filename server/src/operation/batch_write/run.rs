//! Starts the task that makes the writes of a stream.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::error::Error;
use super::super::gateway::Gateway;
use super::driver::Driver;
use super::writes::{BatchWritten, Writes};
use crate::call::Call;

/// Results that wait for the caller.
const MAX_RESULTS: usize = 10_000;

/// Makes the writes of a stream. Returns their results in any order.
pub fn batch_write(
    gateway: &Arc<Gateway>,
    call: &Call,
    writes: Writes,
) -> impl Stream<Item = Result<BatchWritten, Error>> + Send + use<> {
    let (results, received) = mpsc::channel(MAX_RESULTS);
    let driver = Driver::new(Arc::clone(gateway), call.clone(), writes, results);
    let trace = call.trace().clone();
    let driving = gateway
        .committer
        .spawn(async move { trace.scope(driver.run()).await });
    let end = stream::once(driving).filter_map(|driven| {
        let ended_early = Error::Internal("the writes of a stream ended before their results");
        std::future::ready(driven.err().map(|_| Err(ended_early)))
    });
    ReceiverStream::new(received).map(Ok).chain(end)
}
