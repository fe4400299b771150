//! The log's way into its queue: what the bridge from `tracing` writes its records with. The SDK's own logger hands a
//! processor a record that it may look at, not have, so that each is copied; and there is one for every call.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, LoggerProvider, Severity};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, InstrumentationScope, Key, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::super::variables::Bounds;
use super::queue::Queue;
use super::{Lost, Signal};

/// Log records that wait to be sent. Cheap to clone.
#[derive(Clone, Debug)]
pub(in super::super) struct LogQueue(Arc<Queue<SdkLogRecord>>);

/// Puts records into the queue.
#[derive(Debug)]
pub(in super::super) struct Logger {
    /// The only one who can make records.
    maker: SdkLogger,
    queue: Arc<Queue<SdkLogRecord>>,
}

/// A record that is being written.
pub(in super::super) struct Record(SdkLogRecord);

impl LogQueue {
    pub(in super::super) fn new(bounds: Bounds, lost: Arc<Lost>) -> LogQueue {
        LogQueue(Queue::new(Signal::Logs, bounds, lost))
    }

    pub(super) fn queue(&self) -> Arc<Queue<SdkLogRecord>> {
        Arc::clone(&self.0)
    }
}

impl LoggerProvider for LogQueue {
    type Logger = Logger;

    fn logger_with_scope(&self, scope: InstrumentationScope) -> Logger {
        Logger {
            maker: SdkLoggerProvider::builder().build().logger_with_scope(scope),
            queue: self.queue(),
        }
    }
}

impl opentelemetry::logs::Logger for Logger {
    type LogRecord = Record;

    fn create_log_record(&self) -> Record {
        Record(self.maker.create_log_record())
    }

    fn emit(&self, mut record: Record) {
        let span = Context::map_current(|trace| {
            trace
                .has_active_span()
                .then(|| trace.span().span_context().clone())
        });
        if let Some(span) = span {
            record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        }
        // events are told as they happen
        let now = SystemTime::now();
        record.set_timestamp(now);
        record.set_observed_timestamp(now);
        self.queue.put(record.0);
    }

    fn event_enabled(&self, _: Severity, _: &str, _: Option<&str>) -> bool {
        true
    }
}

impl LogRecord for Record {
    /// What `tracing` calls an event is a place in the source, which is no name for anybody else.
    fn set_event_name(&mut self, _: &'static str) {}

    fn set_target<T: Into<Cow<'static, str>>>(&mut self, target: T) {
        self.0.set_target(target);
    }

    fn set_timestamp(&mut self, timestamp: SystemTime) {
        self.0.set_timestamp(timestamp);
    }

    fn set_observed_timestamp(&mut self, timestamp: SystemTime) {
        self.0.set_observed_timestamp(timestamp);
    }

    fn set_severity_text(&mut self, text: &'static str) {
        self.0.set_severity_text(text);
    }

    fn set_severity_number(&mut self, number: Severity) {
        self.0.set_severity_number(number);
    }

    fn set_body(&mut self, body: AnyValue) {
        self.0.set_body(body);
    }

    fn add_attributes<I, K, V>(&mut self, attributes: I)
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<Key>,
        V: Into<AnyValue>,
    {
        self.0.add_attributes(attributes);
    }

    fn add_attribute<K: Into<Key>, V: Into<AnyValue>>(&mut self, key: K, value: V) {
        self.0.add_attribute(key, value);
    }

    fn set_trace_context(&mut self, trace_id: TraceId, span_id: SpanId, flags: Option<TraceFlags>) {
        self.0.set_trace_context(trace_id, span_id, flags);
    }
}
