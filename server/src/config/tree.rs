//! The effective settings. The fields are named like the settings in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::audit_log::Audit;
use super::auth::Auth;
use super::machine;
use super::otel::OtelVariables;
use super::token_key::TokenKey;

/// All effective settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port of the listener, such as `127.0.0.1:50051`; port 0: any free one.
    pub listen: String,
    /// Allows listening beyond loopback without TLS and authentication.
    pub insecure: bool,
    /// TLS of the listeners.
    pub tls: Tls,
    /// Who callers are.
    pub auth: Auth,
    /// The folder with the model files.
    pub models: PathBuf,
    /// Whether `models` was set explicitly.
    pub models_set: bool,
    /// The folder with the policies. `None`: callers may do everything.
    pub policies: Option<PathBuf>,
    /// The log of who did what.
    pub audit: Audit,
    /// Where the data is stored.
    pub backend: Backend,
    /// The embedded engines.
    pub embedded: Embedded,
    /// Settings of the AWS clients, beside their own environment.
    pub aws: Aws,
    /// What calls and connections may use.
    pub limits: Limits,
    /// Settings for KMS.
    pub kms: Kms,
    /// Settings for S3.
    pub s3: S3,
    /// Settings of the sweeper.
    pub sweep: Sweep,
    /// Settings for sessions.
    pub sessions: Sessions,
    /// The number of bills that are kept for `GetCallMetrics`.
    pub finished_calls: usize,
    /// The key that encrypts page tokens. `None`: the key in the data folder, or one that is generated at start.
    pub token_key: Option<TokenKey>,
    /// The groups of trailers to send.
    pub trailers: BTreeSet<Trailer>,
    /// A price book. `None`: the built-in one.
    pub prices: Option<PathBuf>,
    /// Settings of the log.
    pub log: Log,
    /// The HTTP port for metrics and probes.
    pub metrics: Metrics,
    /// Traces, metrics and logs for collectors.
    pub telemetry: Telemetry,
    /// How long shutdown waits for calls in flight.
    pub shutdown_grace: Duration,
    // add-a-setting: add its field here or in a section
    /// The origin of each setting that was set.
    pub(super) origins: BTreeMap<&'static str, String>,
}

/// TLS of the listeners: PEM files, which are reloaded when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate and its intermediates. `None`: no TLS.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate.
    pub key: Option<PathBuf>,
    /// The authorities of client certificates. `None`: callers have none.
    pub client_ca: Option<PathBuf>,
    /// Whether callers must present a certificate. `None`: yes if there is `client_ca`.
    pub client_certificates: Option<ClientCertificates>,
}

/// Whether callers must present a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They must.
    Require,
    /// They may: a bearer token may take its place.
    Request,
}

/// Where the data is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In the embedded engines.
    Embedded,
    /// In AWS or a compatible service.
    Aws,
}

/// The embedded engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// The data folder.
    pub data: PathBuf,
    /// Keeps all data in memory and does not use `data`.
    pub memory: bool,
    /// What a write waits for before it is acknowledged.
    pub synchronous: Synchronous,
    /// Host and port of the listener for presigned URLs. `None`: disabled.
    pub http: Option<String>,
}

/// What a write to the embedded engines waits for before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk. No acknowledged write is lost, even if power fails.
    Full,
    /// The operating system. The last writes may be lost if power fails.
    Normal,
}

/// Settings of the AWS clients, beside their own environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// The region. `None`: from the environment or the profile.
    pub region: Option<String>,
    /// The endpoint of all services. `None`: from the environment, or AWS itself.
    pub endpoint_url: Option<String>,
}

