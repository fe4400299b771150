//! How often metrics are exported, and with which temporality.

use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::reader::Reader;

pub(super) const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// The time between two exports.
pub(super) fn interval(reader: &mut Reader<'_>) -> Duration {
    reader.millis("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL)
}

/// The temporality; `cumulative` by default.
pub(super) fn temporality(reader: &mut Reader<'_>) -> Temporality {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    match reader.choice(name).as_deref().unwrap_or("cumulative") {
        "cumulative" => Temporality::Cumulative,
        "delta" => Temporality::Delta,
        "lowmemory" => Temporality::LowMemory,
        _ => {
            reader.fault(name, "must be cumulative, delta or lowmemory");
            Temporality::Cumulative
        }
    }
}
