//! The settings in effect, as types. The names are those of the settings file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::machine;
use super::otel::OtelVariables;
use super::token_key::TokenKey;

/// All settings in effect. The names are those of the settings file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port of the listener, such as `127.0.0.1:50051`; port 0: any free one.
    pub listen: String,
    /// Listen beyond loopback although there is neither TLS nor authentication.
    pub insecure: bool,
    /// The folder of the model files.
    pub models: PathBuf,
    /// Whether anyone named that folder.
    pub models_set: bool,
    /// Where the data lies.
    pub backend: Backend,
    /// The engines inside of this program.
    pub embedded: Embedded,
    /// What the AWS clients are told beside their own environment.
    pub aws: Aws,
    /// What a call may take.
    pub limits: Limits,
    /// KMS.
    pub kms: Kms,
    /// S3.
    pub s3: S3,
    /// Sessions of the bill.
    pub sessions: Sessions,
    /// How many bills are kept for `GetCallMetrics`.
    pub finished_calls: usize,
    /// What seals page tokens; none: the data folder's, or one made at start.
    pub token_key: Option<TokenKey>,
    /// The groups of trailers that are sent.
    pub trailers: BTreeSet<Trailer>,
    /// A price book; none: the shipped one.
    pub prices: Option<PathBuf>,
    /// The log.
    pub log: Log,
    /// The HTTP side port.
    pub metrics: Metrics,
    /// Traces, metrics and logs for collectors.
    pub telemetry: Telemetry,
    /// How long calls in flight may take to end at shutdown.
    pub shutdown_grace: Duration,
    /// Where each setting that is not a default came from.
    pub(super) origins: BTreeMap<&'static str, String>,
}

/// Where the data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In engines inside of this program.
    Embedded,
    /// In AWS, or anything that speaks its protocols.
    Aws,
}

/// The engines inside of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// The data folder.
    pub data: PathBuf,
    /// Nothing is kept; `data` is not touched.
    pub memory: bool,
    /// What a write waits for.
    pub synchronous: Synchronous,
}

/// What a write to the embedded engines waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: nothing acknowledged is lost, not even when power is.
    Full,
    /// The operating system: power loss may take the last writes.
    Normal,
}

/// What the AWS clients are told beside their own environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// The region; none: the environment's or the profile's.
    pub region: Option<String>,
    /// One endpoint for all services; none: the environment's or AWS itself.
    pub endpoint_url: Option<String>,
}

/// What a call may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in either direction, in bytes.
    pub message_bytes: usize,
    /// Values in one request: attributes, members of lists, maps and sets, names and fields together.
    pub values: usize,
    /// Calls at the same time.
    pub in_flight: usize,
    /// Calls at the same time on one connection; none, before the settings are loaded: a quarter of `in_flight`.
    pub in_flight_per_connection: Option<usize>,
    /// The deadline of callers that set none.
    pub deadline: Duration,
    /// The longest deadline of a unary call.
    pub deadline_max: Duration,
    /// The longest deadline of a stream.
    pub stream_deadline_max: Duration,
    /// How long a request message may take to arrive.
    pub receive: Duration,
    /// Deepest nesting of an attribute's value.
    pub attribute_depth: usize,
    /// Connections in all; nine tenths of the descriptor limit where that is less.
    pub connections: usize,
    /// Connections of one peer address.
    pub connections_per_peer: usize,
    /// Streams of one connection.
    pub streams_per_connection: usize,
    /// How long a connection may take for its handshake.
    pub handshake: Duration,
    /// How long a connection may be without a stream.
    pub idle: Duration,
    /// How old a connection may get.
    pub connection_age: Duration,
    /// Bytes of requests, pages and responses together; none, before the settings are loaded: a quarter of what the
    /// process may use.
    pub memory: Option<usize>,
}

impl Limits {
    /// Calls at the same time on one connection.
    pub fn in_flight_per_connection(&self) -> usize {
        self.in_flight_per_connection
            .unwrap_or_else(|| self.in_flight.div_ceil(4))
    }

    /// Bytes of requests, pages and responses together.
    pub fn memory(&self) -> usize {
        self.memory.unwrap_or_else(|| machine::memory_bytes() / 4)
    }
}

/// KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kms {
    /// Requests at the same time, per call.
    pub in_flight: usize,
}

/// S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// Requests at the same time, per call.
    pub in_flight: usize,
}

/// Sessions of the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// A session that nobody used for this long is forgotten.
    pub idle: Duration,
    /// Most sessions at the same time.
    pub max: usize,
}

/// A group of trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trailer {
    /// The call's own bill.
    Call,
    /// The totals of its session.
    Session,
    /// ORCA's load report.
    Orca,
    /// `server-timing`.
    ServerTiming,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least severity that is written.
    pub level: LogLevel,
    /// A call that takes longer is marked.
    pub slow: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// The least severity that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors alone.
    Error,
    /// And warnings.
    Warn,
    /// And what people want to know: one line per call.
    Info,
    /// And what developers want to know.
    Debug,
    /// Everything.
    Trace,
}

/// The HTTP side port, with `/metrics`, `/healthz` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Host and port; none: off.
    pub listen: Option<String>,
    /// Whether anyone named them: what was not asked for may fail.
    pub listen_set: bool,
}

/// Traces, metrics and logs for collectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Spans tell the keys of objects, which hold tenant data.
    pub object_keys: bool,
    /// OpenTelemetry's own variables: what is exported, where to and how.
    pub variables: OtelVariables,
}
