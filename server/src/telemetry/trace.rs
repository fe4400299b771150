//! The trace of a call: its server span, which continues the caller's trace, and a client span per request to AWS.
//! Never counts: figures are those of the bill that closing hands in.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, ContextGuard, KeyValue, StringValue, Value};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::BaggagePropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use super::histograms::Histograms;
use super::names::{self, attribute};
use super::on::Inner;
use super::variables::Propagators;
use super::{EndedCall, RequestFacts, ResponseFacts, parent};
use crate::figure::{AwsOperation, Bill, Rpc, Service};

/// Makes the spans of calls.
#[derive(Debug)]
pub(super) struct Tracing {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The trace of one call; a caller's headers begin it, closing the call ends its server span. Where traces are not
/// exported, it is the caller's alone, for the log.
#[derive(Clone, Default)]
pub struct CallTrace {
    telemetry: Option<Arc<Inner>>,
    context: Option<Context>,
}

/// While this lives, log lines of this thread are told with the ids of the trace.
pub struct Entered(#[expect(dead_code, reason = "dropping it leaves the trace")] Option<ContextGuard>);

/// The span of one request to AWS, retries included. Ends when it is dropped.
#[derive(Debug, Default)]
pub struct RequestSpan(Option<Box<Recorded>>);

#[derive(Debug)]
struct Recorded {
    span: Span,
    region_known: bool,
}

impl Tracing {
    pub(super) fn new(provider: SdkTracerProvider) -> Tracing {
        Tracing {
            tracer: provider.tracer(names::SERVICE),
            provider,
        }
    }

    /// No span begins or ends from now on.
    pub(super) fn shut_down(&self) {
        // what shutting down twice says is of no interest
        let _ = self.provider.shutdown();
    }

    fn server_span(&self, rpc: Rpc, parent: &Context) -> Context {
        let builder = SpanBuilder::from_name(names::server_span(rpc)).with_kind(SpanKind::Server);
        let span = self.tracer.build_with_context(builder, parent);
        parent.with_span(span)
    }
}

impl CallTrace {
    /// No trace, and no figures.
    pub fn off() -> CallTrace {
        CallTrace::default()
    }

    pub(super) fn begin(telemetry: &Arc<Inner>, rpc: Rpc, headers: &http::HeaderMap) -> CallTrace {
        let caller = match telemetry.propagators.trace_context {
            true => parent::of(headers),
            false => None,
        };
        let remote = caller.map(|span| Context::new().with_remote_span_context(span));
        let context = match &telemetry.tracing {
            Some(tracing) => {
                let parent = with_baggage(remote.unwrap_or_default(), telemetry.propagators, headers);
                Some(tracing.server_span(rpc, &parent))
            }
            // log lines are told with the caller's own ids
            None => remote,
        };
        CallTrace {
            telemetry: Some(Arc::clone(telemetry)),
            context,
        }
    }

    /// Tells log lines of this thread with the ids of the trace until the answer is dropped.
    pub fn enter(&self) -> Entered {
        Entered(self.context.clone().map(Context::attach))
    }

    /// Runs a future whose log lines are told with the ids of the trace.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        if self.context.is_none() {
            return future.await;
        }
        let mut future = pin!(future);
        std::future::poll_fn(|waker| {
            let _entered = self.enter();
            future.as_mut().poll(waker)
        })
        .await
    }

    /// Opens the span of a request to AWS.
    pub fn request(&self, facts: &RequestFacts<'_>) -> RequestSpan {
        let (Some(telemetry), Some(context)) = (&self.telemetry, &self.context) else {
            return RequestSpan::default();
        };
        let Some(tracing) = telemetry.tracing.as_ref() else {
            return RequestSpan::default();
        };
        // also of what runs on after the call was closed
        if !context.span().span_context().is_sampled() {
            return RequestSpan::default();
        }
        let builder = SpanBuilder::from_name(request_name(facts))
            .with_kind(SpanKind::Client)
            .with_attributes(request_attributes(facts, telemetry.object_keys));
        let span = tracing.tracer.build_with_context(builder, context);
        RequestSpan(span.is_recording().then(|| {
            Box::new(Recorded {
                span,
                region_known: false,
            })
        }))
    }

