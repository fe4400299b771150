//! Telemetry as the settings enable it. Disabled parts are absent and cost nothing; no task runs unless a collector is
//! configured.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use parking_lot::Mutex;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::export::{self, AuditLines, Dropped, LogQueue, PushReader, SpanQueue, Tasks};
use super::instruments::Instruments;
use super::parts::Parts;
use super::scrape::Scrape;
use super::trace::CallTrace;
use super::tracer::CallTracer;
use super::variables::{Export, Variables};
use super::{InstrumentSources, log};
use crate::config::Config;
use crate::figure::Rpc;

/// The time limit for the last batches at shutdown.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// Spans, instruments and log export. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Parts>);

impl Telemetry {
    /// Telemetry with every part disabled.
    pub fn off() -> Telemetry {
        Telemetry(Arc::default())
    }

    /// Opens the parts that the settings enable. Also returns messages about parts that cannot be opened, for the log, which
    /// may be one of them. Must be called in a Tokio runtime; connects to nothing yet.
    pub fn open(config: &Config) -> (Telemetry, Vec<String>) {
        let mut variables = Variables::read(&config.telemetry.variables);
        let mut opening = Opening::default();
        let tracer = opening.tracer(&variables);
        let (instruments, scrape) = opening.instruments(&variables, config.metrics.listen.is_some());
        let log = opening.log(&variables);
        let audit = opening.audit(&variables, config);
        variables.faults.append(&mut opening.faults);
        let parts = Parts {
            tracer,
            instruments,
            propagators: variables.propagators,
            object_keys: config.telemetry.object_keys,
            log,
            audit,
            scrape,
            dropped: opening.dropped,
            log_drops: OnceLock::new(),
            tasks: Mutex::new(Some(opening.tasks)),
        };
        (Telemetry(Arc::new(parts)), variables.faults)
    }

    /// Sets the counter of the lines that the log dropped. Must be called before `observe`.
    pub fn count_log_drops(&self, drops: Arc<AtomicU64>) {
        self.0.log_drops.get_or_init(|| drops);
    }

    /// Creates the instruments, which read these sources when somebody collects.
    pub fn observe(&self, sources: InstrumentSources) {
        if let Some(instruments) = &self.0.instruments {
            let log_drops = self.0.log_drops.get().cloned();
            instruments.observe(
                sources,
                Arc::clone(&self.0.dropped),
                log_drops.unwrap_or_default(),
            );
        }
    }

    /// Begins the trace of a call that arrives now.
    pub fn begin(&self, rpc: Rpc, headers: &HeaderMap) -> CallTrace {
        CallTrace::begin(&self.0, rpc, headers)
    }

    /// The layer that exports log events, if enabled.
    pub fn log_layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.0.log.as_ref().map(log::bridge)
    }

    /// The queue of the lines of the audit log; `None`: the settings do not export them, or have no endpoint of log records.
    pub fn audit_lines(&self) -> Option<AuditLines> {
        self.0.audit.clone()
    }

    /// The Prometheus exposition.
    pub(super) fn scrape(&self) -> Vec<u8> {
        self.0.scrape.as_ref().map(Scrape::text).unwrap_or_default()
    }

    /// Exports what is queued, within 5 s, and ends all tasks. Nothing is recorded afterwards.
    pub async fn shutdown(&self) {
        let tasks = self.0.tasks.lock().take();
        let Some(tasks) = tasks else { return };
        tasks.finish(FLUSH_TIME).await;
        if let Some(lines) = &self.0.audit {
            lines.give_up();
        }
        if let Some(tracer) = &self.0.tracer {
            tracer.shut_down();
        }
        if let Some(instruments) = &self.0.instruments {
            instruments.shut_down();
        }
    }
}

/// Telemetry that is being opened.
#[derive(Default)]
struct Opening {
    tasks: Tasks,
    dropped: Arc<Dropped>,
    faults: Vec<String>,
}

impl Opening {
    fn tracer(&mut self, variables: &Variables) -> Option<CallTracer> {
        let export = variables.traces.as_ref()?;
        let exporter = export::span_exporter(export, &variables.resource);
        let exporter = self.built(export, exporter)?;
        let queue = SpanQueue::new(variables.span_bounds, Arc::clone(&self.dropped));
        self.tasks.export_spans(&queue, exporter);
        let provider = SdkTracerProvider::builder()
            .with_resource(variables.resource.clone())
            .with_sampler(variables.sampler.clone())
            .with_span_processor(queue)
            .build();
        Some(CallTracer::new(provider))
    }

    fn instruments(&mut self, variables: &Variables, scraped: bool) -> (Option<Instruments>, Option<Scrape>) {
        let mut builder = SdkMeterProvider::builder().with_resource(variables.resource.clone());
        let mut scrape = None;
        let mut is_read = false;
        if let Some((exposition, reader)) = scraped.then(Scrape::new).flatten() {
            builder = builder.with_reader(reader);
            scrape = Some(exposition);
            is_read = true;
        }
        let exporter = variables.metrics.as_ref().and_then(|export| {
            let exporter = export::metric_exporter(export, variables.temporality);
            self.built(export, exporter)
        });
        if let Some(exporter) = exporter {
            let reader = PushReader::new(variables.temporality);
            builder = builder.with_reader(reader.clone());
            let (interval, dropped) = (variables.interval, Arc::clone(&self.dropped));
            self.tasks.export_metrics(reader, exporter, interval, dropped);
            is_read = true;
        }
        let instruments = is_read.then(|| Instruments::new(builder));
        (instruments, scrape)
    }