/// What calls and connections may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Maximum size of a message in either direction, in bytes.
    pub message_bytes: usize,
    /// Maximum number of values in a request: attributes, members of lists, maps and sets, names and fields together.
    pub values: usize,
    /// Maximum number of concurrent calls.
    pub in_flight: usize,
    /// Whether fewer calls are admitted while the processors cannot keep up.
    pub adaptive: bool,
    /// Maximum number of concurrent calls on one connection. `None`: a quarter of `in_flight`; set when the settings are
    /// loaded.
    pub in_flight_per_connection: Option<usize>,
    /// What each caller may use.
    pub per_caller: CallerLimits,
    /// What the callers and groups with these names may use.
    pub callers: BTreeMap<String, CallerLimits>,
    /// The deadline of calls that set none.
    pub deadline: Duration,
    /// Maximum deadline of a unary call.
    pub deadline_max: Duration,
    /// Maximum deadline of a stream.
    pub stream_deadline_max: Duration,
    /// How long a request message may take to arrive.
    pub receive: Duration,
    /// Maximum nesting of an attribute value.
    pub attribute_depth: usize,
    /// Maximum number of connections; at most nine tenths of the limit for file descriptors.
    pub connections: usize,
    /// Maximum number of connections from one peer address.
    pub connections_per_peer: usize,
    /// Maximum number of streams on one connection.
    pub streams_per_connection: usize,
    /// How long a connection may take for its handshake.
    pub handshake: Duration,
    /// How long a connection may have no stream.
    pub idle: Duration,
    /// Maximum age of a connection.
    pub connection_age: Duration,
    /// Maximum bytes of requests, pages and responses together. `None`: a quarter of the memory that the process may use;
    /// set when the settings are loaded.
    pub memory: Option<usize>,
}

/// What a caller may use; `None`: not limited here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CallerLimits {
    /// Calls in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Calls per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<f64>,
    /// Read capacity units per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcu_per_second: Option<f64>,
    /// Write capacity units per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wcu_per_second: Option<f64>,
    /// US dollars per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd_per_hour: Option<f64>,
}

impl Limits {
    /// Maximum number of concurrent calls on one connection.
    pub fn in_flight_per_connection(&self) -> usize {
        self.in_flight_per_connection
            .unwrap_or_else(|| self.in_flight.div_ceil(4))
    }

    /// Maximum bytes of requests, pages and responses together.
    pub fn memory(&self) -> usize {
        self.memory.unwrap_or_else(|| machine::memory_bytes() / 4)
    }
}

/// Settings for KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kms {
    /// Maximum number of concurrent requests per call.
    pub in_flight: usize,
    /// Requests that this process begins in a second; 0: no limit.
    pub rate: usize,
    /// The cache of data keys; `None`: data keys are not kept beyond their call.
    pub cache: Option<KmsCache>,
}

/// The bounds of the cache of data keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsCache {
    /// How long a data key is used.
    pub max_age: Duration,
    /// Calls that one data key is used to write in.
    pub max_uses: usize,
    /// Bytes of values that one data key encrypts.
    pub max_bytes: usize,
    /// Data keys that are kept.
    pub max_entries: usize,
}

/// Settings for S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// Maximum number of concurrent requests per call.
    pub in_flight: usize,
    /// The endpoint of presigned URLs. `None`: that of S3.
    pub public_url: Option<String>,
}

/// Settings of the sweeper, which removes objects that no item points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// How often it runs in the background. `None`: never.
    pub every: Option<Duration>,
    /// Objects and uploads that are younger are left alone.
    pub grace: Duration,
    /// Maximum number of deletes a second.
    pub rate: usize,
}

/// Settings for sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// A session that is unused for this long is removed.
    pub idle: Duration,
    /// Maximum number of sessions.
    pub max: usize,
}

/// A group of trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trailer {
    /// The bill of the call.
    Call,
    /// The totals of its session.
    Session,
    /// The ORCA load report.
    Orca,
    /// `server-timing`.
    ServerTiming,
}

/// Settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The format of log lines.
    pub format: LogFormat,
    /// The minimum severity that is logged.
    pub level: LogLevel,
    /// Calls that take longer are marked as slow.
    pub slow: Duration,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, otherwise JSON.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// The minimum severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// Errors and warnings.
    Warn,
    /// Also informational messages, such as one line per call.
    Info,
    /// Also messages for developers.
    Debug,
    /// Everything.
    Trace,
}

/// The HTTP port with `/metrics`, `/healthz` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Host and port. `None`: disabled.
    pub listen: Option<String>,
    /// Whether `listen` was set explicitly. If not, the program runs without the port if it cannot be opened.
    pub listen_set: bool,
    /// Whether the port uses TLS, with the certificate of the listener; it never asks for client certificates.
    pub tls: bool,
}

/// Traces, metrics and logs for collectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Adds the keys of objects to spans. They may contain tenant data.
    pub object_keys: bool,
    /// OpenTelemetry's own variables: what is exported, to which collector, and how.
    pub variables: OtelVariables,
}
