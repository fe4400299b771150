//! Creates the spans of calls. Never counts.

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::RequestFacts;
use super::names;
use super::request_span::{RequestSpan, request_attributes, request_name};
use crate::figure::Rpc;

/// Creates the spans of calls.
#[derive(Debug)]
pub(super) struct CallTracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl CallTracer {
    pub(super) fn new(provider: SdkTracerProvider) -> CallTracer {
        CallTracer {
            tracer: provider.tracer(names::SERVICE),
            provider,
        }
    }

    /// Stops starting and ending spans.
    pub(super) fn shut_down(&self) {
        // shutting down twice is not an error
        let _ = self.provider.shutdown();
    }

    /// Starts a server span.
    pub(super) fn server_span(&self, rpc: Rpc, parent: &Context) -> Context {
        let builder = SpanBuilder::from_name(names::server_span(rpc)).with_kind(SpanKind::Server);
        let span = self.tracer.build_with_context(builder, parent);
        parent.with_span(span)
    }

    /// Starts the span of a request to AWS.
    pub(super) fn request_span(
        &self,
        facts: &RequestFacts<'_>,
        object_keys: bool,
        parent: &Context,
    ) -> RequestSpan {
        // the server span may have ended: work can outlive its call
        if !parent.span().span_context().is_sampled() {
            return RequestSpan::default();
        }
        let builder = SpanBuilder::from_name(request_name(facts))
            .with_kind(SpanKind::Client)
            .with_attributes(request_attributes(facts, object_keys));
        let span = self.tracer.build_with_context(builder, parent);
        match opentelemetry::trace::Span::is_recording(&span) {
            true => RequestSpan::recording(span),
            false => RequestSpan::default(),
        }
    }
}
