//! The transports: exporters of `opentelemetry-otlp`, over gRPC or HTTP, configured by the variables. Only they retry: an
//! export that may succeed later is retried until the timeout of the signal.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::trace::SpanExporter as _;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig};

use super::super::variables::{Export, Protocol};
use super::exporter::Exporter;
use super::web::{self, Exchange, WebClient};

/// The longest pause between two attempts: a collector that restarts is detected soon.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Exports one signal to its collector.
#[derive(Debug)]
pub(in super::super) struct Transport<E> {
    exporter: E,
    /// Host and port.
    pub(super) collector: String,
    timeout: Duration,
    /// What the exporter does not report; stays empty over gRPC.
    exchange: Arc<Exchange>,
}

impl<E> Transport<E> {
    /// Applies the timeout to the last attempt too, and adds the cause of a failure.
    async fn settle(&self, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let exported = tokio::time::timeout(self.timeout, export).await;
        let exported = exported.unwrap_or(Err(OTelSdkError::Timeout(self.timeout)));
        match (exported, self.exchange.take_failure()) {
            (Err(OTelSdkError::InternalFailure(_)), Some(cause)) => Err(OTelSdkError::InternalFailure(cause)),
            (exported, _) => exported,
        }
    }

    pub(super) fn take_rejected(&self) -> usize {
        self.exchange.take_rejected()
    }
}

impl<T: Send + 'static, E: Exporter<T>> Exporter<T> for Transport<E> {
    async fn export(&self, batch: Vec<T>) -> OTelSdkResult {
        self.settle(self.exporter.export(batch)).await
    }

    fn take_rejected(&self) -> usize {
        Transport::take_rejected(self)
    }
}

impl Transport<MetricExporter> {
    pub(super) async fn export_metrics(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.settle(self.exporter.export(metrics)).await
    }
}

/// Builds one of the three exporters; their builders share methods, but no trait.
macro_rules! exporter {
    ($builder:expr, $export:expr, $exchange:expr) => {{
        let export: &Export = $export;
        match export.protocol {
            Protocol::Grpc => {
                let builder = $builder
                    .with_tonic()
                    .with_endpoint(&export.endpoint)
                    .with_timeout(export.timeout)
                    .with_retry_policy(retry_until_timeout())
                    .with_metadata(metadata(export));
                let builder = match tls(export)? {
                    Some(tls) => builder.with_tls_config(tls),
                    None => builder,
                };
                let builder = match export.gzip {
                    true => builder.with_compression(Compression::Gzip),
                    false => builder,
                };
                builder.build().map_err(|error| error.to_string())
            }
            Protocol::Http => {
                let builder = $builder
                    .with_http()
                    .with_endpoint(&export.endpoint)
                    .with_timeout(export.timeout)
                    .with_retry_policy(retry_until_timeout())
                    .with_headers(headers(export))
                    .with_http_client(WebClient::new(export, Arc::clone($exchange))?);
                let builder = match export.gzip {
                    true => builder.with_compression(Compression::Gzip),
                    false => builder,
                };
                builder.build().map_err(|error| error.to_string())
            }
        }
    }};
}

pub(in super::super) fn span_exporter(
    export: &Export,
    resource: &Resource,
) -> Result<Transport<SpanExporter>, String> {
    let exchange = Arc::default();
    let mut exporter = exporter!(SpanExporter::builder(), export, &exchange)?;
    exporter.set_resource(resource);
    Ok(transport(exporter, export, exchange))
}

pub(in super::super) fn log_exporter(
    export: &Export,
    resource: &Resource,
) -> Result<Transport<LogExporter>, String> {
    let exchange = Arc::default();
    let mut exporter = exporter!(LogExporter::builder(), export, &exchange)?;
    exporter.set_resource(resource);
    Ok(transport(exporter, export, exchange))
}

pub(in super::super) fn metric_exporter(
    export: &Export,
    temporality: Temporality,
) -> Result<Transport<MetricExporter>, String> {
    let exchange = Arc::default();
    let builder = MetricExporter::builder().with_temporality(temporality);
    let exporter = exporter!(builder, export, &exchange)?;
    Ok(transport(exporter, export, exchange))
}

fn transport<E>(exporter: E, export: &Export, exchange: Arc<Exchange>) -> Transport<E> {
    Transport {
        exporter,
        collector: export.collector(),
        timeout: export.timeout,
        exchange,
    }
}

fn retry_until_timeout() -> RetryPolicy {
    RetryPolicy::recommended()
        .with_max_retries(usize::MAX)
        .with_max_delay(MAX_RETRY_DELAY)
}

fn headers(export: &Export) -> HashMap<String, String> {
    export.headers.iter().cloned().collect()
}

fn metadata(export: &Export) -> MetadataMap {
    let pairs = export
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    MetadataMap::from_headers(pairs.collect())
}

fn tls(export: &Export) -> Result<Option<ClientTlsConfig>, String> {
    if !export.endpoint.starts_with("https:") {
        return Ok(None);
    }
    let tls = ClientTlsConfig::new();
    Ok(Some(match &export.certificate {
        Some(path) => {
            let (pem, _) = web::authorities(path)?;
            tls.ca_certificate(Certificate::from_pem(pem))
        }
        None => tls.with_native_roots(),
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn reports_a_file_without_a_certificate() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let export = Export {
                signal: "traces",
                protocol,
                endpoint: "https://collector:4317".to_owned(),
                headers: Vec::new(),
                timeout: Duration::from_secs(1),
                gzip: false,
                certificate: Some(path.to_owned()),
            };
            let error = span_exporter(&export, &Resource::builder_empty().build()).unwrap_err();
            let expected = format!("{}: contains no certificate", path.display());
            assert_eq!(error, expected, "{protocol:?}");
        }
    }
}
