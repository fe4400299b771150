//! Exporters of `opentelemetry-otlp`, over gRPC or HTTP, as the variables say. All of their retries are bounded by
//! their timeout.

use std::collections::HashMap;

use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanExporter as _;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig};

use super::super::variables::{Export, Protocol};
use super::web::WebClient;

/// Builds one of the three; their builders share methods, but no trait.
macro_rules! exporter {
    ($builder:expr, $export:expr) => {{
        let export: &Export = $export;
        match export.protocol {
            Protocol::Grpc => {
                let builder = $builder
                    .with_tonic()
                    .with_endpoint(&export.endpoint)
                    .with_timeout(export.timeout)
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
                    .with_headers(headers(export))
                    .with_http_client(WebClient::new(export)?);
                let builder = match export.gzip {
                    true => builder.with_compression(Compression::Gzip),
                    false => builder,
                };
                builder.build().map_err(|error| error.to_string())
            }
        }
    }};
}

pub(in super::super) fn span_exporter(export: &Export, resource: &Resource) -> Result<SpanExporter, String> {
    let mut exporter = exporter!(SpanExporter::builder(), export)?;
    exporter.set_resource(resource);
    Ok(exporter)
}

pub(in super::super) fn log_exporter(export: &Export, resource: &Resource) -> Result<LogExporter, String> {
    let mut exporter = exporter!(LogExporter::builder(), export)?;
    exporter.set_resource(resource);
    Ok(exporter)
}

pub(in super::super) fn metric_exporter(
    export: &Export,
    temporality: Temporality,
) -> Result<MetricExporter, String> {
    exporter!(MetricExporter::builder().with_temporality(temporality), export)
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
            let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            tls.ca_certificate(Certificate::from_pem(pem))
        }
        None => tls.with_native_roots(),
    }))
}
