//! The instruments. Durations are recorded as calls and attempts end; every other figure is read off the books when
//! somebody collects, so that it costs a call nothing and is what the trailers said. Labels are of closed sets only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry::{KeyValue, StringValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::export::Lost;
use super::names::{self, attribute, instrument, label};
use super::{Ended, Figures, Line};
use crate::billing::{Bill, NONE, Service};

/// Bounds of all histograms in seconds: half a millisecond to the longest deadline that is usual.
const BOUNDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// What is recorded as it happens, and the meter of what is read.
pub(super) struct Instruments {
    provider: SdkMeterProvider,
    meter: Meter,
    call: Histogram<f64>,
    dynamodb: Histogram<f64>,
    kms: Histogram<f64>,
    s3: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(provider: SdkMeterProvider) -> Instruments {
        let meter = provider.meter(names::SERVICE);
        let histogram = |name, description| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(BOUNDS.to_vec())
                .build()
        };
        Instruments {
            call: histogram(instrument::CALL_DURATION, "Wall time of calls of DataService"),
            dynamodb: histogram(
                instrument::DATABASE_DURATION,
                "Time of requests to DynamoDB, one per attempt",
            ),
            kms: histogram(
                instrument::KMS_DURATION,
                "Time of requests to KMS, one per attempt",
            ),
            s3: histogram(instrument::S3_DURATION, "Time of requests to S3, one per attempt"),
            meter,
            provider,
        }
    }

    /// No figure is collected from now on.
    pub(super) fn shut_down(&self) {
        // what shutting down twice says is of no interest
        let _ = self.provider.shutdown();
    }

    pub(super) fn call_ended(&self, ended: &Ended<'_>) {
        let status = names::status(ended.code);
        let labels = [
            KeyValue::new(attribute::RPC_SYSTEM, names::GRPC),
            KeyValue::new(attribute::RPC_METHOD, names::method(ended.operation)),
            KeyValue::new(attribute::RPC_STATUS, status),
            KeyValue::new(label::MODEL, model_label(ended.model)),
            KeyValue::new(attribute::ERROR_TYPE, status),
        ];
        // the last one is told of errors alone
        let told = if names::is_error(ended.code) { 5 } else { 4 };
        self.call.record(ended.bill.wall_us as f64 / 1e6, &labels[..told]);
    }

    pub(super) fn attempt_ended(
        &self,
        service: Service,
        operation: &'static str,
        model: Option<&Arc<str>>,
        took: Duration,
    ) {
        // whole microseconds, as in the bill
        let seconds = took.as_micros() as f64 / 1e6;
        let model = KeyValue::new(label::MODEL, model_label(model));
        match service {
            Service::DynamoDb => self.dynamodb.record(
                seconds,
                &[
                    KeyValue::new(attribute::DB_SYSTEM, names::DYNAMODB),
                    KeyValue::new(attribute::DB_OPERATION, operation),
                    model,
                ],
            ),
            Service::Kms => {
                let labels = [KeyValue::new(label::OPERATION, operation), model];
                self.kms.record(seconds, &labels);
            }
            Service::S3 => {
                let labels = [KeyValue::new(label::OPERATION, operation), model];
                self.s3.record(seconds, &labels);
            }
        }
    }

    /// Makes the instruments that are read when somebody collects.
    pub(super) fn observe(&self, figures: Figures, lost: Arc<Lost>) {
        let figures = Arc::new(figures);
        self.observe_counts(&figures);
        self.observe_sums(&figures);
        self.observe_gauges(&figures);
        self.meter
            .u64_observable_counter(instrument::DROPPED)
            .with_unit("{record}")
            .with_description("Spans, data points and log records that could not be exported")
            .with_callback(move |observer| {
                for (signal, count) in lost.counts() {
                    observer.observe(count, &[KeyValue::new(label::SIGNAL, signal)]);
                }
            })
            .build();
    }

    fn observe_counts(&self, figures: &Arc<Figures>) {
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

    fn observe_sums(&self, figures: &Arc<Figures>) {
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

    fn observe_gauges(&self, figures: &Arc<Figures>) {
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
    }
}

impl fmt::Debug for Instruments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Instruments")
    }
}

/// A figure, and the label that tells it from the others of its instrument.
type Row<T> = (T, Option<(&'static str, &'static str)>);

fn each<T>(lines: Vec<Line>, rows: fn(&Bill) -> Vec<Row<T>>, mut observe: impl FnMut(T, &[KeyValue])) {
    for line in lines {
        let mut labels = vec![
            KeyValue::new(label::MODEL, line.model),
            KeyValue::new(attribute::RPC_METHOD, names::method(line.operation)),
        ];
        for (value, own) in rows(&line.bill) {
            labels.truncate(2);
            labels.extend(own.map(|(name, value)| KeyValue::new(name, value)));
            observe(value, &labels);
        }
    }
}

fn model_label(model: Option<&Arc<str>>) -> StringValue {
    match model {
        Some(model) => StringValue::from(Arc::clone(model)),
        None => StringValue::from(NONE),
    }
}
