//! The HTTP connector that the AWS SDK clients use: passes each request to an engine in this process.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// An engine that handles the HTTP requests of one service without a socket.
pub(super) trait Engine: Send + Sync + 'static {
    /// Handles one request. Service errors are HTTP responses, not `Err`.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture;
}

/// Wraps an engine as an HTTP client for the SDK's config.
pub(super) fn http_client(engine: Arc<dyn Engine>) -> SharedHttpClient {
    SharedHttpClient::new(InProcess { engine })
}

#[derive(Clone)]
struct InProcess {
    engine: Arc<dyn Engine>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.engine.call(request)
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
