//! A collector in this process: takes OTLP over gRPC and HTTP, keeps all of it, and can be slow or contrary.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How long a test waits for what is exported.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What it does with what it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    #[default]
    Takes,
    /// Takes it, and keeps only how much it was: for benchmarks.
    Counts,
    /// Takes it, and says over HTTP that one record of it was rejected.
    RejectsOne,
    /// Answers an error that no retry helps.
    Refuses,
    /// Answers an error that a retry may help.
    IsAway,
    /// Never answers.
    Hangs,
}

/// A running collector. Cloning gives the same one.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// Everything that came.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// All spans.
    pub spans: Vec<Span>,
    /// All log records.
    pub logs: Vec<LogRecord>,
    /// The metrics of the last export: sums are cumulative.
    pub metrics: Vec<Metric>,
    /// Who sent it.
    pub resources: Vec<Resource>,
    /// Metadata or headers of the requests.
    pub headers: Vec<http::HeaderMap>,
}

/// How much came while it counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Metrics of all exports: one counts again in every export.
    pub metrics: u64,
}

#[derive(Default)]
struct State {
    manner: Manner,
    refused: u64,
    received: Received,
    counted: Counted,
}

impl Collector {
    /// One that takes gRPC.
    pub async fn grpc() -> Collector {
        let (collector, listener) = Collector::bind().await;
        let router = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()));
        tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        collector
    }

    /// One that takes HTTP with protobuf.
    pub async fn http() -> Collector {
        let (collector, listener) = Collector::bind().await;
        let accepting = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = accepting.clone();
                let answer = service_fn(move |request| answer_http(collector.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
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

    /// From now on it behaves like this.
    pub fn behave(&self, manner: Manner) {
        self.state().manner = manner;
    }

    /// What came until now.
    pub fn received(&self) -> Received {
        self.state().received.clone()
    }

    /// How many requests it refused.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    /// How much came while it counted.
    pub fn counted(&self) -> Counted {
        self.state().counted
    }

    /// Waits until what came is enough.
    ///
    /// # Panics
    ///
    /// Where it never is.
    pub async fn until(&self, what: &str, is_enough: impl Fn(&Received) -> bool) -> Received {
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < PATIENCE {
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
        let manner = self.state().manner;
        match manner {
            Manner::Takes | Manner::RejectsOne => {
                let mut state = self.state();
                state.received.headers.push(headers);
                take(&mut state.received);
                Ok(T::default())
            }
            Manner::Counts => {
                let mut received = Received::default();
                take(&mut received);
                self.state().counted.add(&received);
                Ok(T::default())
            }
            Manner::Refuses => {
                self.state().refused += 1;
                Err(Status::invalid_argument("refused"))
            }
            Manner::IsAway => {
                self.state().refused += 1;
                Err(Status::unavailable("away"))
            }
            Manner::Hangs => std::future::pending().await,
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
                received.logs.extend(logs.flat_map(|scope| scope.log_records));
            }
        };
        self.take(headers, take).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn answer_http(
    collector: Collector,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let taken = match head.uri.path() {
        "/v1/traces" => {
            let request = ExportTraceServiceRequest::decode(body).expect("spans");
            let taken = collector.take_traces(head.headers, request).await;
            taken.map(|answer| answer.encode_to_vec())
        }
        "/v1/metrics" => {
            let request = ExportMetricsServiceRequest::decode(body).expect("metrics");
            let taken = collector.take_metrics(head.headers, request).await;
            taken.map(|answer| answer.encode_to_vec())
        }
        "/v1/logs" => {
            let request = ExportLogsServiceRequest::decode(body).expect("log records");
            let taken = collector.take_logs(head.headers, request).await;
            taken.map(|answer| answer.encode_to_vec())
        }
        other => panic!("{other}"),
    };
    let mut response = http::Response::new(Full::default());
    match taken {
        Ok(_) if collector.state().manner == Manner::RejectsOne => *response.body_mut() = one_rejected(),
        Ok(answer) => *response.body_mut() = Full::from(answer),
        Err(status) if status.code() == tonic::Code::Unavailable => {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        Err(_) => *response.status_mut() = http::StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

/// The answers of all three signals have the same fields.
fn one_rejected() -> Full<Bytes> {
    let partial_success = ExportTracePartialSuccess {
        rejected_spans: 1,
        error_message: "one is wrong".to_owned(),
    };
    let answer = ExportTraceServiceResponse {
        partial_success: Some(partial_success),
    };
    Full::from(answer.encode_to_vec())
}

impl Counted {
    fn add(&mut self, received: &Received) {
        self.spans += received.spans.len() as u64;
        self.logs += received.logs.len() as u64;
        self.metrics += received.metrics.len() as u64;
    }
}

impl Received {
    /// The spans of this name.
    pub fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The only span of this name.
    ///
    /// # Panics
    ///
    /// Where there is none, or are several.
    pub fn only(&self, name: &str) -> &Span {
        match self.named(name)[..] {
            [span] => span,
            ref spans => panic!("{} spans {name} among {:?}", spans.len(), self.span_names()),
        }
    }

    /// The names of all spans, sorted.
    pub fn span_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The spans whose parent is this one.
    pub fn children(&self, parent: &Span) -> Vec<&Span> {
        let is_child =
            |span: &&Span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id;
        self.spans.iter().filter(is_child).collect()
    }

    /// A metric.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn metric(&self, name: &str) -> &Metric {
        let found = self.metrics.iter().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// The sum of a counter's points whose attributes contain these.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let points = number_points(self.metric(name));
        points
            .iter()
            .filter(|point| has(&point.attributes, labels))
            .map(|point| match point.value {
                Some(Number::AsInt(value)) => value as f64,
                Some(Number::AsDouble(value)) => value,
                None => 0.0,
            })
            .sum()
    }

    /// Count and sum of a histogram's points whose attributes contain these.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> (u64, f64) {
        let points = histogram_points(self.metric(name));
        let points = points.iter().filter(|point| has(&point.attributes, labels));
        points.fold((0, 0.0), |(count, sum), point| {
            (count + point.count, sum + point.sum.unwrap_or_default())
        })
    }
}

/// The points of a counter or gauge.
pub fn number_points(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        other => panic!("{} is {other:?}", metric.name),
    }
}

/// The points of a histogram.
pub fn histogram_points(metric: &Metric) -> &[HistogramDataPoint] {
    match &metric.data {
        Some(Data::Histogram(histogram)) => &histogram.data_points,
        other => panic!("{} is {other:?}", metric.name),
    }
}

/// Attributes by name.
pub fn attributes(pairs: &[KeyValue]) -> BTreeMap<&str, Value> {
    let pairs = pairs.iter();
    pairs
        .map(|pair| (pair.key.as_str(), pair.value.as_ref().map_or(Value::Null, plain)))
        .collect()
}

fn plain(value: &AnyValue) -> Value {
    match &value.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(boolean)) => json!(boolean),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(array)) => array.values.iter().map(plain).collect(),
        other => json!(format!("{other:?}")),
    }
}

fn has(pairs: &[KeyValue], labels: &[(&str, &str)]) -> bool {
    let attributes = attributes(pairs);
    labels
        .iter()
        .all(|(name, value)| attributes.get(name) == Some(&json!(value)))
}
