//! The embedded engines behind one HTTP endpoint, as a program with `--backend aws` sees them. What the engines lack is
//! canned: point-in-time recovery, lifecycle rules, blocks of public access.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector as _, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate::embedded::{Engines, Place, Synchronous};

/// The endpoint, and direct clients of the engines behind it.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    shared: Arc<Shared>,
}

struct Shared {
    dynamodb: SharedHttpConnector,
    kms: SharedHttpConnector,
    s3: SharedHttpConnector,
    canned: Mutex<Canned>,
}

/// What the engines do not keep.
#[derive(Default)]
pub(crate) struct Canned {
    /// The operations that were sent, in order.
    pub(crate) sent: Vec<String>,
    /// The bodies of UpdateTable, in order.
    pub(crate) updates: Vec<String>,
    /// Tables with point-in-time recovery.
    pub(crate) recovery: BTreeSet<String>,
    /// The lifecycle configuration of each bucket.
    pub(crate) lifecycles: BTreeMap<String, String>,
    /// The buckets whose public access is blocked.
    pub(crate) blocked: BTreeSet<String>,
    /// Tables that are described as being created, once.
    creating: BTreeSet<String>,
    /// Tables whose backups were unavailable once.
    refused: BTreeSet<String>,
    /// Whether S3 lacks lifecycle rules and blocks of public access.
    pub(crate) lacks_configurations: bool,
}

/// Passes on a client, and keeps its connector.
#[derive(Debug)]
struct Capture {
    client: SharedHttpClient,
    connector: Arc<OnceLock<SharedHttpConnector>>,
}

impl HttpClient for Capture {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        let _ = self.connector.set(connector.clone());
        connector
    }
}

macro_rules! client {
    ($service:ident, $client:expr, $connector:expr $(, $option:ident($value:expr))*) => {
        $service::Client::from_conf(
            $service::config::Builder::new()
                .behavior_version($service::config::BehaviorVersion::latest())
                .region($service::config::Region::from_static("us-east-1"))
                .endpoint_url("http://embedded.localhost")
                .http_client(SharedHttpClient::new(Capture {
                    client: $client,
                    connector: Arc::clone(&$connector),
                }))
                .allow_no_auth()
                $(.$option($value))*
                .build(),
        )
    };
}

impl Endpoint {
    pub(crate) async fn start() -> Endpoint {
        let engines = Engines::open(&Place::Memory, Synchronous::Normal)
            .await
            .expect("engines in memory");
        let connectors: [Arc<OnceLock<SharedHttpConnector>>; 3] = Default::default();
        let dynamodb = client!(aws_sdk_dynamodb, engines.dynamodb, connectors[0]);
        let kms = client!(aws_sdk_kms, engines.kms, connectors[1]);
        let s3 = client!(aws_sdk_s3, engines.s3, connectors[2], force_path_style(true));
        // a client asks for its connector with the first request
        dynamodb.list_tables().send().await.expect("no tables");
        kms.list_aliases().send().await.expect("no aliases");
        s3.head_bucket()
            .bucket("none")
            .send()
            .await
            .expect_err("no bucket");
        let [of_dynamodb, of_kms, of_s3] =
            connectors.map(|connector| connector.get().expect("captured").clone());
        let shared = Arc::new(Shared {
            dynamodb: of_dynamodb,
            kms: of_kms,
            s3: of_s3,
            canned: Mutex::default(),
        });
        let address = listen(Arc::clone(&shared)).await;
        Endpoint {
            url: format!("http://{address}"),
            dynamodb,
            kms,
            s3,
            shared,
        }
    }

    pub(crate) fn canned<T>(&self, of: impl FnOnce(&mut Canned) -> T) -> T {
        of(&mut self.shared.canned.lock())
    }

    /// The operations that were sent since the last time, without those that only read.
    pub(crate) fn take_changes(&self) -> Vec<String> {
        let sent = self.canned(|canned| std::mem::take(&mut canned.sent));
        let reads = ["Describe", "Get", "Head", "List"];
        sent.into_iter()
            .filter(|name| !reads.iter().any(|read| name.starts_with(read)))
            .collect()
    }
}

