//! The seam under the AWS SDK: an in-process engine that takes a signed HTTP request and gives its response.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// An engine that answers one service's HTTP requests without a socket.
pub(super) trait Engine: Send + Sync + 'static {
    /// Answers one request; service errors are HTTP responses, not `Err`.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture;
}

/// Makes an engine what the SDK's config takes.
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
