//! OpenTelemetry's environment variables, as its specification defines them: what is exported, where to, and how. They are
//! passed in with the settings: only `config` reads the environment, and the exporters take their options in code. As the
//! specification requires, an invalid variable never prevents the start: it is logged and ignored.
//!
//! | variable | default |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `false` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT`, `…_LOGS_ENDPOINT` | none: nothing is exported |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` and per signal: `grpc`, `http/protobuf` | `grpc` at port 4317, else `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`, `_CERTIFICATE` and per signal | none, 10 s, the system's authorities |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` and per signal: `gzip`, `none` | `none` |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on` |
//! | `OTEL_PROPAGATORS` | `tracecontext,baggage` |
//! | `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME` | `tollgate` |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | 60 s, `cumulative` |
//! | `OTEL_BSP_…`, `OTEL_BLRP_…`: `MAX_QUEUE_SIZE`, `MAX_EXPORT_BATCH_SIZE`, `SCHEDULE_DELAY` | 8192, 1024, 1 s |

mod endpoint;
mod metrics;
mod propagators;
mod queue;
mod reader;
mod resource;
mod sampler;
#[cfg(test)]
mod tests;

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;

pub(super) use self::endpoint::{Export, Protocol};
pub(super) use self::propagators::Propagators;
pub(super) use self::queue::Bounds;
use self::reader::Reader;
use crate::config::OtelVariables;

/// The values of all variables.
#[derive(Debug)]
pub(super) struct Variables {
    pub(super) traces: Option<Export>,
    pub(super) metrics: Option<Export>,
    pub(super) logs: Option<Export>,
    pub(super) sampler: Sampler,
    pub(super) propagators: Propagators,
    pub(super) resource: Resource,
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
    pub(super) span_bounds: Bounds,
    pub(super) log_bounds: Bounds,
    /// The variables that are invalid, for the log.
    pub(super) faults: Vec<String>,
}

impl Variables {
    /// Reads all variables.
    pub(super) fn read(given: &OtelVariables) -> Variables {
        let mut reader = Reader::new(given);
        let reader = &mut reader;
        let disabled = reader.is_true("OTEL_SDK_DISABLED");
        Variables {
            traces: endpoint::export(reader, "traces", disabled),
            metrics: endpoint::export(reader, "metrics", disabled),
            logs: endpoint::export(reader, "logs", disabled),
            sampler: sampler::sampler(reader),
            propagators: propagators::propagators(reader),
            resource: resource::resource(reader),
            interval: metrics::interval(reader),
            temporality: metrics::temporality(reader),
            span_bounds: queue::bounds(reader, "OTEL_BSP"),
            log_bounds: queue::bounds(reader, "OTEL_BLRP"),
            faults: std::mem::take(&mut reader.faults),
        }
    }
}
