//! The table of all settings: how each is named, parsed and printed. The keys of the file, the names of the variables and
//! the output of `--print-config` are derived from it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::audit;
use super::auth_settings;
use super::caller_limits;
use super::kms_cache;
use super::setting::{Setting, optional, setting};
use super::tree::{Backend, ClientCertificates, Config, LogFormat, LogLevel, Synchronous, Trailer};
use super::values::{
    Raw, address, boolean, choice, count, duration, duration_or, filled, name_of, origin, show_duration,
    show_size, show_text, size, token_key, url,
};

const MESSAGE_BYTES: RangeInclusive<usize> = 1024..=1 << 30;
const VALUES: RangeInclusive<usize> = 1..=10_000_000;
const IN_FLIGHT: RangeInclusive<usize> = 1..=1_000_000;
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60 * 60);
const DEADLINE_MAX: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
const RECEIVE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60 * 60);
const MEMORY: RangeInclusive<usize> = 1 << 20..=1 << 40;
const ATTRIBUTE_DEPTH: RangeInclusive<usize> = 1..=32;
const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
const STREAMS: RangeInclusive<usize> = 1..=1_000_000;
const HANDSHAKE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10 * 60);
const CONNECTION_TIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * 24 * 60 * 60);
const IN_FLIGHT_PER_CALL: RangeInclusive<usize> = 1..=1024;
const KMS_RATE: RangeInclusive<usize> = 0..=1_000_000;
const SWEEP_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(365 * 24 * 60 * 60);
const SWEEP_RATE: RangeInclusive<usize> = 1..=100_000;
const SESSION_IDLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);
const SESSIONS: RangeInclusive<usize> = 1..=10_000_000;
const FINISHED_CALLS: RangeInclusive<usize> = 1..=10_000_000;
const LOG_SLOW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60 * 60);
const SHUTDOWN_GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60 * 60);

const BACKENDS: &[(&str, Backend)] = &[("embedded", Backend::Embedded), ("aws", Backend::Aws)];
const SYNCHRONOUS: &[(&str, Synchronous)] = &[("full", Synchronous::Full), ("normal", Synchronous::Normal)];
const CLIENT_CERTIFICATES: &[(&str, ClientCertificates)] = &[
    ("require", ClientCertificates::Require),
    ("request", ClientCertificates::Request),
];
const TRAILERS: &[(&str, Trailer)] = &[
    ("call", Trailer::Call),
    ("session", Trailer::Session),
    ("orca", Trailer::Orca),
    ("server_timing", Trailer::ServerTiming),
];
const LOG_FORMATS: &[(&str, LogFormat)] = &[
    ("auto", LogFormat::Auto),
    ("pretty", LogFormat::Pretty),
    ("json", LogFormat::Json),
];
const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// The value that disables a feature.
const OFF: &str = "off";
/// The value of an empty list.
const NONE: &str = "none";

