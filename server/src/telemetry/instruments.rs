//! The instruments. Durations are recorded as calls and attempts end; every other figure is read off the books when
//! somebody collects, so that it costs a call nothing and is what the trailers said. Labels are of closed sets only.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::{Instrument, MeterProviderBuilder, SdkMeterProvider, Stream};

use super::InstrumentSources;
use super::export::Dropped;
use super::histograms::Histograms;
use super::names::{self, attribute, instrument, label};
use crate::build::{COMMIT, VERSION};
use crate::figure::{Bill, ModelBill};

/// What is recorded as it happens, and the meter of what is read.
pub(super) struct Instruments {
    provider: SdkMeterProvider,
    meter: Meter,
    /// How many models are served: with it the number of all labels is known.
    models: Arc<OnceLock<usize>>,
    /// From when on there is something to tell.
    histograms: OnceLock<Histograms>,
}

impl Instruments {
    pub(super) fn new(builder: MeterProviderBuilder) -> Instruments {
        let models = Arc::new(OnceLock::new());
        let read = Arc::clone(&models);
        let provider = builder
            .with_view(move |instrument: &Instrument| room(instrument.name(), *read.get()?))
            .build();
        Instruments {
            meter: provider.meter(names::SERVICE),
            provider,
            models,
            histograms: OnceLock::new(),
        }
    }

    /// No figure is collected from now on.
    pub(super) fn shut_down(&self) {
        // what shutting down twice says is of no interest
        let _ = self.provider.shutdown();
    }

    /// What is recorded as it happens; nothing before there is something to tell.
    pub(super) fn histograms(&self) -> Option<&Histograms> {
        self.histograms.get()
    }

    /// Makes the instruments; those that are no histograms are read when somebody collects.
    pub(super) fn observe(
        &self,
        figures: InstrumentSources,
        dropped: Arc<Dropped>,
        log_drops: Arc<AtomicU64>,
    ) {
        self.models.get_or_init(|| figures.models);
        self.histograms.get_or_init(|| Histograms::new(&self.meter));
        let figures = Arc::new(figures);
        self.observe_counts(&figures);
        self.observe_sums(&figures);
        self.observe_gauges(&figures);
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
            .with_description("Lines of the log that were dropped because nobody took them")
            .with_callback(move |observer| observer.observe(log_drops.load(Ordering::Relaxed), &[]))
            .build();
    }

    fn observe_counts(&self, figures: &Arc<InstrumentSources>) {
        let counter = |name, unit, description, rows: fn(&Bill) -> Vec<Row<u64>>| {
            let figures = Arc::clone(figures);
            self.meter
                .u64_observable_counter(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |observer| {
                    each((figures.bills)(), rows, |value, labels| {
                        observer.observe(value, labels);
                    });
                })
                .build();
        };
        counter(
            instrument::FAILED_ITEMS,
            "{item}",
            "Items of pages that were answered with an error in their place",
            |bill| {
                let (lost, other) = (names::DATA_LOSS, names::OTHER_STATUS);
                vec![
                    (bill.items_lost, Some((label::STATUS, lost))),
                    (bill.items_unopened, Some((label::STATUS, other))),
                ]
            },
        );
        counter(
            instrument::KMS_CALLS,
            "{call}",
            "Requests to KMS, retries included",
            |bill| vec![(bill.kms_calls, None)],
        );
        counter(
            instrument::KMS_CACHE_HITS,
            "{call}",
            "Requests to KMS that a cache saved",
            |bill| vec![(bill.kms_cache_hits, None)],
        );
        counter(
            instrument::S3_CALLS,
            "{call}",
            "Requests to S3, retries included",
            |bill| vec![(bill.s3_calls, None)],
        );
        counter(instrument::S3_IO, "By", "Bytes of object content", |bill| {
            let upload = Some((label::DIRECTION, "upload"));
            let download = Some((label::DIRECTION, "download"));
            vec![(bill.uploaded_bytes, upload), (bill.downloaded_bytes, download)]
        });
        counter(
            instrument::RETRIES,
            "{attempt}",
            "Attempts after the first of one request to AWS",
            |bill| vec![(bill.retries, None)],
        );
        counter(
            instrument::THROTTLED,
            "{attempt}",
            "Attempts that AWS answered with throttling",
            |bill| vec![(bill.throttled, None)],
        );
    }

    fn observe_sums(&self, figures: &Arc<InstrumentSources>) {
        let counter = |name, unit, description, rows: fn(&Bill) -> Vec<Row<f64>>| {
            let figures = Arc::clone(figures);
            self.meter
                .f64_observable_counter(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |observer| {
                    each((figures.bills)(), rows, |value, labels| {
                        observer.observe(value, labels);
                    });
                })
                .build();
        };
        counter(
            instrument::CAPACITY,
            "{unit}",
            "Capacity units, computed ones of refused writes included",
            |bill| {
                let read = Some((label::CAPACITY, "read"));
                let write = Some((label::CAPACITY, "write"));
                let (read_units, write_units) = (bill.read_milliunits, bill.all_write_milliunits());
                vec![(read_units as f64 / 1e3, read), (write_units as f64 / 1e3, write)]
            },
        );
        counter(
            instrument::COST,
            "USD",
            "Cost by the price book in the settings",
            |bill| {
                let of =
                    |picodollars: u64, service| (picodollars as f64 / 1e12, Some((label::SERVICE, service)));
                vec![
                    of(bill.dynamodb_picodollars, "dynamodb"),
                    of(bill.kms_picodollars, "kms"),
                    of(bill.s3_picodollars, "s3"),
                ]
            },
        );
        counter(
            instrument::GATEWAY_TIME,
            "s",
            "Wall time of calls in which no request to AWS was under way",
            |bill| vec![(bill.gateway_us as f64 / 1e6, None)],
        );
    }

    fn observe_gauges(&self, figures: &Arc<InstrumentSources>) {
        let limit = i64::try_from(figures.limit).unwrap_or(i64::MAX);
        let read = Arc::clone(figures);
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
        self.observe_memory(figures);
        self.observe_build();
    }

    fn observe_memory(&self, figures: &Arc<InstrumentSources>) {
        let limit = i64::try_from(figures.memory_limit).unwrap_or(i64::MAX);
        let read = Arc::clone(figures);
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
            .with_description("1, with the version and the commit of this program")
            .with_callback(move |observer| observer.observe(1, &labels))
            .build();
    }
}

impl fmt::Debug for Instruments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Instruments")
    }
}

/// A figure, and the label that tells it from the others of its instrument.
type Row<T> = (T, Option<(&'static str, &'static str)>);

fn each<T>(lines: Vec<ModelBill>, rows: fn(&Bill) -> Vec<Row<T>>, mut observe: impl FnMut(T, &[KeyValue])) {
    for line in lines {
        let mut labels = vec![
            KeyValue::new(label::MODEL, line.model),
            KeyValue::new(attribute::RPC_METHOD, names::method(line.rpc)),
        ];
        for (value, own) in rows(&line.bill) {
            labels.truncate(2);
            labels.extend(own.map(|(name, value)| KeyValue::new(name, value)));
            observe(value, &labels);
        }
    }
}

/// Room for all labels of an instrument. Without it the SDK adds up what is past the 2,000th as one, and a model whose
/// calls come late is told of nowhere.
fn room(name: &str, models: usize) -> Option<Stream> {
    // calls that named no served model have a label too
    let limit = (models + 1) * names::labels_per_model(name);
    Stream::builder().with_cardinality_limit(limit).build().ok()
}
