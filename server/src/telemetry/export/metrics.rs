//! The task that collects and exports the metrics at an interval, and once more at shutdown.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};
use tokio_util::sync::CancellationToken;

use super::health::CollectorHealth;
use super::in_hand::InHand;
use super::signal::{Dropped, Signal};
use super::transport::Transport;

/// A reader shared by the meter provider and the task.
#[derive(Clone)]
pub(in super::super) struct PushReader(Arc<ManualReader>);

impl PushReader {
    pub(in super::super) fn new(temporality: Temporality) -> PushReader {
        let reader = ManualReader::builder().with_temporality(temporality).build();
        PushReader(Arc::new(reader))
    }
}

impl fmt::Debug for PushReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PushReader")
    }
}

impl MetricReader for PushReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Runs until it is stopped; then exports the last figures.
pub(super) async fn run(
    reader: PushReader,
    transport: Transport<MetricExporter>,
    interval: Duration,
    dropped: Arc<Dropped>,
    health: Arc<CollectorHealth>,
    stop: CancellationToken,
) {
    let mut metrics = ResourceMetrics::default();
    loop {
        let last = tokio::select! {
            () = tokio::time::sleep(interval) => false,
            () = stop.cancelled() => true,
        };
        let collected = reader.collect(&mut metrics);
        let count = points(&metrics);
        let in_hand = InHand::new(&dropped, Signal::Metrics, count);
        let exported = match collected {
            Ok(()) => transport.export_metrics(&metrics).await,
            Err(error) => Err(error),
        };
        in_hand.settle(exported.is_ok());
        match exported {
            Ok(()) => health.exported(Signal::Metrics, transport.take_rejected().min(count)),
            Err(error) => health.failed(Signal::Metrics, &error),
        }
        if last {
            return;
        }
    }
}

/// The number of data points.
fn points(metrics: &ResourceMetrics) -> usize {
    let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
    let count = metrics.map(|metric| match metric.data() {
        AggregatedMetrics::F64(data) => points_of(data),
        AggregatedMetrics::U64(data) => points_of(data),
        AggregatedMetrics::I64(data) => points_of(data),
    });
    count.sum()
}

fn points_of<T>(data: &MetricData<T>) -> usize {
    match data {
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
    }
}
