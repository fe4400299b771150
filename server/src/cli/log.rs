//! The log: which events are written, and in which format. Never shows events of libraries below WARN: they contain whole
//! requests and responses, with keys, values and data keys in plaintext.

use std::io::{IsTerminal as _, stderr};

use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::{MakeWriter, format, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::log_format::{JsonFormat, TextFields};
use crate::aws;
use crate::config::{Log, LogFormat, LogLevel};
use crate::telemetry::Telemetry;

/// The target of this program's own events, alone or followed by `::`.
const OWN: &str = "tollgate";
/// Prefixes of targets that are omitted at every level. The OpenTelemetry libraries report every batch, and `telemetry`
/// reports the same once; the others report failures together with the content of requests.
const OMITTED: [&str; 3] = [
    "opentelemetry",
    aws::LINES_WITH_ITEMS,
    // unreadable bodies, and paths
    "s3s",
];

/// Creates the subscriber of the log: text on a terminal and JSON elsewhere, unless the settings choose one. Every line is
/// exported to the collector too, if there is one.
pub fn dispatch<W>(log: &Log, telemetry: &Telemetry, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let pretty = match log.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let subscriber = registry()
        .with(shown(level(log.level)))
        .with(telemetry.log_layer());
    if pretty {
        let ansi = stderr().is_terminal();
        let lines = layer()
            .with_writer(writer)
            .with_ansi(ansi)
            .fmt_fields(TextFields)
            .event_format(format().with_ansi(ansi));
        return Dispatch::new(subscriber.with(lines));
    }
    let lines = layer()
        .with_writer(writer)
        .with_ansi(false)
        .event_format(JsonFormat);
    Dispatch::new(subscriber.with(lines))
}

/// Selects the events to write. The level applies to the program's own events; those of libraries are shown from WARN up,
/// whatever the level. The decision is cached per callsite, so events that are not shown cost nothing.
fn shown(level: Level) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(move |metadata: &Metadata<'_>| *metadata.level() <= level && is_shown(metadata))
        .with_max_level_hint(level)
}

fn is_shown(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let rest = target.strip_prefix(OWN);
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::")) {
        return true;
    }
    let mut omitted = OMITTED.iter().chain(&aws::LINES_WITH_DUMPS);
    *metadata.level() <= Level::WARN && !omitted.any(|library| target.starts_with(library))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::{Layer, Registry};

    use super::super::testing::Written;
    use super::*;

    /// The messages that a log of this level writes.
    fn messages(level: LogLevel, format: LogFormat) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let log = Log {
            level,
            format,
            slow: Duration::ZERO,
        };
        let dispatch = dispatch(&log, &Telemetry::off(), move || writer.clone());
        tracing::dispatcher::with_default(&dispatch, log_everything);
        let text = written.text();
        let lines = text.lines();
        let words = lines.filter_map(|line| line.split([' ', '"']).find(|word| word.contains('/')));
        words.map(str::to_owned).collect()
    }

    fn log_everything() {
        macro_rules! at_every_level {
            ($($target:literal)*) => {$(
                tracing::error!(target: $target, concat!($target, "/error"));
                tracing::warn!(target: $target, concat!($target, "/warn"));
                tracing::info!(target: $target, concat!($target, "/info"));
                tracing::debug!(target: $target, concat!($target, "/debug"));
                tracing::trace!(target: $target, concat!($target, "/trace"));
            )*};
        }
        let span =
            tracing::info_span!(target: "aws_sdk_s3::operation::put_object", "span", key = "MARK/span");
        let _entered = span.enter();
        at_every_level!(
            "aws_smithy_runtime::client::orchestrator"
            "aws_sdk_kms::operation::decrypt"
            "hyper_util::client"
            "tollgate_other"
            "aws_smithy_runtime_api::client::interceptors::context"
            "s3s::ops"
            "opentelemetry_sdk"
            "aws_config::meta::credentials::chain"
        );
        at_every_level!("tollgate" "tollgate::call");
    }

    const SHOWN_LIBRARIES: [&str; 4] = [
        "aws_smithy_runtime::client::orchestrator",
        "aws_sdk_kms::operation::decrypt",
        "hyper_util::client",
        "tollgate_other",
    ];

    fn expected(libraries: &[&str], own: &[&str]) -> Vec<String> {
        let line = |target: &str, level: &str| format!("{target}/{level}");
        let of = |targets: &[&str], levels: &[&str]| -> Vec<String> {
            let lines = targets
                .iter()
                .flat_map(|target| levels.iter().map(|level| line(target, level)));
            lines.collect()
        };
        let mut lines = of(&SHOWN_LIBRARIES, libraries);
        lines.extend(of(&["tollgate", "tollgate::call"], own));
        lines
    }

    #[test]
    fn shows_libraries_from_warn_up_at_every_level() {
        let own = ["error", "warn", "info", "debug", "trace"];
        let levels = [
            (LogLevel::Error, 1),
            (LogLevel::Warn, 2),
            (LogLevel::Info, 3),
            (LogLevel::Debug, 4),
            (LogLevel::Trace, 5),
        ];
        for (level, count) in levels {
            let expected = expected(&own[..count.min(2)], &own[..count]);
            assert_eq!(messages(level, LogFormat::Json), expected, "{level:?}");
        }
    }

    #[test]
    fn never_shows_the_spans_of_libraries() {
        let shown = messages(LogLevel::Trace, LogFormat::Pretty);
        assert!(
            shown.iter().any(|line| line.contains("tollgate/trace")),
            "{shown:?}"
        );
        assert!(!shown.iter().any(|line| line.contains("MARK")), "{shown:?}");
    }

    #[test]
    fn the_level_hint_skips_events_below_the_level() {
        for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            let hint = Layer::<Registry>::max_level_hint(&shown(level));
            assert_eq!(hint, Some(LevelFilter::from_level(level)));
        }
    }
}