    fn log(&mut self, variables: &Variables) -> Option<LogQueue> {
        let export = variables.logs.as_ref()?;
        let exporter = export::log_exporter(export, &variables.resource);
        let exporter = self.built(export, exporter)?;
        let queue = LogQueue::new(variables.log_bounds, Arc::clone(&self.dropped));
        self.tasks.export_logs(&queue, exporter);
        Some(queue)
    }

    fn audit(&mut self, variables: &Variables, config: &Config) -> Option<AuditLines> {
        let export = variables.logs.as_ref().filter(|_| config.audit.otlp)?;
        let exporter = export::log_exporter(export, &variables.resource);
        let exporter = self.built(export, exporter)?;
        let dropped = Arc::clone(&self.dropped);
        let lines = AuditLines::new(variables.log_bounds, config.limits.in_flight, dropped);
        self.tasks.export_audit(&lines, exporter);
        Some(lines)
    }

    fn built<E>(&mut self, export: &Export, exporter: Result<E, String>) -> Option<E> {
        match exporter {
            Ok(exporter) => Some(exporter),
            Err(error) => {
                self.faults
                    .push(format!("{} are not exported: {error}", export.signal));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tonic::Code;

    use super::super::{EndedCall, SweepFigures};
    use super::*;
    use crate::config::Flags;
    use crate::figure::{AwsOperation, Bill, ModelBill};

    fn open(variables: &[(&str, &str)]) -> Telemetry {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::load(&Flags::default(), variables).unwrap();
        let (telemetry, faults) = Telemetry::open(&config);
        assert!(faults.is_empty(), "{faults:?}");
        telemetry
    }

    /// Whether traces, instruments and logs are enabled, and the number of tasks.
    fn parts(telemetry: &Telemetry) -> (bool, bool, bool, usize) {
        let parts = &telemetry.0;
        let tasks = parts.tasks.lock();
        (
            parts.tracer.is_some(),
            parts.instruments.is_some(),
            parts.log.is_some(),
            tasks.as_ref().map_or(0, Tasks::running),
        )
    }

    #[tokio::test]
    async fn disabled_parts_are_absent() {
        let off = [("TOLLGATE_METRICS__LISTEN", "off")];
        assert_eq!(parts(&open(&off)), (false, false, false, 0));
        assert_eq!(
            parts(&open(&[])),
            (false, true, false, 0),
            "scraped without a task"
        );
        let traces = [off[0], ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x:4317")];
        assert_eq!(parts(&open(&traces)), (true, false, false, 1));
        let all = [off[0], ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x:4318")];
        let all = open(&all);
        assert_eq!(parts(&all), (true, true, true, 3));
        let empty = http::HeaderMap::new();
        assert!(format!("{:?}", open(&off).begin(Rpc::Get, &empty)).contains("None"));
        assert!(format!("{:?}", all.begin(Rpc::Get, &empty)).contains("Some"));
    }

    #[tokio::test]
    async fn every_model_has_its_own_series_however_many_there_are() {
        let telemetry = open(&[]);
        let models: Vec<Arc<str>> = (0..1500).map(|number| format!("M{number}").into()).collect();
        let lines: Vec<ModelBill> = models.iter().map(line).collect();
        telemetry.observe(InstrumentSources {
            memory_limit: 1,
            memory_reserved: Box::new(|| 0),
            bills: Box::new(move || lines.clone()),
            sweeps: Box::new(SweepFigures::default),
            in_flight: Box::new(|| 0),
            limit: 1,
            admitted: Box::new(|| 1),
            models: models.len(),
        });
        let headers = HeaderMap::new();
        for model in &models {
            for code in [Code::Ok, Code::NotFound] {
                let call = telemetry.begin(Rpc::Get, &headers);
                call.attempt_ended(AwsOperation::GetItem, Some(model), Duration::ZERO);
                call.close(&ended(model, code));
            }
        }
        let text = String::from_utf8(telemetry.scrape()).unwrap();
        let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(count("rpc_server_call_duration_seconds_count"), 2 * models.len());
        assert_eq!(count("db_client_operation_duration_seconds_count"), models.len());
        assert_eq!(count("tollgate_cost_usd_total"), 3 * models.len());
        assert!(!text.contains("overflow"));
    }

    fn line(model: &Arc<str>) -> ModelBill {
        ModelBill {
            model: Arc::clone(model),
            rpc: Rpc::Get,
            bill: Bill::default(),
        }
    }

    fn ended<'a>(model: &'a Arc<str>, code: Code) -> EndedCall<'a> {
        static NOTHING: LazyLock<Bill> = LazyLock::new(Bill::default);
        EndedCall {
            rpc: Rpc::Get,
            model: Some(model),
            session: None,
            request_id: "call",
            code,
            reason: None,
            bill: &NOTHING,
        }
    }

    #[tokio::test]
    async fn parts_that_cannot_be_opened_are_reported_and_left_out() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x:4317"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ];
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(&Flags::default(), variables).unwrap();
        let (telemetry, faults) = Telemetry::open(&config);
        assert_eq!(parts(&telemetry), (false, true, false, 0));
        assert_eq!(faults.len(), 3);
        assert!(
            faults.iter().all(|fault| fault.contains("/nowhere/ca.pem")),
            "{faults:?}"
        );
    }
}
