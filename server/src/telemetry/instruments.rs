//! The instruments. Durations are recorded as calls and attempts end; everything else is read when somebody collects. All
//! labels have closed sets of values.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::{Instrument, MeterProviderBuilder, SdkMeterProvider, Stream};

use super::InstrumentSources;
use super::counters;
use super::export::Dropped;
use super::histograms::Histograms;
use super::names::{self, instrument, label};
use super::sweeps;
use crate::build::{COMMIT, VERSION};
use crate::figure::{AwsOperation, Rpc};

/// The histograms, and the meter of everything else.
pub(super) struct Instruments {
    provider: SdkMeterProvider,
    meter: Meter,
    /// The number of served models, which bounds the number of series.
    models: Arc<OnceLock<usize>>,
    /// Missing until there is something to observe.
    histograms: OnceLock<Histograms>,
}

impl Instruments {
    pub(super) fn new(builder: MeterProviderBuilder) -> Instruments {
        let models = Arc::new(OnceLock::new());
        let read = Arc::clone(&models);
        let provider = builder
            .with_view(move |instrument: &Instrument| with_series_limit(instrument.name(), *read.get()?))
            .build();
        Instruments {
            meter: provider.meter(names::SERVICE),
            provider,
            models,
            histograms: OnceLock::new(),
        }
    }

    /// Stops collecting.
    pub(super) fn shut_down(&self) {
        // shutting down twice is not an error
        let _ = self.provider.shutdown();
    }

    /// The histograms; `None` until there is something to observe.
    pub(super) fn histograms(&self) -> Option<&Histograms> {
        self.histograms.get()
    }

    /// Creates the instruments. All but the histograms are read when somebody collects.
    pub(super) fn observe(
        &self,
        sources: InstrumentSources,
        dropped: Arc<Dropped>,
        log_drops: Arc<AtomicU64>,
    ) {
        self.models.get_or_init(|| sources.models);
        self.histograms.get_or_init(|| Histograms::new(&self.meter));
        let sources = Arc::new(sources);
        counters::observe(&self.meter, &sources);
        self.observe_gauges(&sources);
        sweeps::observe(&self.meter, &sources);
        self.meter
            .u64_observable_counter(instrument::DROPPED)
            .with_unit("{record}")
            .with_description("Spans, data points and log records that could not be exported")
            .with_callback(move |observer| {
                for (signal, count) in dropped.counts() {
                    observer.observe(count, &[KeyValue::new(label::SIGNAL, signal)]);
                }
            })
            .build();
        self.meter
            .u64_observable_counter(instrument::LOG_DROPPED)
            .with_unit("{line}")
            .with_description("Log lines that were dropped because nobody read them")
            .with_callback(move |observer| observer.observe(log_drops.load(Ordering::Relaxed), &[]))
            .build();
    }

    fn observe_gauges(&self, sources: &Arc<InstrumentSources>) {
        let limit = i64::try_from(sources.limit).unwrap_or(i64::MAX);
        let read = Arc::clone(sources);
        self.meter
            .i64_observable_up_down_counter(instrument::IN_FLIGHT)
            .with_unit("{call}")
            .with_description("Calls of DataService in flight")
            .with_callback(move |observer| {
                observer.observe(i64::try_from((read.in_flight)()).unwrap_or(i64::MAX), &[]);
            })
            .build();
        self.meter
            .i64_observable_up_down_counter(instrument::LIMIT)
            .with_unit("{call}")
            .with_description("Calls that may be in flight (limits.in_flight)")
            .with_callback(move |observer| observer.observe(limit, &[]))
            .build();
        let read = Arc::clone(sources);
        self.meter
            .i64_observable_up_down_counter(instrument::ADMITTED)
            .with_unit("{call}")
            .with_description(
                "Calls that are admitted now: fewer than the limit under overload (limits.adaptive)",
            )
            .with_callback(move |observer| {
                observer.observe(i64::try_from((read.admitted)()).unwrap_or(i64::MAX), &[]);
            })
            .build();
        self.observe_memory(sources);
        self.observe_build();
    }

    fn observe_memory(&self, sources: &Arc<InstrumentSources>) {
        let limit = i64::try_from(sources.memory_limit).unwrap_or(i64::MAX);
        let read = Arc::clone(sources);
        self.meter
            .i64_observable_up_down_counter(instrument::MEMORY_RESERVED)
            .with_unit("By")
            .with_description("Bytes of requests, pages and responses that are held")
            .with_callback(move |observer| {
                observer.observe(i64::try_from((read.memory_reserved)()).unwrap_or(i64::MAX), &[]);
            })
            .build();
        self.meter
            .i64_observable_up_down_counter(instrument::MEMORY_LIMIT)
            .with_unit("By")
            .with_description("Bytes that may be held (limits.memory)")
            .with_callback(move |observer| observer.observe(limit, &[]))
            .build();
    }

    fn observe_build(&self) {
        let labels = [
            KeyValue::new(label::VERSION, VERSION),
            KeyValue::new(label::COMMIT, COMMIT),
        ];
        self.meter
            .u64_observable_gauge(instrument::BUILD_INFO)
            .with_description("1, labelled with the version and the commit of this program")
            .with_callback(move |observer| observer.observe(1, &labels))
            .build();
    }
}

impl fmt::Debug for Instruments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Instruments")
    }
}

/// Raises the limit on the series of an instrument to what its labels can take. By default the SDK adds up everything past
/// the 2,000th series, so that models which are called late would not be reported.
fn with_series_limit(name: &str, models: usize) -> Option<Stream> {
    // calls that named no served model have a label too
    let limit = (models + 1) * series_per_model(name);
    Stream::builder().with_cardinality_limit(limit).build().ok()
}

/// The most combinations of labels of an instrument for one model.
fn series_per_model(name: &str) -> usize {
    // and unknown ones
    let (methods, operations) = (Rpc::ALL.len() + 1, AwsOperation::ALL.len() + 1);
    match name {
        instrument::CALL_DURATION => methods * names::STATUSES,
        instrument::DATABASE_DURATION | instrument::KMS_DURATION | instrument::S3_DURATION => operations,
        _ => methods * counters::figures_of(name).count().max(1), // counters of figures
    }
}