/// All settings. Those of one section are adjacent.
// add-a-setting: add its entry
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        |config, raw| set(&mut config.listen, address(raw)),
        |config| show_text(&config.listen),
    ),
    setting(
        "insecure",
        |config, raw| set(&mut config.insecure, boolean(raw)),
        |config| config.insecure.to_string(),
    ),
    optional(
        "tls.certificate",
        |config, raw| set(&mut config.tls.certificate, path(raw).map(Some)),
        |config| {
            config
                .tls
                .certificate
                .as_ref()
                .map(|path| show_text(path.display()))
        },
    ),
    optional(
        "tls.key",
        |config, raw| set(&mut config.tls.key, path(raw).map(Some)),
        |config| config.tls.key.as_ref().map(|path| show_text(path.display())),
    ),
    optional(
        "tls.client_ca",
        |config, raw| set(&mut config.tls.client_ca, path(raw).map(Some)),
        |config| {
            config
                .tls
                .client_ca
                .as_ref()
                .map(|path| show_text(path.display()))
        },
    ),
    optional(
        "tls.client_certificates",
        |config, raw| {
            let place = &mut config.tls.client_certificates;
            set(place, choice(raw.text()?, CLIENT_CERTIFICATES).map(Some))
        },
        |config| {
            let chosen = config.tls.client_certificates?;
            Some(name_of(chosen, CLIENT_CERTIFICATES).to_owned())
        },
    ),
    auth_settings::CERTIFICATES,
    auth_settings::CERTIFICATE_CALLERS,
    auth_settings::JWT,
    auth_settings::TOKENS,
    auth_settings::PUBLIC_SERVICES,
    setting(
        "models",
        |config, raw| set(&mut config.models, path(raw)),
        |config| show_text(config.models.display()),
    ),
    optional(
        "policies",
        |config, raw| set(&mut config.policies, path(raw).map(Some)),
        |config| config.policies.as_ref().map(|path| show_text(path.display())),
    ),
    audit::FILE,
    audit::OTLP,
    audit::KEY,
    audit::CHAIN,
    audit::ON_FAILURE_SETTING,
    setting(
        "backend",
        |config, raw| set(&mut config.backend, choice(raw.text()?, BACKENDS)),
        |config| name_of(config.backend, BACKENDS).to_owned(),
    ),
    setting(
        "embedded.data",
        |config, raw| set(&mut config.embedded.data, path(raw)),
        |config| show_text(config.embedded.data.display()),
    ),
    setting(
        "embedded.memory",
        |config, raw| set(&mut config.embedded.memory, boolean(raw)),
        |config| config.embedded.memory.to_string(),
    ),
    setting(
        "embedded.synchronous",
        |config, raw| set(&mut config.embedded.synchronous, choice(raw.text()?, SYNCHRONOUS)),
        |config| name_of(config.embedded.synchronous, SYNCHRONOUS).to_owned(),
    ),
    setting(
        "embedded.http",
        |config, raw| set(&mut config.embedded.http, optional_port(raw)),
        |config| show_port(config.embedded.http.as_deref()),
    ),
    optional(
        "aws.region",
        |config, raw| {
            set(
                &mut config.aws.region,
                filled(raw).map(|region| Some(region.to_owned())),
            )
        },
        |config| config.aws.region.as_ref().map(show_text),
    ),
    optional(
        "aws.endpoint_url",
        |config, raw| set(&mut config.aws.endpoint_url, url(raw).map(Some)),
        |config| config.aws.endpoint_url.as_ref().map(show_text),
    ),
    setting(
        "limits.message_bytes",
        |config, raw| set(&mut config.limits.message_bytes, size(raw, &MESSAGE_BYTES)),
        |config| show_size(config.limits.message_bytes),
    ),
    setting(
        "limits.values",
        |config, raw| set(&mut config.limits.values, count(raw, &VALUES)),
        |config| config.limits.values.to_string(),
    ),
    setting(
        "limits.in_flight",
        |config, raw| set(&mut config.limits.in_flight, count(raw, &IN_FLIGHT)),
        |config| config.limits.in_flight.to_string(),
    ),
    setting(
        "limits.adaptive",
        |config, raw| set(&mut config.limits.adaptive, boolean(raw)),
        |config| config.limits.adaptive.to_string(),
    ),
    optional(
        "limits.in_flight_per_connection",
        |config, raw| {
            let place = &mut config.limits.in_flight_per_connection;
            set(place, count(raw, &IN_FLIGHT).map(Some))
        },
        |config| {
            config
                .limits
                .in_flight_per_connection
                .map(|count| count.to_string())
        },
    ),
    caller_limits::PER_CALLER,
    caller_limits::CALLERS,
    setting(
        "limits.deadline",
        |config, raw| set(&mut config.limits.deadline, duration(raw, &DEADLINE)),
        |config| show_duration(config.limits.deadline),
    ),
    setting(
        "limits.deadline_max",
        |config, raw| set(&mut config.limits.deadline_max, duration(raw, &DEADLINE_MAX)),
        |config| show_duration(config.limits.deadline_max),
    ),
    setting(
        "limits.stream_deadline_max",
        |config, raw| {
            let place = &mut config.limits.stream_deadline_max;
            set(place, duration(raw, &DEADLINE_MAX))
        },
        |config| show_duration(config.limits.stream_deadline_max),
    ),
    setting(
        "limits.receive",
        |config, raw| set(&mut config.limits.receive, duration(raw, &RECEIVE)),
        |config| show_duration(config.limits.receive),
    ),
    setting(
        "limits.attribute_depth",
        |config, raw| set(&mut config.limits.attribute_depth, count(raw, &ATTRIBUTE_DEPTH)),
        |config| config.limits.attribute_depth.to_string(),
    ),
    optional(
        "limits.memory",
        |config, raw| set(&mut config.limits.memory, size(raw, &MEMORY).map(Some)),
        |config| config.limits.memory.map(show_size),
    ),
    setting(
        "limits.connections",
        |config, raw| set(&mut config.limits.connections, count(raw, &CONNECTIONS)),
        |config| config.limits.connections.to_string(),
    ),
    setting(
        "limits.connections_per_peer",
        |config, raw| set(&mut config.limits.connections_per_peer, count(raw, &CONNECTIONS)),
        |config| config.limits.connections_per_peer.to_string(),
    ),
    setting(
        "limits.streams_per_connection",
        |config, raw| set(&mut config.limits.streams_per_connection, count(raw, &STREAMS)),
        |config| config.limits.streams_per_connection.to_string(),
    ),
    setting(
        "limits.handshake",
        |config, raw| set(&mut config.limits.handshake, duration(raw, &HANDSHAKE)),
        |config| show_duration(config.limits.handshake),
    ),
    setting(
        "limits.idle",
        |config, raw| set(&mut config.limits.idle, duration(raw, &CONNECTION_TIME)),
        |config| show_duration(config.limits.idle),
    ),
    setting(
        "limits.connection_age",
        |config, raw| set(&mut config.limits.connection_age, duration(raw, &CONNECTION_TIME)),
        |config| show_duration(config.limits.connection_age),
    ),
    setting(
        "kms.in_flight",
        |config, raw| set(&mut config.kms.in_flight, count(raw, &IN_FLIGHT_PER_CALL)),
        |config| config.kms.in_flight.to_string(),
    ),
    setting(
        "kms.rate",
        |config, raw| set(&mut config.kms.rate, count(raw, &KMS_RATE)),
        |config| config.kms.rate.to_string(),
    ),
    setting(kms_cache::PATH, kms_cache::read, kms_cache::show),
    setting(
        "s3.in_flight",
        |config, raw| set(&mut config.s3.in_flight, count(raw, &IN_FLIGHT_PER_CALL)),
        |config| config.s3.in_flight.to_string(),
    ),
    optional(
        "s3.public_url",
        |config, raw| set(&mut config.s3.public_url, origin(raw).map(Some)),
        |config| config.s3.public_url.as_ref().map(show_text),
    ),
    setting(
        "sweep.every",
        |config, raw| set(&mut config.sweep.every, duration_or(OFF, raw, &SWEEP_TIME)),
        |config| config.sweep.every.map_or_else(|| OFF.to_owned(), show_duration),
    ),
    setting(
        "sweep.grace",
        |config, raw| set(&mut config.sweep.grace, duration(raw, &SWEEP_TIME)),
        |config| show_duration(config.sweep.grace),
    ),
    setting(
        "sweep.rate",
        |config, raw| set(&mut config.sweep.rate, count(raw, &SWEEP_RATE)),
        |config| config.sweep.rate.to_string(),
    ),
    setting(
        "sessions.idle",
        |config, raw| set(&mut config.sessions.idle, duration(raw, &SESSION_IDLE)),
        |config| show_duration(config.sessions.idle),
    ),
    setting(
        "sessions.max",
        |config, raw| set(&mut config.sessions.max, count(raw, &SESSIONS)),
        |config| config.sessions.max.to_string(),
    ),
    setting(
        "finished_calls",
        |config, raw| set(&mut config.finished_calls, count(raw, &FINISHED_CALLS)),
        |config| config.finished_calls.to_string(),
    ),
    optional(
        "token_key",
        |config, raw| set(&mut config.token_key, token_key(raw).map(Some)),
        |config| config.token_key.as_ref().map(|key| show_text(format!("{key:?}"))),
    ),
    setting(
        "trailers",
        |config, raw| set(&mut config.trailers, trailers(raw)),
        |config| show_trailers(&config.trailers),
    ),
    optional(
        "prices",
        |config, raw| set(&mut config.prices, path(raw).map(Some)),
        |config| config.prices.as_ref().map(|path| show_text(path.display())),
    ),
    setting(
        "log.format",
        |config, raw| set(&mut config.log.format, choice(raw.text()?, LOG_FORMATS)),
        |config| name_of(config.log.format, LOG_FORMATS).to_owned(),
    ),
    setting(
        "log.level",
        |config, raw| set(&mut config.log.level, choice(raw.text()?, LOG_LEVELS)),
        |config| name_of(config.log.level, LOG_LEVELS).to_owned(),
    ),
    setting(
        "log.slow",
        |config, raw| set(&mut config.log.slow, duration(raw, &LOG_SLOW)),
        |config| show_duration(config.log.slow),
    ),
    setting(
        "metrics.listen",
        |config, raw| set(&mut config.metrics.listen, optional_port(raw)),
        |config| show_port(config.metrics.listen.as_deref()),
    ),
    setting(
        "metrics.tls",
        |config, raw| set(&mut config.metrics.tls, boolean(raw)),
        |config| config.metrics.tls.to_string(),
    ),
    setting(
        "telemetry.object_keys",
        |config, raw| set(&mut config.telemetry.object_keys, boolean(raw)),
        |config| config.telemetry.object_keys.to_string(),
    ),
    setting(
        "shutdown_grace",
        |config, raw| set(&mut config.shutdown_grace, duration(raw, &SHUTDOWN_GRACE)),
        |config| show_duration(config.shutdown_grace),
    ),
];