async fn listen(shared: Arc<Shared>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(handle(&shared, request).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

async fn handle(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    // the engines check no signatures
    parts.headers.remove("authorization");
    let target = parts.headers.get("x-amz-target");
    let target = target.map(|target| target.to_str().expect("text").to_owned());
    let operation = match &target {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => s3_operation(&parts.method, parts.uri.query().unwrap_or_default()).to_owned(),
    };
    shared.canned.lock().sent.push(operation.clone());
    let bucket = parts.uri.path().trim_matches('/').to_owned();
    if let Some(response) = shared.canned.lock().respond(&operation, &bucket, &body) {
        return response;
    }
    let connector = match target {
        Some(target) if target.starts_with("TrentService") => &shared.kms,
        Some(_) => &shared.dynamodb,
        None => &shared.s3,
    };
    let table = table_of(&body);
    let request = Request::from_parts(parts, SdkBody::from(body));
    let request = HttpRequest::try_from(request).expect("a request of the SDK");
    let response = connector.call(request).await.expect("the engine responds");
    let is_done = response.status().is_success();
    let is_creating = shared.canned.lock().is_creating(&operation, table, is_done);
    to_hyper(response, is_creating).await
}

fn s3_operation(method: &Method, query: &str) -> &'static str {
    let is = |name: &str| query.split('&').any(|part| part.trim_end_matches('=') == name);
    match (method.as_str(), is("lifecycle"), is("publicAccessBlock")) {
        ("GET", true, _) => "GetBucketLifecycleConfiguration",
        ("PUT", true, _) => "PutBucketLifecycleConfiguration",
        ("GET", _, true) => "GetPublicAccessBlock",
        ("PUT", _, true) => "PutPublicAccessBlock",
        ("HEAD", ..) => "HeadBucket",
        _ => "CreateBucket",
    }
}

fn table_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body["TableName"].as_str()?.to_owned())
}

async fn to_hyper(response: HttpResponse, is_creating: bool) -> Response<Full<Bytes>> {
    let response = response.try_into_http1x().expect("a response");
    let (parts, body) = response.into_parts();
    let mut body = body.collect().await.expect("a whole response").to_bytes();
    if is_creating {
        let mut description: Value = serde_json::from_slice(&body).expect("JSON");
        description["Table"]["TableStatus"] = json!("CREATING");
        body = description.to_string().into();
    }
    let mut response = Response::from_parts(parts, Full::new(body));
    for name in ["content-length", "x-amz-crc32"] {
        response.headers_mut().remove(name);
    }
    response
}

impl Canned {
    /// Whether this describes a table that was just created, for the first time.
    fn is_creating(&mut self, operation: &str, table: Option<String>, is_done: bool) -> bool {
        if operation == "CreateTable" && is_done {
            self.creating.extend(table);
            return false;
        }
        operation == "DescribeTable" && table.is_some_and(|name| self.creating.remove(&name))
    }

    fn respond(&mut self, operation: &str, bucket: &str, body: &Bytes) -> Option<Response<Full<Bytes>>> {
        if self.lacks_configurations
            && (operation.contains("Lifecycle") || operation.contains("PublicAccess"))
        {
            return Some(xml_error(501, "NotImplemented"));
        }
        let table = table_of(body).unwrap_or_default();
        let text = String::from_utf8_lossy(body).into_owned();
        if operation == "UpdateTable" {
            self.updates.push(text.clone());
        }
        Some(match operation {
            "DescribeContinuousBackups" => {
                let status = if self.recovery.contains(&table) {
                    "ENABLED"
                } else {
                    "DISABLED"
                };
                let recovery = json!({ "PointInTimeRecoveryStatus": status });
                let description = json!({
                    "ContinuousBackupsStatus": "ENABLED",
                    "PointInTimeRecoveryDescription": recovery,
                });
                respond(
                    200,
                    json!({ "ContinuousBackupsDescription": description }).to_string(),
                )
            }
            "UpdateContinuousBackups" if self.refused.insert(table.clone()) => respond(
                400,
                json!({ "__type": "com.amazonaws#ContinuousBackupsUnavailableException" }).to_string(),
            ),
            "UpdateContinuousBackups" => {
                assert!(text.contains("\"PointInTimeRecoveryEnabled\":true"), "{text}");
                self.recovery.insert(table);
                respond(200, "{}".to_owned())
            }
            "GetBucketLifecycleConfiguration" => match self.lifecycles.get(bucket) {
                Some(configuration) => respond(200, configuration.clone()),
                None => xml_error(404, "NoSuchLifecycleConfiguration"),
            },
            "PutBucketLifecycleConfiguration" => {
                self.lifecycles.insert(bucket.to_owned(), text);
                respond(200, String::new())
            }
            "GetPublicAccessBlock" if self.blocked.contains(bucket) => respond(
                200,
                "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
                 <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
                 <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
                    .to_owned(),
            ),
            "GetPublicAccessBlock" => xml_error(404, "NoSuchPublicAccessBlockConfiguration"),
            "PutPublicAccessBlock" => {
                assert_eq!(text.matches("true").count(), 4, "{text}");
                self.blocked.insert(bucket.to_owned());
                respond(200, String::new())
            }
            _ => return None,
        })
    }
}

fn respond(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn xml_error(status: u16, code: &str) -> Response<Full<Bytes>> {
    respond(
        status,
        format!("<Error><Code>{code}</Code><Message>canned</Message></Error>"),
    )
}
