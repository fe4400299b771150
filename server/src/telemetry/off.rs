//! The public functions of this room in a build without telemetry. They do nothing.
#![expect(
    missing_docs,
    reason = "`on`, `trace` and `side_port` document the same functions"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use http::HeaderMap;
use tracing_subscriber::layer::Identity;

use super::{EndedCall, InstrumentSources, RequestFacts, ResponseFacts};
use crate::config::Config;
use crate::figure::{AwsOperation, Rpc};

/// Telemetry that records nothing.
#[derive(Clone, Debug, Default)]
pub struct Telemetry;

/// A call without a trace.
#[derive(Clone, Debug, Default)]
pub struct CallTrace;

/// Nothing was entered.
#[derive(Debug)]
pub struct Entered;

/// A request without a span.
#[derive(Debug, Default)]
pub struct RequestSpan;

/// No side port.
#[derive(Debug)]
pub struct SidePort(std::convert::Infallible);

/// Lines of the audit log are not exported.
#[derive(Clone, Debug)]
pub struct AuditLines(std::convert::Infallible);

/// The ids of a trace.
#[derive(Clone, Debug)]
pub struct TraceIds {
    /// The id of the trace.
    pub trace_id: String,
    /// The id of the span within it.
    pub span_id: String,
}

/// Always `None`.
pub fn current_trace_ids() -> Option<TraceIds> {
    None
}

impl Telemetry {
    pub fn off() -> Telemetry {
        Telemetry
    }

    pub fn open(_: &Config) -> (Telemetry, Vec<String>) {
        (Telemetry, Vec::new())
    }

    pub fn count_log_drops(&self, _: Arc<AtomicU64>) {}

    pub fn observe(&self, _: InstrumentSources) {}

    pub fn begin(&self, _: Rpc, _: &HeaderMap) -> CallTrace {
        CallTrace
    }

    pub fn log_layer(&self) -> Identity {
        Identity::new()
    }

    pub fn audit_lines(&self) -> Option<AuditLines> {
        None
    }

    pub async fn shutdown(&self) {}
}

impl AuditLines {
    pub fn has_room(&self) -> bool {
        match self.0 {}
    }

    pub fn put(&self, _: u64, _: String) {
        match self.0 {}
    }
}

impl CallTrace {
    pub fn off() -> CallTrace {
        CallTrace
    }

    pub fn enter(&self) -> Entered {
        Entered
    }

    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        future.await
    }

    pub fn request(&self, _: &RequestFacts<'_>) -> RequestSpan {
        RequestSpan
    }

    pub fn attempt_ended(&self, _: AwsOperation, _: Option<&Arc<str>>, _: Duration) {}

    pub fn close(&self, _: &EndedCall<'_>) {}
}

impl RequestSpan {
    pub fn is_recording(&self) -> bool {
        false
    }

    pub fn sent(&mut self, _: Option<&str>) {}

    pub fn responded(&mut self, _: Option<&str>) {}

    pub fn retried(&mut self, _: u32, _: Option<&str>, _: Duration) {}

    pub fn succeeded(&mut self, _: ResponseFacts) {}

    pub fn failed(&mut self, _: &str) {}

    pub fn timed_out(&mut self) {}

    pub fn abandoned(&mut self) {}

    pub fn end(&mut self) {}
}

impl SidePort {
    pub async fn bind(
        _: &crate::config::Metrics,
        _: Option<Arc<crate::tls::Certificates>>,
    ) -> Result<Option<SidePort>, std::io::Error> {
        Ok(None)
    }

    pub fn address(&self) -> std::net::SocketAddr {
        match self.0 {}
    }

    pub async fn serve(self, _: Telemetry, _: Arc<AtomicBool>) {}
}
