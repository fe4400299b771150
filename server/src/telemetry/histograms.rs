//! The histograms: durations of calls and of attempts, recorded as they end. Making labels and finding their sums by them
//! costs many times what adding a number does, so the sums of labels that were seen are kept at hand.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::metrics::{BoundHistogram, Histogram, Meter};
use opentelemetry::{KeyValue, StringValue};

use super::Ended;
use super::names::{self, attribute, instrument, label};
use crate::billing::{NONE, Service};

/// Bounds of all histograms in seconds: half a millisecond to the longest deadline that is usual.
const BOUNDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// One per kind of thing that takes time.
#[derive(Debug)]
pub(super) struct Histograms {
    call: Bound,
    dynamodb: Bound,
    kms: Bound,
    s3: Bound,
}

impl Histograms {
    pub(super) fn new(meter: &Meter) -> Histograms {
        let histogram = |name, description| Bound {
            histogram: meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(BOUNDS.to_vec())
                .build(),
            known: RwLock::default(),
        };
        Histograms {
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
        }
    }

    pub(super) fn call_ended(&self, ended: &Ended<'_>) {
        let seconds = ended.bill.wall_us as f64 / 1e6;
        let labels = Labels {
            operation: ended.operation,
            model: ended.model,
            code: ended.code as i32,
        };
        self.call.record(seconds, labels, || {
            let status = names::status(ended.code);
            let mut labels = vec![
                KeyValue::new(attribute::RPC_SYSTEM, names::GRPC),
                KeyValue::new(attribute::RPC_METHOD, names::method(ended.operation)),
                KeyValue::new(attribute::RPC_STATUS, status),
                KeyValue::new(label::MODEL, model_label(ended.model)),
            ];
            if names::is_error(ended.code) {
                labels.push(KeyValue::new(attribute::ERROR_TYPE, status));
            }
            labels
        });
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
        let labels = Labels {
            operation,
            model,
            code: 0,
        };
        let bound = match service {
            Service::DynamoDb => &self.dynamodb,
            Service::Kms => &self.kms,
            Service::S3 => &self.s3,
        };
        bound.record(seconds, labels, || {
            let model = KeyValue::new(label::MODEL, model_label(model));
            match service {
                Service::DynamoDb => vec![
                    KeyValue::new(attribute::DB_SYSTEM, names::DYNAMODB),
                    KeyValue::new(attribute::DB_OPERATION, operation),
                    model,
                ],
                Service::Kms | Service::S3 => vec![KeyValue::new(label::OPERATION, operation), model],
            }
        });
    }
}

/// What tells the sums of one histogram apart: all of closed sets.
#[derive(Clone, Copy)]
struct Labels<'a> {
    operation: &'static str,
    model: Option<&'a Arc<str>>,
    code: i32,
}

/// A histogram, and its sums by labels that were seen.
struct Bound {
    histogram: Histogram<f64>,
    known: RwLock<HashMap<Key, Known>>,
}

/// The labels by the addresses of their texts. One text may have two; their sum is the same.
type Key = (usize, usize, i32);

struct Known {
    sum: BoundHistogram<f64>,
    /// As long as the text lives, its address is that of no other.
    _model: Option<Arc<str>>,
}

impl Bound {
    fn record(&self, seconds: f64, labels: Labels<'_>, make: impl FnOnce() -> Vec<KeyValue>) {
        let key = labels.key();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&key) {
            return known.sum.record(seconds);
        }
        drop(known);
        let sum = self.histogram.bind(&make());
        sum.record(seconds);
        let known = Known {
            sum,
            _model: labels.model.cloned(),
        };
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, known);
    }
}

impl Labels<'_> {
    fn key(&self) -> Key {
        let model = self.model.map_or(0, |model| model.as_ptr().addr());
        (model, self.operation.as_ptr().addr(), self.code)
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bound")
    }
}

fn model_label(model: Option<&Arc<str>>) -> StringValue {
    match model {
        Some(model) => StringValue::from(Arc::clone(model)),
        None => StringValue::from(NONE),
    }
}