/// All settings as a settings file.
pub(super) fn render(config: &Config) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in SETTINGS {
        let (in_section, name) = setting.path.split_once('.').unwrap_or(("", setting.path));
        if in_section != section && !in_section.is_empty() {
            text.push_str(&format!("{in_section}:\n"));
        }
        section = in_section;
        let indent = if section.is_empty() { "" } else { "  " };
        let origin = config
            .origins
            .get(setting.path)
            .map(|origin| format!("  # {origin}"));
        text.push_str(&format!(
            "{indent}{name}: {}{}\n",
            setting.value(config),
            origin.unwrap_or_default()
        ));
    }
    text
}

fn set<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn path(raw: &Raw) -> Result<PathBuf, String> {
    filled(raw).map(PathBuf::from)
}

fn optional_port(raw: &Raw) -> Result<Option<String>, String> {
    match raw.text()? {
        OFF => Ok(None),
        _ => address(raw).map(Some).map_err(|text| format!("{text}, or off")),
    }
}

fn show_port(listen: Option<&str>) -> String {
    listen.map_or_else(|| OFF.to_owned(), show_text)
}

fn trailers(raw: &Raw) -> Result<BTreeSet<Trailer>, String> {
    // an empty variable counts as not set, so an empty list needs a word
    if matches!(raw, Raw::Text(text) if text.trim() == NONE) {
        return Ok(BTreeSet::new());
    }
    raw.list()
        .into_iter()
        .map(|name| choice(name, TRAILERS))
        .collect()
}

fn show_trailers(trailers: &BTreeSet<Trailer>) -> String {
    let names: Vec<&str> = trailers
        .iter()
        .map(|trailer| name_of(*trailer, TRAILERS))
        .collect();
    format!("[{}]", names.join(", "))
}
