//! A connector between the SDK clients and the embedded engines that counts every request and injects faults: delays,
//! errors, lost responses.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tollgate::aws::Connectors;

use crate::aged::Aged;
pub use crate::operation::{operation, s3_operation};
use crate::scripted;
use crate::stores::RawStores;
use crate::versions::Versions;

/// The request id of responses that a test defines.
pub const RESPONSE_ID: &str = "MADEUP0123456789";

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It gets its response.
    Pass,
    /// It gets its response after this delay.
    Delay(Duration),
    /// It gets HTTP 500 and does nothing.
    Error500,
    /// It is throttled and does nothing.
    Throttle,
    /// It gets this status and body with the request id [`RESPONSE_ID`], and does nothing.
    Respond(u16, &'static str),
    /// It is done, and its response is lost.
    LoseResponse,
    /// It gets its response, which is remembered.
    Remember,
    /// It gets the remembered response of its operation and does nothing, like a read from a replica that lags behind. A
    /// strongly consistent read passes.
    Replay,
    /// It never gets a response.
    Hang,
    /// Its response is cut: the body ends cleanly after so many bytes, whatever `content-length` says.
    CutBody(usize),
    /// Its response breaks off: the connection is reset after so many bytes of the body.
    BreakBody(usize),
    /// The body of its response pauses for this long after the first byte.
    PauseBody(Duration),
}

/// Runs before a request passes.
type Before = dyn Fn(&str) -> BoxFuture<'static, ()> + Send + Sync;

type Judge = dyn Fn(&str) -> Fate + Send + Sync;

/// Counts the requests of all three services by operation, and decides their fate.
#[derive(Clone)]
pub struct Wiretap {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Read and write units that DynamoDB reported in responses that arrived.
    capacity: Arc<Mutex<(f64, f64)>>,
    judge: Arc<Judge>,
    before: Option<Arc<Before>>,
    stores: Arc<OnceLock<RawStores>>,
    under_way: Arc<Mutex<BTreeMap<String, UnderWay>>>,
    remembered: Arc<Mutex<BTreeMap<String, Bytes>>>,
    aged: Option<Aged>,
    versions: Option<Versions>,
}

/// Requests of one operation that have no response yet.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    now: u64,
    most: u64,
}

impl Wiretap {
    /// `judge` decides the fate of every request by its operation (`PutItem`, `GenerateDataKey`, `UploadPart`, ...).
    pub fn new(judge: impl Fn(&str) -> Fate + Send + Sync + 'static) -> Wiretap {
        Wiretap {
            counts: Arc::default(),
            capacity: Arc::default(),
            judge: Arc::new(judge),
            before: None,
            stores: Arc::default(),
            under_way: Arc::default(),
            remembered: Arc::default(),
            aged: None,
            versions: None,
        }
    }

    /// Counts only.
    pub fn counting() -> Wiretap {
        Wiretap::new(|_| Fate::Pass)
    }

