//! A bounded queue between what happens and what is sent. Putting something in takes a short lock and never waits; what
//! does not fit is dropped and counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::Notify;

use super::super::variables::Bounds;
use super::{Lost, Signal};

/// Records that wait to be sent.
pub(super) struct Queue<T> {
    pub(super) signal: Signal,
    pub(super) bounds: Bounds,
    pub(super) lost: Arc<Lost>,
    items: Mutex<VecDeque<T>>,
    /// Told when a whole batch waits.
    pub(super) full_batch: Notify,
}

/// Spans that ended.
#[derive(Clone, Debug)]
pub(in super::super) struct SpanQueue(Arc<Queue<SpanData>>);

impl<T> Queue<T> {
    pub(super) fn new(signal: Signal, bounds: Bounds, lost: Arc<Lost>) -> Arc<Queue<T>> {
        Arc::new(Queue {
            signal,
            bounds,
            lost,
            items: Mutex::default(),
            full_batch: Notify::new(),
        })
    }

    /// Takes a record in, or drops it.
    pub(super) fn put(&self, item: T) {
        let mut items = self.items();
        if items.len() >= self.bounds.queue {
            drop(items);
            return self.lost.add(self.signal, 1);
        }
        items.push_back(item);
        let is_batch = items.len() == self.bounds.batch;
        drop(items);
        if is_batch {
            self.full_batch.notify_one();
        }
    }

    /// The next batch; empty where nothing waits.
    pub(super) fn take(&self) -> Vec<T> {
        let mut items = self.items();
        let count = items.len().min(self.bounds.batch);
        items.drain(..count).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.items().len()
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Queue").field(&self.signal).finish()
    }
}

impl SpanQueue {
    pub(in super::super) fn new(bounds: Bounds, lost: Arc<Lost>) -> SpanQueue {
        SpanQueue(Queue::new(Signal::Traces, bounds, lost))
    }

    pub(super) fn queue(&self) -> Arc<Queue<SpanData>> {
        Arc::clone(&self.0)
    }
}

/// The tasks flush and end by themselves; the SDK has nothing to do there.
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
