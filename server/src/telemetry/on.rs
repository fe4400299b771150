//! Everything of this room, opened from the settings: what is not asked for is not there, and costs nothing. No task
//! runs where no collector is named.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::export::{self, Dropped, LogQueue, PushReader, SpanQueue, Tasks};
use super::instruments::Instruments;
use super::scrape::Scrape;
use super::trace::{CallTrace, Tracing};
use super::variables::{Export, Propagators, Variables};
use super::{InstrumentSources, log};
use crate::config::Config;
use crate::figure::Rpc;

/// How long the last batches may take at shutdown.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// What is told, and to whom. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Inner>);

/// The parts that there are.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) tracing: Option<Tracing>,
    pub(super) instruments: Option<Instruments>,
    pub(super) propagators: Propagators,
    pub(super) object_keys: bool,
    log: Option<LogQueue>,
    scrape: Option<Scrape>,
    dropped: Arc<Dropped>,
    /// Lines that the log dropped, counted by whoever writes it.
    log_drops: OnceLock<Arc<AtomicU64>>,
    tasks: Mutex<Option<Tasks>>,
}

impl Telemetry {
    /// Nothing is told.
    pub fn off() -> Telemetry {
        Telemetry(Arc::default())
    }

    /// What the settings ask for, and what cannot be had of it, for the log, which may be part of it. Has to be called
    /// where tasks can be spawned; calls nobody yet.
    pub fn open(config: &Config) -> (Telemetry, Vec<String>) {
        let mut variables = Variables::read(&config.telemetry.variables);
        let mut opening = Opening::default();
        let tracing = opening.tracing(&variables);
        let (instruments, scrape) = opening.instruments(&variables, config.metrics.listen.is_some());
        let log = opening.log(&variables);
        variables.faults.append(&mut opening.faults);
        let inner = Inner {
            tracing,
            instruments,
            propagators: variables.propagators,
            object_keys: config.telemetry.object_keys,
            log,
            scrape,
            dropped: opening.dropped,
            log_drops: OnceLock::new(),
            tasks: Mutex::new(Some(opening.tasks)),
        };
        (Telemetry(Arc::new(inner)), variables.faults)
    }

    /// Where the lines are counted that the log dropped; before figures are observed.
    pub fn count_log_drops(&self, drops: Arc<AtomicU64>) {
        self.0.log_drops.get_or_init(|| drops);
    }

    /// From now on, figures are read here when somebody collects.
    pub fn observe(&self, figures: InstrumentSources) {
        if let Some(instruments) = &self.0.instruments {
            let log_drops = self.0.log_drops.get().cloned();
            instruments.observe(
                figures,
                Arc::clone(&self.0.dropped),
                log_drops.unwrap_or_default(),
            );
        }
    }

    /// Begins the trace of a call that came in now.
    pub fn begin(&self, rpc: Rpc, headers: &HeaderMap) -> CallTrace {
        CallTrace::begin(&self.0, rpc, headers)
    }

    /// The way of log events to the collector, where there is one.
    pub fn log_layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.0.log.as_ref().map(log::bridge)
    }

    /// The Prometheus exposition.
    pub(super) fn scrape(&self) -> Vec<u8> {
        self.0.scrape.as_ref().map(Scrape::text).unwrap_or_default()
    }

    /// Sends what is there, within 5 s, and ends all tasks. Nothing is told from now on.
    pub async fn shutdown(&self) {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(tasks) = tasks else { return };
        tasks.finish(FLUSH_TIME).await;
        if let Some(tracing) = &self.0.tracing {
            tracing.shut_down();
        }
        if let Some(instruments) = &self.0.instruments {
            instruments.shut_down();
        }
    }
}

/// What is being opened.
#[derive(Default)]
struct Opening {
    tasks: Tasks,
    dropped: Arc<Dropped>,
    faults: Vec<String>,
}

impl Opening {
    fn tracing(&mut self, variables: &Variables) -> Option<Tracing> {
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
        Some(Tracing::new(provider))
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

    use super::super::EndedCall;
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

    /// Traces, figures, logs, and how many tasks run.
    fn parts(telemetry: &Telemetry) -> (bool, bool, bool, usize) {
        let inner = &telemetry.0;
        let tasks = inner.tasks.lock().unwrap();
        (
            inner.tracing.is_some(),
            inner.instruments.is_some(),
            inner.log.is_some(),
            tasks.as_ref().map_or(0, Tasks::running),
        )
    }

    #[tokio::test]
    async fn what_is_not_asked_for_is_not_there() {
        let off = [("TOLLGATE_METRICS__LISTEN", "off")];
        assert_eq!(parts(&open(&off)), (false, false, false, 0));
        assert_eq!(
            parts(&open(&[])),
            (false, true, false, 0),
            "to be scraped, by nobody's task"
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
    async fn every_model_has_labels_of_its_own_however_many_there_are() {
        let telemetry = open(&[]);
        let models: Vec<Arc<str>> = (0..1500).map(|number| format!("M{number}").into()).collect();
        let lines: Vec<ModelBill> = models.iter().map(line).collect();
        telemetry.observe(InstrumentSources {
            memory_limit: 1,
            memory_reserved: Box::new(|| 0),
            bills: Box::new(move || lines.clone()),
            in_flight: Box::new(|| 0),
            limit: 1,
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
    async fn what_cannot_be_had_is_told_and_left_out() {
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