    /// Counts, and runs `before` before each request passes.
    pub fn before(before: impl Fn(&str) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Wiretap {
        Wiretap::counting().and_before(before)
    }

    /// The same, with `before` before each request meets its fate.
    #[must_use]
    pub fn and_before(
        self,
        before: impl Fn(&str) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Wiretap {
        Wiretap {
            before: Some(Arc::new(before)),
            ..self
        }
    }

    /// The same, with lists that report these keys as old.
    #[must_use]
    pub fn with_aged(self, aged: &Aged) -> Wiretap {
        Wiretap {
            aged: Some(aged.clone()),
            ..self
        }
    }

    /// The same, over buckets that look versioned.
    #[must_use]
    pub fn versioned(self, versions: &Versions) -> Wiretap {
        Wiretap {
            versions: Some(versions.clone()),
            ..self
        }
    }

    /// Requests so far, by operation.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().clone()
    }

    /// Requests of one operation so far.
    pub fn count(&self, operation: &str) -> u64 {
        self.counts().get(operation).copied().unwrap_or_default()
    }

    /// The maximum number of concurrent requests of one operation.
    pub fn most_under_way(&self, operation: &str) -> u64 {
        self.under_way(operation, |under_way| under_way.most)
    }

    fn under_way<T>(&self, operation: &str, of: impl FnOnce(&mut UnderWay) -> T) -> T {
        let mut all = self.under_way.lock();
        of(all.entry(operation.to_owned()).or_default())
    }

    /// Direct clients of the stores behind this wiretap.
    ///
    /// # Panics
    ///
    /// If no gateway was started with this wiretap.
    pub fn stores(&self) -> &RawStores {
        self.stores
            .get()
            .expect("a gateway was started behind this wiretap")
    }

    /// The read and write units that DynamoDB reported in the responses that arrived.
    pub fn capacity(&self) -> (f64, f64) {
        *self.capacity.lock()
    }

    /// Resets the counts, for example after the start.
    pub fn clear(&self) {
        self.counts.lock().clear();
        *self.capacity.lock() = (0.0, 0.0);
    }

    /// Adds what a response of DynamoDB says about capacity.
    fn count_capacity(&self, operation: &str, body: &[u8]) {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
            return;
        };
        let reported = match &body["ConsumedCapacity"] {
            serde_json::Value::Array(tables) => tables.iter().collect(),
            table @ serde_json::Value::Object(_) => vec![table],
            _ => Vec::new(),
        };
        let is_read = matches!(
            operation,
            "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems"
        );
        let mut capacity = self.capacity.lock();
        for table in reported {
            let units = |name: &str| table[name].as_f64();
            match (operation, units("ReadCapacityUnits"), units("WriteCapacityUnits")) {
                ("TransactWriteItems", read, written) if read.is_some() || written.is_some() => {
                    capacity.0 += read.unwrap_or_default();
                    capacity.1 += written.unwrap_or_default();
                }
                _ if is_read => capacity.0 += units("CapacityUnits").unwrap_or_default(),
                _ => capacity.1 += units("CapacityUnits").unwrap_or_default(),
            }
        }
    }

    /// Wraps the connectors of the engines.
    pub fn wrap(&self, connectors: Connectors) -> Connectors {
        // with several gateways, the stores are those of the first
        let _ = self.stores.set(RawStores::over(&connectors));
        let tap = |inner| {
            SharedHttpClient::new(TappedClient {
                inner,
                tap: self.clone(),
            })
        };
        Connectors {
            dynamodb: tap(connectors.dynamodb),
            kms: tap(connectors.kms),
            s3: tap(connectors.s3),
            // an injected fault has no connection, and every request that reaches the wiretap counts
            over_sockets: false,
        }
    }

    fn judge(&self, operation: &str) -> Fate {
        *self.counts.lock().entry(operation.to_owned()).or_default() += 1;
        (self.judge)(operation)
    }
}

impl fmt::Debug for Wiretap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wiretap")
    }
}

#[derive(Debug)]
struct TappedClient {
    inner: SharedHttpClient,
    tap: Wiretap,
}

impl HttpClient for TappedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(TappedConnector {
            inner,
            tap: self.tap.clone(),
        })
    }
}

#[derive(Debug)]
struct TappedConnector {
    inner: SharedHttpConnector,
    tap: Wiretap,
}

impl HttpConnector for TappedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let fate = self.tap.judge(&operation);
        let before = self.tap.before.as_ref().map(|before| before(&operation));
        let passage = Passage::begin(&self.tap, operation);
        let speaks_json = request.headers().get("x-amz-target").is_some();
        let inner = Inner {
            connector: self.inner.clone(),
            tap: self.tap.clone(),
            operation: passage.operation.clone(),
        };
        HttpConnectorFuture::new(async move {
            let _ends_when_dropped = passage;
            if let Some(before) = before {
                before.await;
            }
            match fate {
                Fate::Pass => inner.pass(request, speaks_json).await,
                Fate::Delay(time) => {
                    tokio::time::sleep(time).await;
                    inner.pass(request, speaks_json).await
                }
                Fate::Error500 => Ok(failure(speaks_json)),
                Fate::Throttle => Ok(throttling(speaks_json)),
                Fate::Respond(status, body) => Ok(made_up(status, body)),
                Fate::LoseResponse => {
                    inner.call(request).await?;
                    Err(ConnectorError::io("the response is lost".into()))
                }
                Fate::Remember => inner.remember(request).await,
                Fate::Replay if is_consistent(&request) => inner.call(request).await,
                Fate::Replay => Ok(inner.replay()),
                Fate::Hang => std::future::pending().await,
                Fate::CutBody(length) => scripted::cut(inner.call(request).await?, length).await,
                Fate::BreakBody(length) => scripted::broken(inner.call(request).await?, length).await,
                Fate::PauseBody(time) => scripted::paused(inner.call(request).await?, time).await,
            }
        })
    }
}