    /// An attempt ended that is counted, and whose time was added to the bill.
    pub fn attempt_ended(&self, operation: AwsOperation, model: Option<&Arc<str>>, took: Duration) {
        if let Some(histograms) = self.histograms() {
            histograms.attempt_ended(operation, model, took);
        }
    }

    fn histograms(&self) -> Option<&Histograms> {
        self.telemetry.as_ref()?.instruments.as_ref()?.histograms()
    }

    /// The call was closed: its server span ends.
    pub fn close(&self, ended: &EndedCall<'_>) {
        if let Some(histograms) = self.histograms() {
            histograms.call_ended(ended);
        }
        let Some(context) = &self.context else { return };
        let span = context.span();
        if span.is_recording() {
            span.set_attributes(call_attributes(ended));
            span.set_attributes(bill_attributes(ended.bill));
            if names::is_error(ended.code) {
                span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, names::status(ended.code)));
                span.set_status(Status::error(""));
            }
        }
        span.end();
    }
}

impl fmt::Debug for CallTrace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self
            .context
            .as_ref()
            .map(|context| context.span().span_context().clone());
        formatter.debug_tuple("CallTrace").field(&span).finish()
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Entered")
    }
}

impl RequestSpan {
    /// Whether anything is kept of what is told.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// An attempt is sent, to this region.
    pub fn sent(&mut self, region: Option<&str>) {
        let Some(recorded) = &mut self.0 else { return };
        if let Some(region) = region.filter(|_| !recorded.region_known) {
            recorded.set(attribute::CLOUD_REGION, region.to_owned());
            recorded.region_known = true;
        }
    }

    /// An attempt was answered under this id of the service.
    pub fn answered(&mut self, aws_request_id: Option<&str>) {
        if let (Some(recorded), Some(id)) = (&mut self.0, aws_request_id) {
            // the last one stands: earlier ones are in the events
            recorded.set(attribute::AWS_REQUEST_ID, id.to_owned());
        }
    }

    /// An attempt after the first begins: why the one before failed, and how long was waited since.
    pub fn retried(&mut self, attempt: u32, error_type: &str, waited: Duration) {
        let Some(recorded) = &mut self.0 else { return };
        recorded.span.add_event(
            names::RETRY,
            vec![
                KeyValue::new(attribute::ATTEMPT, i64::from(attempt)),
                KeyValue::new(attribute::ERROR_TYPE, error_type.to_owned()),
                KeyValue::new(attribute::BACKOFF, waited.as_secs_f64()),
            ],
        );
    }

    /// The request has its answer.
    pub fn succeeded(&mut self, facts: ResponseFacts) {
        let Some(recorded) = &mut self.0 else { return };
        if let Some(capacity) = facts.capacity {
            let told = StringValue::from(format!("{{\"CapacityUnits\":{capacity}}}"));
            let value = Value::Array(Array::String(vec![told]));
            recorded.set(attribute::DYNAMODB_CAPACITY, value);
        }
        if let Some(count) = facts.count {
            recorded.set(attribute::DYNAMODB_COUNT, i64::from(count));
        }
        if let Some(count) = facts.scanned_count {
            recorded.set(attribute::DYNAMODB_SCANNED_COUNT, i64::from(count));
        }
    }

    /// The request has none. Only the kind of the error is told: texts may quote what was sent.
    pub fn failed(&mut self, error_type: &str) {
        let Some(recorded) = &mut self.0 else { return };
        recorded.set(attribute::ERROR_TYPE, error_type.to_owned());
        recorded.span.set_status(Status::error(""));
    }

    /// Ends it now.
    pub fn end(&mut self) {
        self.0 = None;
    }
}

impl Recorded {
    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.set_attribute(KeyValue::new(name, value));
    }
}

fn with_baggage(context: Context, propagators: Propagators, headers: &http::HeaderMap) -> Context {
    if !propagators.baggage || !headers.contains_key("baggage") {
        return context;
    }
    BaggagePropagator::new().extract_with_context(&context, &HeaderExtractor(headers))
}

