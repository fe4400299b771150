//! The one tree of settings: defaults, then a file, then the environment, then flags; read once, all faults told
//! together, each with where it came from. The only room that reads the environment. Never prints a secret.

mod layers;
mod machine;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::ZeroizeOnDrop;

/// The settings file that is read where no other is named, and may be missing.
const DEFAULT_FILE: &str = "tollgate.yaml";

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
    origins: BTreeMap<&'static str, String>,
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

/// The variables whose names begin with `OTEL_`, as OpenTelemetry's specification has them; others read them too, so
/// none is a fault here. Their values may be secret and are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtelVariables(BTreeMap<String, String>);

/// 32 bytes that seal page tokens; never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct TokenKey([u8; 32]);

/// One fault of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where it came from: `file:line`, a variable's name or a flag.
    pub origin: String,
    /// The setting, where the origin does not name it already.
    pub path: String,
    /// What is wrong, in lower case, no full stop.
    pub text: String,
}

/// The flags of `serve`. They stay text here: what is wrong with them is told together with all other faults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address of the listener [default: 127.0.0.1:50051]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Listen beyond loopback although there is neither TLS nor authentication
    #[arg(long)]
    pub insecure: bool,
    /// Folder of the model files [default: ./models, or the example models where there is none]
    #[arg(long, value_name = "DIR")]
    pub models: Option<String>,
    /// Where the data lies: embedded or aws [default: embedded]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Data folder of the embedded backend [default: ./tollgate-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Keep nothing: the embedded backend works in memory
    #[arg(long)]
    pub memory: bool,
    /// How log lines look: auto, pretty or json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<String>,
    /// Address of /metrics, /healthz and /readyz, or off [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,
    /// Settings file [default: tollgate.yaml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Reload the models when their files change, for development; SIGHUP does so at any time
    #[arg(long)]
    pub watch: bool,
    /// Print all settings in effect, secrets redacted, and exit
    #[arg(long)]
    pub print_config: bool,
}

impl Config {
    /// The settings in effect: defaults, file, environment, flags, each over the one before.
    ///
    /// # Errors
    /// Every fault of every layer.
    pub fn load(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, Vec<ConfigFault>> {
        Config::load_beside(Path::new(DEFAULT_FILE), flags, environment)
    }

    /// All settings in effect as a settings file, secrets redacted; where a value is no default, a comment says
    /// where it came from.
    pub fn to_yaml(&self) -> String {
        settings::render(self)
    }

    fn load_beside(
        default_file: &Path,
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut given = layers::file(default_file, flags.config.as_deref(), &mut faults);
        // an empty variable is an unset one
        let environment = environment.filter(|(_, value)| !value.is_empty());
        let (otel, environment): (Vec<_>, Vec<_>) = environment.partition(|(name, _)| layers::is_otel(name));
        given.extend(layers::environment(environment.into_iter(), &mut faults));
        given.extend(layers::flags(flags));
        let mut config = Config::default();
        config.telemetry.variables = OtelVariables(otel.into_iter().collect());
        for given in given {
            config.apply(given, &mut faults);
        }
        let limits = &mut config.limits;
        limits.in_flight_per_connection = Some(limits.in_flight_per_connection());
        limits.memory = Some(limits.memory());
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    fn apply(&mut self, given: layers::Given, faults: &mut Vec<ConfigFault>) {
        match (given.setting.read)(self, &given.raw) {
            Ok(()) => {
                self.models_set |= given.setting.path == "models";
                self.metrics.listen_set |= given.setting.path == "metrics.listen";
                self.origins.insert(given.setting.path, given.origin);
            }
            Err(text) => faults.push(ConfigFault {
                origin: given.origin,
                path: given.path,
                text,
            }),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: "127.0.0.1:50051".to_owned(),
            insecure: false,
            models: PathBuf::from("./models"),
            models_set: false,
            backend: Backend::Embedded,
            embedded: Embedded {
                data: PathBuf::from("./tollgate-data"),
                memory: false,
                synchronous: Synchronous::Full,
            },
            aws: Aws::default(),
            limits: Limits {
                message_bytes: 32 * 1024 * 1024,
                values: 100_000,
                in_flight: 1024,
                in_flight_per_connection: None,
                deadline: Duration::from_secs(30),
                deadline_max: Duration::from_secs(5 * 60),
                stream_deadline_max: Duration::from_secs(60 * 60),
                receive: Duration::from_secs(10),
                attribute_depth: 32,
                connections: 4096,
                connections_per_peer: 1024,
                streams_per_connection: 256,
                handshake: Duration::from_secs(10),
                idle: Duration::from_secs(10 * 60),
                connection_age: Duration::from_secs(60 * 60),
                memory: None,
            },
            kms: Kms { in_flight: 16 },
            s3: S3 { in_flight: 8 },
            sessions: Sessions {
                idle: Duration::from_secs(60 * 60),
                max: 100_000,
            },
            finished_calls: 10_000,
            token_key: None,
            trailers: BTreeSet::from([
                Trailer::Call,
                Trailer::Session,
                Trailer::Orca,
                Trailer::ServerTiming,
            ]),
            prices: None,
            log: Log {
                format: LogFormat::Auto,
                level: LogLevel::Info,
                slow: Duration::from_millis(100),
            },
            metrics: Metrics {
                listen: Some("127.0.0.1:9464".to_owned()),
                listen_set: false,
            },
            telemetry: Telemetry::default(),
            shutdown_grace: Duration::from_secs(30),
            origins: BTreeMap::new(),
        }
    }
}

/// The process's environment; what is not Unicode is replaced, so that it is refused rather than overlooked.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// The names of variables that are set and empty, of those that this program and the libraries under it read.
pub fn empty_variables() -> Vec<String> {
    environment()
        .filter(|(name, value)| value.is_empty() && layers::is_read(name))
        .map(|(name, _)| name)
        .collect()
}

impl OtelVariables {
    /// A variable's value; one that is empty is not set, as OpenTelemetry has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        if value.is_empty() { None } else { Some(value) }
    }
}

impl fmt::Debug for OtelVariables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl TokenKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> TokenKey {
        TokenKey(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl fmt::Display for ConfigFault {
    /// `origin: path: text`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => write!(formatter, "{}: {}", self.origin, self.text),
            false => write!(formatter, "{}: {}: {}", self.origin, self.path, self.text),
        }
    }
}
