//! An OpenTelemetry collector in this process: accepts OTLP over gRPC and HTTP, keeps what it receives, and fails on
//! request.

mod received;

pub use received::{Counted, Received, attributes, histogram_points, number_points};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use parking_lot::{Mutex, MutexGuard};
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How long a test waits for an export.
const TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How a collector reacts to an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// Accepts it.
    #[default]
    Accepts,
    /// Accepts it and only counts it: for benchmarks.
    Counts,
    /// Accepts it, and over HTTP reports one record as rejected.
    RejectsOne,
    /// Returns an error that is not retryable.
    Refuses,
    /// Returns a retryable error.
    Unavailable,
    /// Never responds.
    Hangs,
}

/// A running collector; clones share it.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    behavior: Behavior,
    refused: u64,
    received: Received,
    counted: Counted,
}

impl Collector {
    /// A collector over gRPC.
    pub async fn grpc() -> Collector {
        let (collector, listener) = Collector::bind().await;
        let router = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()));
        tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        collector
    }

    /// A collector over HTTP with protobuf.
    pub async fn http() -> Collector {
        let (collector, listener) = Collector::bind().await;
        let accepting = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = accepting.clone();
                let service = service_fn(move |request| handle_http(collector.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        collector
    }

    async fn bind() -> (Collector, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::default();
        (Collector { address, state }, listener)
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes its behavior.
    pub fn set_behavior(&self, behavior: Behavior) {
        self.state().behavior = behavior;
    }

    /// Everything received so far.
    pub fn received(&self) -> Received {
        self.state().received.clone()
    }

    /// The number of refused requests.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    /// What was received while it only counted.
    pub fn counted(&self) -> Counted {
        self.state().counted
    }

    /// Waits until enough was received.
    ///
    /// # Panics
    ///
    /// If it does not happen in time.
    pub async fn until(&self, what: &str, is_enough: impl Fn(&Received) -> bool) -> Received {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < TIMEOUT {
            let received = self.received();
            if is_enough(&received) {
                return received;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        panic!("{what} did not come: {:#?}", self.received());
    }

    async fn take<T>(&self, headers: http::HeaderMap, take: impl FnOnce(&mut Received)) -> Result<T, Status>
    where
        T: Default,
    {
        let behavior = self.state().behavior;
        match behavior {
            Behavior::Accepts | Behavior::RejectsOne => {
                let mut state = self.state();
                state.received.headers.push(headers);
                take(&mut state.received);
                Ok(T::default())
            }
            Behavior::Counts => {
                let mut received = Received::default();
                take(&mut received);
                self.state().counted.add(&received);
                Ok(T::default())
            }
            Behavior::Refuses => {
                self.state().refused += 1;
                Err(Status::invalid_argument("refused"))
            }
            Behavior::Unavailable => {
                self.state().refused += 1;
                Err(Status::unavailable("away"))
            }
            Behavior::Hangs => std::future::pending().await,
        }
    }

    async fn take_traces(
        &self,
        headers: http::HeaderMap,
        request: ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Status> {
        let take = |received: &mut Received| {
            for of_resource in request.resource_spans {
                received.resources.extend(of_resource.resource);
                let spans = of_resource.scope_spans.into_iter();
                received.spans.extend(spans.flat_map(|scope| scope.spans));
            }
        };
        self.take(headers, take).await
    }

    async fn take_metrics(
        &self,
        headers: http::HeaderMap,
        request: ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Status> {
        let take = |received: &mut Received| {
            received.metrics.clear();
            for of_resource in request.resource_metrics {
                received.resources.extend(of_resource.resource);
                let metrics = of_resource.scope_metrics.into_iter();
                received.metrics.extend(metrics.flat_map(|scope| scope.metrics));
            }
        };
        self.take(headers, take).await
    }

    async fn take_logs(
        &self,
        headers: http::HeaderMap,
        request: ExportLogsServiceRequest,
    ) -> Result<ExportLogsServiceResponse, Status> {
        let take = |received: &mut Received| {
            for of_resource in request.resource_logs {
                received.resources.extend(of_resource.resource);
                let logs = of_resource.scope_logs.into_iter();
                for of_scope in logs {
                    let is_audit = of_scope.scope.is_some_and(|scope| scope.name == "tollgate.audit");
                    match is_audit {
                        true => received.audit.extend(of_scope.log_records),
                        false => received.logs.extend(of_scope.log_records),
                    }
                }
            }
        };
        self.take(headers, take).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let taken = self.take_traces(metadata.into_headers(), message).await;
        taken.map(Response::new)
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let taken = self.take_metrics(metadata.into_headers(), message).await;
        taken.map(Response::new)
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let taken = self.take_logs(metadata.into_headers(), message).await;
        taken.map(Response::new)
    }
}

async fn handle_http(
    collector: Collector,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let taken = match head.uri.path() {
        "/v1/traces" => {
            let request = ExportTraceServiceRequest::decode(body).expect("spans");
            let taken = collector.take_traces(head.headers, request).await;
            taken.map(|response| response.encode_to_vec())
        }
        "/v1/metrics" => {
            let request = ExportMetricsServiceRequest::decode(body).expect("metrics");
            let taken = collector.take_metrics(head.headers, request).await;
            taken.map(|response| response.encode_to_vec())
        }
        "/v1/logs" => {
            let request = ExportLogsServiceRequest::decode(body).expect("log records");
            let taken = collector.take_logs(head.headers, request).await;
            taken.map(|response| response.encode_to_vec())
        }
        other => panic!("{other}"),
    };
    let mut response = http::Response::new(Full::default());
    match taken {
        Ok(_) if collector.state().behavior == Behavior::RejectsOne => *response.body_mut() = one_rejected(),
        Ok(body) => *response.body_mut() = Full::from(body),
        Err(status) if status.code() == tonic::Code::Unavailable => {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        Err(_) => *response.status_mut() = http::StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

/// The responses of all three signals have the same fields.
fn one_rejected() -> Full<Bytes> {
    let partial_success = ExportTracePartialSuccess {
        rejected_spans: 1,
        error_message: "one is wrong".to_owned(),
    };
    let response = ExportTraceServiceResponse {
        partial_success: Some(partial_success),
    };
    Full::from(response.encode_to_vec())
}