/// The connector behind the wiretap.
struct Inner {
    connector: SharedHttpConnector,
    tap: Wiretap,
    operation: String,
}

impl Inner {
    /// Sends a request, and counts the capacity that a response in JSON reports.
    async fn pass(&self, request: HttpRequest, speaks_json: bool) -> Result<HttpResponse, ConnectorError> {
        let response = self.call(request).await?;
        if let Some(aged) = &self.tap.aged
            && matches!(self.operation.as_str(), "ListObjectsV2" | "ListMultipartUploads")
        {
            let (mut response, body) = scripted::buffered(response).await?;
            let list = aged.rewrite(&String::from_utf8_lossy(&body));
            *response.body_mut() = SdkBody::from(list);
            return Ok(response);
        }
        if !speaks_json {
            return Ok(response);
        }
        let (response, body) = scripted::buffered(response).await?;
        self.tap.count_capacity(&self.operation, &body);
        Ok(response)
    }

    /// Sends a request. One whose connection is refused never reaches a store, and does not count.
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let is_of_s3 = request.headers().get("x-amz-target").is_none();
        let versions = self.tap.versions.as_ref().filter(|_| is_of_s3);
        let path = versions.map(|versions| versions.take(&self.operation, &mut request));
        let mut response = self.connector.call(request).await;
        if let (Some(versions), Some(path), Ok(response)) = (versions, path, &mut response) {
            versions.add(&self.operation, &path, response);
        }
        if response.as_ref().is_err_and(is_refused) {
            let mut counts = self.tap.counts.lock();
            if let Some(count) = counts.get_mut(&self.operation) {
                *count = count.saturating_sub(1);
            }
        }
        response
    }

    /// Sends a request, and remembers its response.
    async fn remember(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let (response, body) = scripted::buffered(self.call(request).await?).await?;
        let mut remembered = self.tap.remembered.lock();
        remembered.insert(self.operation.clone(), body);
        Ok(response)
    }

    /// The response that is remembered.
    fn replay(&self) -> HttpResponse {
        let remembered = self.tap.remembered.lock();
        let body = remembered.get(&self.operation).cloned();
        let status = StatusCode::try_from(200).expect("a status code");
        HttpResponse::new(status, SdkBody::from(body.expect("a response was remembered")))
    }
}

fn is_refused(error: &ConnectorError) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source()).any(|cause| {
        cause
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
    })
}

/// A request on its way; it ends with its response or when its caller stops waiting.
struct Passage {
    tap: Wiretap,
    operation: String,
}

impl Passage {
    fn begin(tap: &Wiretap, operation: String) -> Passage {
        tap.under_way(&operation, |under_way| {
            under_way.now += 1;
            under_way.most = under_way.most.max(under_way.now);
        });
        Passage {
            tap: tap.clone(),
            operation,
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.tap
            .under_way(&self.operation, |under_way| under_way.now -= 1);
    }
}

/// Whether a request to DynamoDB is a strongly consistent read.
fn is_consistent(request: &HttpRequest) -> bool {
    let body = request.body().bytes().unwrap_or_default();
    let wanted = br#""ConsistentRead":true"#;
    body.windows(wanted.len()).any(|window| window == wanted)
}

/// HTTP 500 of DynamoDB and KMS, or of S3.
pub fn failure(speaks_json: bool) -> HttpResponse {
    match speaks_json {
        true => response(500, r#"{"__type":"InternalServerError","message":"injected"}"#),
        false => response(
            500,
            "<Error><Code>InternalError</Code><Message>injected</Message></Error>",
        ),
    }
}

/// A throttled request to DynamoDB and KMS, or to S3.
pub fn throttling(speaks_json: bool) -> HttpResponse {
    match speaks_json {
        true => response(400, r#"{"__type":"ThrottlingException","message":"injected"}"#),
        false => response(
            503,
            "<Error><Code>SlowDown</Code><Message>injected</Message></Error>",
        ),
    }
}

fn made_up(status: u16, body: &'static str) -> HttpResponse {
    let mut response = response(status, body);
    response.headers_mut().insert("x-amz-request-id", RESPONSE_ID);
    response
}

fn response(status: u16, body: &'static str) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status code");
    HttpResponse::new(status, SdkBody::from(body))
}
