//! The way to a collector: one bounded queue and one task per signal that is exported. A collector that is slow or down
//! fills its queue; what does not fit is dropped and counted, nobody waits for it, and the log says so once for all
//! signals.

mod logger;
mod metrics;
mod queue;
mod teller;
mod transport;
mod web;
mod worker;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(super) use self::logger::LogQueue;
pub(super) use self::metrics::PushReader;
pub(super) use self::queue::SpanQueue;
pub(super) use self::transport::{log_exporter, metric_exporter, span_exporter};

use self::teller::Teller;
use self::transport::Outlet;
use super::TARGET;

/// What was not exported, by signal.
#[derive(Debug, Default)]
pub(super) struct Lost {
    traces: AtomicU64,
    metrics: AtomicU64,
    logs: AtomicU64,
}

/// One of the three signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// What takes a batch to a collector, or to a test.
pub(super) trait Exporter<T>: Send + Sync + 'static {
    fn export(&self, batch: Vec<T>) -> impl Future<Output = OTelSdkResult> + Send;

    /// How many records of the last batch the collector rejected, although it took the batch; told once.
    fn rejected(&self) -> usize {
        0
    }
}

/// The tasks that export.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    stop: CancellationToken,
    running: JoinSet<()>,
    /// One for each collector, whatever is sent there.
    tellers: HashMap<String, Arc<Teller>>,
}

impl Lost {
    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        [Signal::Traces, Signal::Metrics, Signal::Logs]
            .map(|signal| (signal.name(), self.of(signal).load(Ordering::Relaxed)))
    }

    fn add(&self, signal: Signal, count: usize) {
        self.of(signal).fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self, signal: Signal) -> u64 {
        self.of(signal).load(Ordering::Relaxed)
    }

    fn of(&self, signal: Signal) -> &AtomicU64 {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }
}

impl Tasks {
    pub(super) fn export_spans(&mut self, queue: &SpanQueue, outlet: Outlet<impl Exporter<SpanData>>) {
        let queue = queue.queue();
        let teller = self.teller(&outlet.collector, &queue.lost);
        let work = worker::run(queue, outlet, teller, self.stop.clone());
        self.running.spawn(work);
    }

    pub(super) fn export_logs(&mut self, queue: &LogQueue, outlet: Outlet<impl Exporter<SdkLogRecord>>) {
        let queue = queue.queue();
        let teller = self.teller(&outlet.collector, &queue.lost);
        let work = worker::run(queue, outlet, teller, self.stop.clone());
        self.running.spawn(work);
    }

    pub(super) fn export_metrics(
        &mut self,
        reader: PushReader,
        outlet: Outlet<opentelemetry_otlp::MetricExporter>,
        interval: Duration,
        lost: Arc<Lost>,
    ) {
        let teller = self.teller(&outlet.collector, &lost);
        let work = metrics::run(reader, outlet, interval, lost, teller, self.stop.clone());
        self.running.spawn(work);
    }

    fn teller(&mut self, collector: &str, lost: &Arc<Lost>) -> Arc<Teller> {
        let teller = self.tellers.entry(collector.to_owned());
        Arc::clone(teller.or_insert_with(|| Arc::new(Teller::new(collector, Arc::clone(lost)))))
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Sends what is there, then ends; what is not sent within the time is left behind.
    pub(super) async fn finish(mut self, within: Duration) {
        self.stop.cancel();
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_err() {
            warn!(target: TARGET, "the collector took too long: the last telemetry is lost");
        }
    }
}

impl Exporter<SpanData> for opentelemetry_otlp::SpanExporter {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        opentelemetry_sdk::trace::SpanExporter::export(self, batch)
    }
}

impl Exporter<SdkLogRecord> for opentelemetry_otlp::LogExporter {
    async fn export(&self, batch: Vec<SdkLogRecord>) -> OTelSdkResult {
        // named by the target of each record
        let scope = opentelemetry::InstrumentationScope::default();
        let borrowed: Vec<_> = batch.iter().map(|record| (record, &scope)).collect();
        let batch = opentelemetry_sdk::logs::LogBatch::new(&borrowed);
        opentelemetry_sdk::logs::LogExporter::export(self, batch).await
    }
}
