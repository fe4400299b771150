//! What exports a batch of records: the exporters of OpenTelemetry, or that of a test.

use std::future::Future;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;

/// Exports batches of records.
pub(in super::super) trait Exporter<T>: Send + Sync + 'static {
    /// Exports a batch.
    fn export(&self, batch: Vec<T>) -> impl Future<Output = OTelSdkResult> + Send;

    /// How many records of the last batch the collector rejected although it accepted the batch. Resets the number.
    fn take_rejected(&self) -> usize {
        0
    }
}

impl Exporter<SpanData> for opentelemetry_otlp::SpanExporter {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        opentelemetry_sdk::trace::SpanExporter::export(self, batch)
    }
}

impl Exporter<SdkLogRecord> for opentelemetry_otlp::LogExporter {
    async fn export(&self, batch: Vec<SdkLogRecord>) -> OTelSdkResult {
        // the target of each record names its scope
        let scope = opentelemetry::InstrumentationScope::default();
        let borrowed: Vec<_> = batch.iter().map(|record| (record, &scope)).collect();
        let batch = opentelemetry_sdk::logs::LogBatch::new(&borrowed);
        opentelemetry_sdk::logs::LogExporter::export(self, batch).await
    }
}
