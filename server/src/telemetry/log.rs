//! The log with its traces: lines of the log get the ids of the trace that their thread is in, and the same events go to
//! the collector. Never writes a line of its own, and never exports those of other crates.

use std::fmt;

use opentelemetry::Context as Trace;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;
use super::export::LogQueue;
use super::names::SERVICE;

/// Room for the line of a call, and its ids.
const LINE_BYTES: usize = 640;

/// Log lines with the ids of their trace, where they are in one: at the end of a JSON object, or as two more fields.
#[derive(Debug)]
pub struct Correlated<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for Correlated<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let span = Trace::map_current(|trace| {
            trace
                .has_active_span()
                .then(|| trace.span().span_context().clone())
        });
        let Some(span) = span else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::with_capacity(LINE_BYTES);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        line.truncate(line.trim_end_matches('\n').len());
        let is_object = line.starts_with('{') && line.ends_with('}');
        if is_object {
            line.pop();
        }
        let ([before_trace, before_span], end) = match is_object {
            true => ([r#","trace_id":""#, r#"","span_id":""#], "\"}\n"),
            false => ([" trace_id=", " span_id="], "\n"),
        };
        line.push_str(before_trace);
        push_hex(&mut line, &span.trace_id().to_bytes());
        line.push_str(before_span);
        push_hex(&mut line, &span.span_id().to_bytes());
        line.push_str(end);
        writer.write_str(&line)
    }
}

/// Two digits a byte; formatting machinery takes ten times as long for them.
fn push_hex(line: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        line.push(char::from(DIGITS[usize::from(byte >> 4)]));
        line.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Hands on the program's own events alone. Less than a filter of `tracing-subscriber`, which keeps a state per thread.
struct OwnEvents<L>(L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for OwnEvents<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if is_exported(event.metadata()) {
            self.0.on_event(event, context);
        }
    }
}

/// The way of the log's events to the collector.
pub(super) fn bridge<S>(queue: &LogQueue) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    OwnEvents(OpenTelemetryTracingBridge::new(queue))
}

/// Only what this program says, not the libraries under it, and nothing about the export itself.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    let own = metadata
        .target()
        .strip_prefix(SERVICE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    own && metadata.target() != TARGET
}
