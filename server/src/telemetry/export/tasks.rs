//! The tasks that export, one per signal, and one for the audit log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::audit::{self, AuditLines};
use super::exporter::Exporter;
use super::health::CollectorHealth;
use super::log_processor::LogQueue;
use super::metrics::{self, PushReader};
use super::queue::{Queue, SpanQueue};
use super::signal::Dropped;
use super::transport::Transport;
use super::worker;
use crate::telemetry::TARGET;

/// The tasks that export.
#[derive(Debug, Default)]
pub(in super::super) struct Tasks {
    pub(super) stop: CancellationToken,
    pub(super) running: JoinSet<()>,
    /// One per collector, shared by the signals that are exported to it.
    health: HashMap<String, Arc<CollectorHealth>>,
}

impl Tasks {
    pub(in super::super) fn export_spans(
        &mut self,
        queue: &SpanQueue,
        transport: Transport<impl Exporter<SpanData>>,
    ) {
        self.export(queue.queue(), transport);
    }

    pub(in super::super) fn export_logs(
        &mut self,
        queue: &LogQueue,
        transport: Transport<impl Exporter<SdkLogRecord>>,
    ) {
        self.export(queue.queue(), transport);
    }

    pub(in super::super) fn export_audit(
        &mut self,
        lines: &AuditLines,
        transport: Transport<impl Exporter<SdkLogRecord>>,
    ) {
        let work = audit::run(lines.clone(), transport, self.stop.clone());
        self.running.spawn(work);
    }

    pub(in super::super) fn export_metrics(
        &mut self,
        reader: PushReader,
        transport: Transport<MetricExporter>,
        interval: Duration,
        dropped: Arc<Dropped>,
    ) {
        let health = self.health(&transport.collector, &dropped);
        let work = metrics::run(reader, transport, interval, dropped, health, self.stop.clone());
        self.running.spawn(work);
    }

    fn export<T: Send + 'static>(&mut self, queue: Arc<Queue<T>>, transport: Transport<impl Exporter<T>>) {
        let health = self.health(&transport.collector, &queue.dropped);
        let work = worker::run(queue, transport, health, self.stop.clone());
        self.running.spawn(work);
    }

    fn health(&mut self, collector: &str, dropped: &Arc<Dropped>) -> Arc<CollectorHealth> {
        let health = self.health.entry(collector.to_owned());
        Arc::clone(health.or_insert_with(|| Arc::new(CollectorHealth::new(collector, Arc::clone(dropped)))))
    }

    /// The number of tasks.
    #[cfg(test)]
    pub(in super::super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Exports what is queued and ends the tasks. What is not exported within `limit` is dropped.
    pub(in super::super) async fn finish(mut self, limit: Duration) {
        self.stop.cancel();
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            warn!(target: TARGET, "the collector took too long; the last telemetry is lost");
        }
    }
}
