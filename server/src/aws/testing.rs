//! Stores over the embedded engines whose connector injects faults: the one that all unit tests share.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use parking_lot::Mutex;

use super::{Connectors, Settings, Stores, provision};
use crate::embedded::{Engines, Place, Synchronous};
use crate::model::Models;

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The connection is refused: nothing is sent.
    NoConnection,
    /// The request is sent and lost.
    LoseRequest,
    /// The request is processed and its response is lost.
    LoseResponse,
    /// The request arrives after this delay.
    Delay(Duration),
    /// The request is lost; the response has this status and error code.
    Respond(u16, &'static str),
    /// The request is lost; the response has status 200 and this body.
    Body(&'static str),
}

/// Stores over engines in memory, the requests that reached them, and the faults to inject.
pub(crate) struct FaultyStores {
    pub(crate) stores: Stores,
    plan: Arc<FaultPlan>,
}

#[derive(Default)]
struct FaultPlan {
    /// The operations to fail and how, in order.
    faults: Mutex<VecDeque<(String, Fault)>>,
    /// The operations sent since they were last taken.
    sent: Mutex<Vec<String>>,
}

impl FaultyStores {
    /// Creates the tables, keys and buckets that the models need, and then counts from zero.
    pub(crate) async fn new(models: &Models) -> FaultyStores {
        let engines = Engines::open(&Place::Memory, Synchronous::Normal).await.unwrap();
        let plan = Arc::new(FaultPlan::default());
        let faulty = |client| {
            SharedHttpClient::new(FaultyClient {
                client,
                plan: Arc::clone(&plan),
            })
        };
        let connectors = Connectors {
            dynamodb: faulty(engines.dynamodb),
            kms: faulty(engines.kms),
            s3: faulty(engines.s3),
            over_sockets: false,
        };
        let stores = Stores::embedded(connectors, &Settings::default(), None);
        assert!(provision(&stores, models).await.unwrap().is_empty());
        let faulty = FaultyStores { stores, plan };
        faulty.take_sent();
        faulty
    }

    /// Fails the next request of this operation that has no fault planned yet.
    pub(crate) fn inject(&self, operation: &str, fault: Fault) {
        let mut faults = self.plan.faults.lock();
        faults.push_back((operation.to_owned(), fault));
    }

    /// Drops the faults that are still planned.
    pub(crate) fn heal(&self) {
        self.plan.faults.lock().clear();
    }

    /// The operations sent since the last time, in order.
    pub(crate) fn take_sent(&self) -> Vec<String> {
        std::mem::take(&mut self.plan.sent.lock())
    }
}

struct FaultyClient<T> {
    client: T,
    plan: Arc<FaultPlan>,
}

impl<T> fmt::Debug for FaultyClient<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FaultyClient")
    }
}

impl HttpClient for FaultyClient<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let client = self.client.http_connector(settings, parts);
        SharedHttpConnector::new(FaultyClient {
            client,
            plan: Arc::clone(&self.plan),
        })
    }
}

impl HttpConnector for FaultyClient<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let fault = self.plan.next_fault(&operation);
        if matches!(fault, Some(Fault::NoConnection)) {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            return HttpConnectorFuture::ready(Err(ConnectorError::io(refused.into())));
        }
        self.plan.sent.lock().push(operation);
        let reset = || ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into());
        match fault {
            None | Some(Fault::NoConnection) => self.client.call(request),
            Some(Fault::LoseRequest) => HttpConnectorFuture::ready(Err(reset())),
            Some(Fault::Respond(status, code)) => {
                HttpConnectorFuture::ready(Ok(error_response(status, code)))
            }
            Some(Fault::Body(body)) => {
                let response = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
                HttpConnectorFuture::ready(Ok(response))
            }
            Some(Fault::LoseResponse) => {
                let arriving = self.client.call(request);
                HttpConnectorFuture::new(async move {
                    arriving.await?;
                    Err(reset())
                })
            }
            Some(Fault::Delay(delay)) => {
                let client = self.client.clone();
                HttpConnectorFuture::new(async move {
                    tokio::time::sleep(delay).await;
                    client.call(request).await
                })
            }
        }
    }
}

impl FaultPlan {
    fn next_fault(&self, operation: &str) -> Option<Fault> {
        let mut faults = self.faults.lock();
        let index = faults.iter().position(|(name, _)| name == operation)?;
        faults.remove(index).map(|(_, fault)| fault)
    }
}

fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let has = |parameter: &str| request.uri().contains(parameter);
    let name = match request.method() {
        "PUT" if has("partNumber=") => "UploadPart",
        "PUT" => "PutObject",
        "POST" if has("uploadId=") => "CompleteMultipartUpload",
        "POST" => "CreateMultipartUpload",
        "DELETE" if has("uploadId=") => "AbortMultipartUpload",
        "DELETE" => "DeleteObject",
        "HEAD" => "Head",
        _ => "GetObject",
    };
    name.to_owned()
}

/// An error in the form of its service: XML for S3, JSON for the others.
fn error_response(status: u16, code: &str) -> HttpResponse {
    let body = match code {
        "InternalError" | "SlowDown" => {
            format!("<Error><Code>{code}</Code><Message>injected</Message></Error>")
        }
        code => format!("{{\"__type\":\"com.amazonaws#{code}\",\"message\":\"injected\"}}"),
    };
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}
