//! The log: who writes which lines where. What is said belongs to the rooms that say it.

use std::io::{IsTerminal as _, stderr};

use tracing::{Dispatch, Level};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::{MakeWriter, format, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::json_line::JsonLine;
use crate::config::{Log, LogFormat, LogLevel};
use crate::telemetry::{Correlated, Telemetry};

/// What the names of the OpenTelemetry libraries' own events begin with. They are left out of the log: `telemetry`
/// tells once what they tell per batch.
const LIBRARIES: &str = "opentelemetry";

/// Lines for people on a terminal, JSON elsewhere, unless the settings say; every line goes to the collector too, where
/// there is one.
pub fn dispatch<W>(log: &Log, telemetry: &Telemetry, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let pretty = match log.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let level = level(log.level);
    let is_shown =
        filter_fn(move |metadata| *metadata.level() <= level && !metadata.target().starts_with(LIBRARIES));
    let subscriber = registry()
        .with(is_shown.with_max_level_hint(level))
        .with(telemetry.log_layer());
    if pretty {
        let ansi = stderr().is_terminal();
        let lines = layer().with_writer(writer).with_ansi(ansi);
        let lines = lines.event_format(Correlated(format().with_ansi(ansi)));
        return Dispatch::new(subscriber.with(lines));
    }
    let lines = layer()
        .with_writer(writer)
        .with_ansi(false)
        .event_format(Correlated(JsonLine));
    Dispatch::new(subscriber.with(lines))
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}
