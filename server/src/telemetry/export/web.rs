//! The HTTP client for OTLP. Never follows redirects, and reads responses only up to a limit. Keeps the cause of a failure
//! and the number of rejected records, which the exporter above it does not report.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;
use prost::Message;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::super::variables::Export;

/// The most bytes of a response; those of collectors are nearly empty.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// The HTTP client of one exporter.
#[derive(Debug)]
pub(super) struct WebClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    exchange: Arc<Exchange>,
}

/// The outcome of the last exchange.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Why there was no response.
    failure: Mutex<Option<String>>,
    rejected: AtomicUsize,
}

/// The common part of the three responses of OTLP, `Export…ServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    /// Spans, data points or log records.
    #[prost(int64, tag = "1")]
    rejected: i64,
}

impl Exchange {
    pub(super) fn take_failure(&self) -> Option<String> {
        self.failure.lock().take()
    }

    pub(super) fn take_rejected(&self) -> usize {
        self.rejected.swap(0, Ordering::Relaxed)
    }

    fn ended(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        *self.failure.lock() = outcome
            .as_ref()
            .err()
            .map(|error| format!("no response: {}", causes(error.as_ref())));
        let rejected = outcome.as_ref().map_or(0, rejected);
        self.rejected.store(rejected, Ordering::Relaxed);
    }
}

impl WebClient {
    pub(super) fn new(export: &Export, exchange: Arc<Exchange>) -> Result<WebClient, String> {
        let tls = tls(export)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(WebClient {
            client: Client::builder(TokioExecutor::new()).build(connector),
            timeout: export.timeout,
            exchange,
        })
    }
}

#[async_trait]
impl HttpClient for WebClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let response = self.client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let outcome = match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("timed out after {:?}", self.timeout).into()),
        };
        self.exchange.ended(&outcome);
        outcome
    }
}

/// An error and its causes. Those of the client contain addresses and reasons, never headers or URLs.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// How many records a response rejects; 0 if it cannot be decoded.
fn rejected(response: &Response<Bytes>) -> usize {
    let decoded = ExportResponse::decode(response.body().as_ref()).ok();
    let partial_success = decoded
        .filter(|_| response.status().is_success())
        .and_then(|decoded| decoded.partial_success);
    partial_success.map_or(0, |partial| usize::try_from(partial.rejected).unwrap_or_default())
}

fn tls(export: &Export) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config
        .with_root_certificates(roots(export)?)
        .with_no_client_auth())
}

/// The authorities to trust; none if the endpoint is plain HTTP.
fn roots(export: &Export) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if !export.endpoint.starts_with("https:") {
        return Ok(roots);
    }
    let Some(path) = &export.certificate else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    authorities(path).map(|(_, roots)| roots)
}

/// The authorities of a PEM file, both its content and decoded.
pub(super) fn authorities(path: &Path) -> Result<(Vec<u8>, RootCertStore), String> {
    let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| fault(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fault(&error))?;
        roots.add(certificate).map_err(|error| fault(&error))?;
    }
    match roots.is_empty() {
        true => Err(fault(&"contains no certificate")),
        false => Ok((pem, roots)),
    }
}
