//! A bounded queue of records to be exported. Adding a record takes a short lock and never waits; records that do not fit
//! are dropped and counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::variables::Bounds;
use super::signal::{Dropped, Signal};

/// Records that wait to be exported.
pub(super) struct Queue<T> {
    pub(super) signal: Signal,
    pub(super) bounds: Bounds,
    pub(super) dropped: Arc<Dropped>,
    items: Mutex<VecDeque<T>>,
    /// Notified when a whole batch waits.
    pub(super) full_batch: Notify,
}

/// Ended spans that wait to be exported. Cheap to clone.
#[derive(Clone, Debug)]
pub(in super::super) struct SpanQueue(Arc<Queue<SpanData>>);

impl<T> Queue<T> {
    pub(super) fn new(signal: Signal, bounds: Bounds, dropped: Arc<Dropped>) -> Arc<Queue<T>> {
        Arc::new(Queue {
            signal,
            bounds,
            dropped,
            items: Mutex::default(),
            full_batch: Notify::new(),
        })
    }

    /// Adds a record, or drops it.
    pub(super) fn put(&self, item: T) {
        let mut items = self.items.lock();
        if items.len() >= self.bounds.queue {
            drop(items);
            return self.dropped.add(self.signal, 1);
        }
        items.push_back(item);
        let is_batch = items.len() == self.bounds.batch;
        drop(items);
        if is_batch {
            self.full_batch.notify_one();
        }
    }

    /// Takes the next batch; it is empty if no record waits.
    pub(super) fn take(&self) -> Vec<T> {
        let mut items = self.items.lock();
        let count = items.len().min(self.bounds.batch);
        items.drain(..count).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.items.lock().len()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Queue").field(&self.signal).finish()
    }
}

impl SpanQueue {
    pub(in super::super) fn new(bounds: Bounds, dropped: Arc<Dropped>) -> SpanQueue {
        SpanQueue(Queue::new(Signal::Traces, bounds, dropped))
    }

    pub(super) fn queue(&self) -> Arc<Queue<SpanData>> {
        Arc::clone(&self.0)
    }
}

/// The tasks flush the queue and end by themselves, so the SDK has nothing to flush or shut down.
impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
