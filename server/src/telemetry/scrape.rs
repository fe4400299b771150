//! The Prometheus exposition of the instruments. Never records anything.

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};

use super::names::instrument;

/// The media type of the exposition.
pub(super) const MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;

/// The metrics in the format of Prometheus.
#[derive(Debug)]
pub(super) struct Scrape(Registry);

impl Scrape {
    /// The exposition, and the reader to pass to the meter provider.
    pub(super) fn new() -> Option<(Scrape, PrometheusExporter)> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build();
        Some((Scrape(registry), exporter.ok()?))
    }

    /// The current metrics as text.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut families = self.0.gather();
        let (exported, conventional) = instrument::COST_IN_PROMETHEUS;
        for family in families.iter_mut().filter(|family| family.name() == exported) {
            family.set_name(conventional.to_owned());
        }
        let mut text = Vec::with_capacity(32 * 1024);
        // writing to memory cannot fail; a family without a name or metrics would be omitted
        let _ = TextEncoder::new().encode(&families, &mut text);
        text
    }
}
