//! Ties the log to traces: the ids of the current trace for log lines, and the export of events to the collector. Never
//! exports events of other crates, or those about the export itself.

use opentelemetry::Context as TraceContext;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;
use super::export::LogQueue;
use super::names::SERVICE;

/// The ids of a trace, in hexadecimal.
#[derive(Clone, Debug)]
pub struct TraceIds {
    /// The id of the trace.
    pub trace_id: String,
    /// The id of the span within it.
    pub span_id: String,
}

/// The ids of the trace that the current thread is in, if any.
pub fn current_trace_ids() -> Option<TraceIds> {
    TraceContext::map_current(|context| {
        context.has_active_span().then(|| {
            let span = context.span();
            let span = span.span_context();
            TraceIds {
                trace_id: span.trace_id().to_string(),
                span_id: span.span_id().to_string(),
            }
        })
    })
}

/// Passes on only the program's own events. Cheaper than a filter of `tracing-subscriber`, which keeps state per thread.
struct OwnEvents<L>(L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for OwnEvents<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if is_exported(event.metadata()) {
            self.0.on_event(event, context);
        }
    }
}

/// The layer that exports events to the collector.
pub(super) fn bridge<S>(queue: &LogQueue) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(queue.clone())
        .build();
    OwnEvents(OpenTelemetryTracingBridge::new(&provider))
}

/// Whether an event is the program's own and not about the export itself.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    let own = metadata
        .target()
        .strip_prefix(SERVICE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    own && metadata.target() != TARGET
}