fn request_name(facts: &RequestFacts<'_>) -> String {
    format!("{}.{}", facts.operation.service(), facts.operation)
}

fn request_attributes(facts: &RequestFacts<'_>, object_keys: bool) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(8);
    let name = facts.name.map(str::to_owned);
    match facts.operation.service() {
        Service::DynamoDb => {
            attributes.push(KeyValue::new(attribute::DB_SYSTEM, names::DYNAMODB));
            attributes.push(KeyValue::new(attribute::DB_OPERATION, facts.operation.name()));
            let tables = name.map(|table| vec![StringValue::from(table)]);
            attributes.extend(tables.map(|tables| {
                KeyValue::new(attribute::DYNAMODB_TABLES, Value::Array(Array::String(tables)))
            }));
        }
        Service::Kms => attributes.extend(name.map(|key| KeyValue::new(attribute::KMS_KEY, key))),
        Service::S3 => {
            attributes.extend(name.map(|bucket| KeyValue::new(attribute::S3_BUCKET, bucket)));
            let key = facts.key.filter(|_| object_keys);
            attributes.extend(key.map(|key| KeyValue::new(attribute::S3_KEY, key.to_owned())));
            let upload = facts.upload_id;
            attributes.extend(upload.map(|id| KeyValue::new(attribute::S3_UPLOAD_ID, id.to_owned())));
            let part = facts.part_number.map(i64::from);
            attributes.extend(part.map(|number| KeyValue::new(attribute::S3_PART_NUMBER, number)));
        }
    }
    attributes
}

fn call_attributes(ended: &EndedCall<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(attribute::RPC_SYSTEM, names::GRPC),
        KeyValue::new(attribute::RPC_METHOD, names::method(ended.rpc)),
        KeyValue::new(attribute::RPC_STATUS, names::status(ended.code)),
        KeyValue::new(attribute::REQUEST_ID, ended.request_id.to_owned()),
    ];
    let model = ended.model.map(Arc::clone);
    attributes.extend(model.map(|model| KeyValue::new(attribute::MODEL, model)));
    let session = ended.session.map(str::to_owned);
    attributes.extend(session.map(|session| KeyValue::new(attribute::SESSION, session)));
    attributes.extend(
        ended
            .reason
            .map(|reason| KeyValue::new(attribute::REASON, reason.as_str())),
    );
    attributes
}

/// The figures of the trailers, by the names of the instruments where there is one, durations in seconds.
fn bill_attributes(bill: &Bill) -> [KeyValue; 17] {
    use super::names::instrument;
    let count = |name, value: u64| KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX));
    let units = |name, value: u64| KeyValue::new(name, value as f64 / 1e3);
    let seconds = |name, value: u64| KeyValue::new(name, value as f64 / 1e6);
    [
        count(attribute::DYNAMODB_CALLS, bill.dynamodb_calls),
        seconds(attribute::DYNAMODB_DURATION, bill.dynamodb_us),
        units(attribute::READ_CAPACITY, bill.read_milliunits),
        units(attribute::WRITE_CAPACITY, bill.all_write_milliunits()),
        count(attribute::ITEMS, bill.items),
        count(attribute::ITEMS_LOST, bill.items_lost),
        count(attribute::ITEMS_UNOPENED, bill.items_unopened),
        count(instrument::KMS_CALLS, bill.kms_calls),
        seconds(instrument::KMS_DURATION, bill.kms_us),
        count(instrument::KMS_CACHE_HITS, bill.kms_cache_hits),
        count(instrument::S3_CALLS, bill.s3_calls),
        seconds(instrument::S3_DURATION, bill.s3_us),
        count(attribute::UPLOADED, bill.uploaded_bytes),
        count(attribute::DOWNLOADED, bill.downloaded_bytes),
        count(instrument::RETRIES, bill.retries),
        seconds(instrument::GATEWAY_TIME, bill.gateway_us),
        KeyValue::new(instrument::COST, bill.picodollars() as f64 / 1e12),
    ]
}
