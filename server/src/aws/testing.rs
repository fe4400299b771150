//! Stores over the embedded engines with faults on the way, for tests of the rooms that write.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::{Connectors, Settings, Stores, provision};
use crate::embedded::{Engines, Place, Synchronous};
use crate::model::Models;

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// No connection: it never leaves.
    NoConnection,
    /// It leaves and never arrives.
    LoseRequest,
    /// It arrives, its answer does not.
    LoseAnswer,
    /// It arrives so much later.
    Delay(Duration),
    /// It is answered with this instead of arriving.
    Answer(u16, &'static str),
    /// It is answered with 200 and this body instead of arriving.
    Body(&'static str),
}

/// Stores over engines in memory, what reached them, and what goes wrong on the way.
pub(crate) struct Rig {
    pub(crate) stores: Stores,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    faults: Mutex<VecDeque<(String, Fault)>>,
    left: Mutex<Vec<String>>,
}

impl Rig {
    /// With everything that the models need, and nothing counted yet.
    pub(crate) async fn new(models: &Models) -> Rig {
        let engines = Engines::open(&Place::Memory, Synchronous::Normal).await.unwrap();
        let way = Arc::new(Way::default());
        let faulty = |client| {
            SharedHttpClient::new(Faulty {
                client,
                way: Arc::clone(&way),
            })
        };
        let connectors = Connectors {
            dynamodb: faulty(engines.dynamodb),
            kms: faulty(engines.kms),
            s3: faulty(engines.s3),
        };
        let stores = Stores::embedded(connectors, &Settings::default());
        assert!(provision(&stores, models).await.unwrap().is_empty());
        let rig = Rig { stores, way };
        rig.left();
        rig
    }

    /// The next request of this operation that has no fault yet gets one.
    pub(crate) fn fault(&self, operation: &str, fault: Fault) {
        let mut faults = self.way.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push_back((operation.to_owned(), fault));
    }

    /// The operations that left since the last time, in order.
    pub(crate) fn left(&self) -> Vec<String> {
        std::mem::take(&mut self.way.left.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Faulty<T> {
    client: T,
    way: Arc<Way>,
}

impl<T> fmt::Debug for Faulty<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Faulty")
    }
}

impl HttpClient for Faulty<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let client = self.client.http_connector(settings, parts);
        SharedHttpConnector::new(Faulty {
            client,
            way: Arc::clone(&self.way),
        })
    }
}

impl HttpConnector for Faulty<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let fault = self.way.next_fault(&operation);
        if matches!(fault, Some(Fault::NoConnection)) {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            return HttpConnectorFuture::ready(Err(ConnectorError::io(refused.into())));
        }
        self.way
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(operation);
        let reset = || ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into());
        match fault {
            None | Some(Fault::NoConnection) => self.client.call(request),
            Some(Fault::LoseRequest) => HttpConnectorFuture::ready(Err(reset())),
            Some(Fault::Answer(status, code)) => HttpConnectorFuture::ready(Ok(answer(status, code))),
            Some(Fault::Body(body)) => {
                let response = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
                HttpConnectorFuture::ready(Ok(response))
            }
            Some(Fault::LoseAnswer) => {
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

impl Way {
    fn next_fault(&self, operation: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
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

/// In both forms at once: each protocol reads its own.
fn answer(status: u16, code: &str) -> HttpResponse {
    let body = match code {
        "InternalError" | "SlowDown" => {
            format!("<Error><Code>{code}</Code><Message>injected</Message></Error>")
        }
        code => format!("{{\"__type\":\"com.amazonaws#{code}\",\"message\":\"injected\"}}"),
    };
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}
