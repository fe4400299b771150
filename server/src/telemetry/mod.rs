//! Telemetry: spans, instruments, log records, and the side port that is scraped. All figures are counted by the ledgers in
//! `billing`, never here. Never delays a call: what cannot be exported is dropped, and the drops are counted.
//!
//! | file | what |
//! |---|---|
//! | `names` | names of spans, attributes and instruments, except those of figures |
//! | `variables` | OpenTelemetry's variables, as the settings pass them on |
//! | `parent` | a caller's trace, by its headers |
//! | `trace`, `tracer`, `request_span` | the server span of a call, and the client spans of its requests |
//! | `histograms` | durations, recorded as calls and attempts end |
//! | `counters` | the counters of figures, read from the totals when somebody collects |
//! | `sweeps` | the instruments of sweeps |
//! | `instruments` | all instruments together |
//! | `parts` | the parts that the settings enable |
//! | `scrape`, `side_port` | the Prometheus exposition, and the HTTP port that serves it |
//! | `export` | bounded queues, and the tasks that send them to a collector |
//! | `log` | log lines with the ids of their trace, and the same lines to the collector |
//!
//! Without the feature `telemetry` the same functions do nothing and cost nothing.

pub mod names;

#[cfg(feature = "telemetry")]
mod counters;
#[cfg(feature = "telemetry")]
mod export;
#[cfg(feature = "telemetry")]
mod histograms;
#[cfg(feature = "telemetry")]
mod instruments;
#[cfg(feature = "telemetry")]
mod log;
#[cfg(feature = "telemetry")]
mod on;
#[cfg(feature = "telemetry")]
mod parent;
#[cfg(feature = "telemetry")]
mod parts;
#[cfg(feature = "telemetry")]
mod request_span;
#[cfg(feature = "telemetry")]
mod scrape;
#[cfg(feature = "telemetry")]
mod side_port;
#[cfg(feature = "telemetry")]
mod sweeps;
#[cfg(feature = "telemetry")]
mod trace;
#[cfg(feature = "telemetry")]
mod tracer;
#[cfg(feature = "telemetry")]
mod variables;

#[cfg(not(feature = "telemetry"))]
mod off;

#[cfg(not(feature = "telemetry"))]
pub use off::{
    AuditLines, CallTrace, Entered, RequestSpan, SidePort, Telemetry, TraceIds, current_trace_ids,
};
#[cfg(feature = "telemetry")]
pub use {
    export::AuditLines,
    log::{TraceIds, current_trace_ids},
    on::Telemetry,
    request_span::RequestSpan,
    side_port::SidePort,
    trace::{CallTrace, Entered},
};

use tollgate_proto::Reason;
use tonic::Code;

use crate::figure::{AwsOperation, Bill, ModelBill, Rpc};

/// The log target of what this room says; never exported, so that a failing export does not feed itself.
pub const TARGET: &str = "tollgate::telemetry";

/// What the sweeps of this process did.
#[derive(Clone, Copy, Debug, Default)]
pub struct SweepFigures {
    /// Sweeps that succeeded.
    pub succeeded: u64,
    /// Sweeps that failed or were stopped.
    pub failed: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Uploads aborted.
    pub aborted: u64,
    /// Orphans that the last successful sweep found.
    pub orphans: u64,
    /// Stray uploads that it found.
    pub stray_uploads: u64,
    /// Pointers to nothing that it found.
    pub dangling: u64,
    /// The bytes of these orphans and uploads.
    pub bytes: u64,
}

/// Where the figures of instruments are read when somebody collects them.
pub struct InstrumentSources {
    /// The bills of all calls since the start by model and RPC; no figure is ever less than before.
    pub bills: Box<dyn Fn() -> Vec<ModelBill> + Send + Sync>,
    /// What the sweeps did.
    pub sweeps: Box<dyn Fn() -> SweepFigures + Send + Sync>,
    /// Calls in flight.
    pub in_flight: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Calls that may be in flight.
    pub limit: u64,
    /// Calls that are admitted now: fewer while the processors cannot keep up.
    pub admitted: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Bytes of requests, pages and responses that are held.
    pub memory_reserved: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Bytes that may be held.
    pub memory_limit: u64,
    /// The most models that can be served: those at start and those that reloads may add.
    pub models: usize,
}

/// What a call came to.
#[derive(Debug)]
pub struct EndedCall<'a> {
    /// The RPC.
    pub rpc: Rpc,
    /// The served model that it was about.
    pub model: Option<&'a std::sync::Arc<str>>,
    /// The session that was billed.
    pub session: Option<&'a str>,
    /// Its id.
    pub request_id: &'a str,
    /// The status that it ended with.
    pub code: Code,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// What it cost.
    pub bill: &'a Bill,
}

/// One request to AWS, as its span records it.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The operation.
    pub operation: AwsOperation,
    /// The table, the KMS key, or the bucket; `None` if unknown.
    pub name: Option<&'a str>,
    /// The object's key.
    pub key: Option<&'a str>,
    /// S3's id of a multipart upload.
    pub upload_id: Option<&'a str>,
    /// The part's number, from 1.
    pub part_number: Option<i32>,
}

/// What DynamoDB returned in addition to the items.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseFacts {
    /// Capacity units.
    pub capacity: Option<f64>,
    /// Items that were returned.
    pub count: Option<u32>,
    /// Items that were evaluated.
    pub scanned_count: Option<u32>,
}
