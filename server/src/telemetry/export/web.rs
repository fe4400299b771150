//! OTLP over HTTP by the client that is in the program anyway. Follows no redirects; answers are read up to a bound.

use std::sync::Arc;
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
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::super::variables::Export;

/// Bytes of an answer at most; collectors answer next to nothing.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The HTTP client of one exporter.
#[derive(Debug)]
pub(super) struct WebClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl WebClient {
    pub(super) fn new(export: &Export) -> Result<WebClient, String> {
        let tls = tls(export)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(WebClient {
            client: Client::builder(TokioExecutor::new()).build(connector),
            timeout: export.timeout,
        })
    }
}

#[async_trait]
impl HttpClient for WebClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let response = self.client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::time::timeout(self.timeout, exchange).await?
    }
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

/// Who is trusted; nobody has to be where the endpoint is plain HTTP.
fn roots(export: &Export) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if !export.endpoint.starts_with("https:") {
        return Ok(roots);
    }
    let Some(path) = &export.certificate else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| told(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| told(&error))?;
        roots.add(certificate).map_err(|error| told(&error))?;
    }
    Ok(roots)
}
