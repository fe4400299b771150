//! What the gateway exports: spans, instruments and log records as a collector receives them, the side
//! port as Prometheus and probes see it, and what must never be in any of it.

mod attempts;
mod audit;
mod endings;
mod export;
mod logs;
mod parents;
mod scrape;
mod secrets;
mod sums;
mod traces;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate::telemetry::Telemetry;
use tollgate_tests::collector::Collector;
use tollgate_tests::gateway::{Gateway, Setup};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The settings of a gateway that exports to a collector with short delays.
fn exporting_to(collector: &Collector, more: &[(&'static str, &str)]) -> Setup {
    exporting_to_endpoint(collector.endpoint(), more)
}

/// Like [`exporting_to`], but for any endpoint.
fn exporting_to_endpoint(endpoint: String, more: &[(&'static str, &str)]) -> Setup {
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let delays = [
        ("OTEL_BSP_SCHEDULE_DELAY", "5"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "5"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
    ];
    let mut settings = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
    let of_test = more.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let defaults = delays
        .iter()
        .chain([&protocol])
        .filter(|(name, _)| !of_test.contains(name));
    settings.extend(
        defaults
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    Setup {
        settings,
        ..Setup::default()
    }
}

/// The log of a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        let bytes = self.0.lock();
        String::from_utf8(bytes.clone()).expect("UTF-8")
    }

    /// The lines that contain this, as JSON.
    fn with(&self, part: &str) -> Vec<serde_json::Value> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(part));
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock();
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.clone()
    }
}

/// A gateway and its log, as `tollgate serve` writes it. The log is that of this thread: tests of one thread only.
async fn logged(mut setup: Setup) -> (Gateway, Lines, DefaultGuard) {
    setup.settings.push(("TOLLGATE_LOG__FORMAT", "json".to_owned()));
    let config = setup.config();
    let (telemetry, faults) = Telemetry::open(&config);
    assert!(faults.is_empty(), "{faults:?}");
    let lines = Lines::default();
    let dispatch = tollgate::cli::log::dispatch(&config.log, &telemetry, lines.clone());
    let guard = tracing::dispatcher::set_default(&dispatch);
    let gateway = Box::pin(Gateway::with_telemetry(setup, telemetry)).await;
    (gateway, lines, guard)
}
