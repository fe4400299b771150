//! The trace of a call: its server span, which continues the caller's trace, and a client span per request to AWS. Never
//! counts: its figures are those of the closed bill.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::BaggagePropagator;

use super::counters::amount;
use super::histograms::Histograms;
use super::names::{self, attribute};
use super::parts::Parts;
use super::request_span::RequestSpan;
use super::variables::Propagators;
use super::{EndedCall, RequestFacts, parent};
use crate::figure::{AwsOperation, Bill, FIGURES, Rpc, Unit};

/// The trace of one call. The caller's headers begin it; closing the call ends its server span. If traces are not exported,
/// it is the caller's trace alone, for the log.
#[derive(Clone, Default)]
pub struct CallTrace {
    parts: Option<Arc<Parts>>,
    context: Option<Context>,
}

/// While this lives, log lines of this thread have the ids of the trace.
pub struct Entered(#[expect(dead_code, reason = "dropping it leaves the trace")] Option<ContextGuard>);

impl CallTrace {
    /// No trace and no histograms.
    pub fn off() -> CallTrace {
        CallTrace::default()
    }

    pub(super) fn begin(parts: &Arc<Parts>, rpc: Rpc, headers: &http::HeaderMap) -> CallTrace {
        let caller = match parts.propagators.trace_context {
            true => parent::read(headers),
            false => None,
        };
        let remote = caller.map(|span| Context::new().with_remote_span_context(span));
        let context = match &parts.tracer {
            Some(tracer) => {
                let parent = with_baggage(remote.unwrap_or_default(), parts.propagators, headers);
                Some(tracer.server_span(rpc, &parent))
            }
            // log lines have the caller's ids
            None => remote,
        };
        CallTrace {
            parts: Some(Arc::clone(parts)),
            context,
        }
    }

    /// Adds the ids of the trace to log lines of this thread until the result is dropped.
    pub fn enter(&self) -> Entered {
        Entered(self.context.clone().map(Context::attach))
    }

    /// Runs a future whose log lines have the ids of the trace.
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

    /// Starts the span of a request to AWS.
    pub fn request(&self, facts: &RequestFacts<'_>) -> RequestSpan {
        let (Some(parts), Some(context)) = (&self.parts, &self.context) else {
            return RequestSpan::default();
        };
        match &parts.tracer {
            Some(tracer) => tracer.request_span(facts, parts.object_keys, context),
            None => RequestSpan::default(),
        }
    }

    /// Records the duration of a billed attempt.
    pub fn attempt_ended(&self, operation: AwsOperation, model: Option<&Arc<str>>, took: Duration) {
        if let Some(histograms) = self.histograms() {
            histograms.attempt_ended(operation, model, took);
        }
    }

    fn histograms(&self) -> Option<&Histograms> {
        self.parts.as_ref()?.instruments.as_ref()?.histograms()
    }

    /// Ends the server span of a closed call.
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

fn with_baggage(context: Context, propagators: Propagators, headers: &http::HeaderMap) -> Context {
    if !propagators.baggage || !headers.contains_key("baggage") {
        return context;
    }
    BaggagePropagator::new().extract_with_context(&context, &HeaderExtractor(headers))
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

/// The figures of the bill with a span attribute, durations in seconds.
fn bill_attributes(bill: &Bill) -> impl Iterator<Item = KeyValue> {
    FIGURES.iter().filter_map(|figure| {
        let name = figure.span?;
        let value = (figure.value)(bill);
        Some(match figure.unit {
            Unit::Count | Unit::Bytes => KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX)),
            Unit::Microseconds | Unit::Milliunits | Unit::Picodollars => {
                KeyValue::new(name, amount(figure.unit, value))
            }
        })
    })
}
