//! The histograms: durations of calls and of attempts, recorded as they end. Building labels and looking up their series
//! costs many times what adding a number does, so the series whose labels were used before are kept.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{BoundHistogram, Histogram, Meter};
use opentelemetry::{KeyValue, StringValue};
use parking_lot::RwLock;

use super::EndedCall;
use super::names::{self, attribute, instrument, label};
use crate::figure::{AwsOperation, NO_MODEL, Rpc, Service};

/// Bounds of all histograms in seconds: half a millisecond to the longest deadline that is usual.
const BOUNDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// A histogram for calls, and one for the requests to each service.
#[derive(Debug)]
pub(super) struct Histograms {
    call: Bound<(Rpc, i32)>,
    dynamodb: Bound<AwsOperation>,
    kms: Bound<AwsOperation>,
    s3: Bound<AwsOperation>,
}

impl Histograms {
    pub(super) fn new(meter: &Meter) -> Histograms {
        Histograms {
            call: Bound::new(
                meter,
                instrument::CALL_DURATION,
                "Wall time of calls of DataService",
            ),
            dynamodb: Bound::new(
                meter,
                instrument::DATABASE_DURATION,
                "Time of requests to DynamoDB, one per attempt",
            ),
            kms: Bound::new(
                meter,
                instrument::KMS_DURATION,
                "Time of requests to KMS, one per attempt",
            ),
            s3: Bound::new(
                meter,
                instrument::S3_DURATION,
                "Time of requests to S3, one per attempt",
            ),
        }
    }

    /// Records the duration of a call.
    pub(super) fn call_ended(&self, ended: &EndedCall<'_>) {
        let seconds = ended.bill.wall_us as f64 / 1e6;
        let key = Key {
            model: ended.model.cloned(),
            kind: (ended.rpc, ended.code as i32),
        };
        self.call.record(seconds, key, || {
            let status = names::status(ended.code);
            let mut labels = vec![
                KeyValue::new(attribute::RPC_SYSTEM, names::GRPC),
                KeyValue::new(attribute::RPC_METHOD, names::method(ended.rpc)),
                KeyValue::new(attribute::RPC_STATUS, status),
                KeyValue::new(label::MODEL, model_label(ended.model)),
            ];
            if names::is_error(ended.code) {
                labels.push(KeyValue::new(attribute::ERROR_TYPE, status));
            }
            labels
        });
    }

    /// Records the duration of an attempt.
    pub(super) fn attempt_ended(&self, operation: AwsOperation, model: Option<&Arc<str>>, took: Duration) {
        // whole microseconds, as in the bill
        let seconds = took.as_micros() as f64 / 1e6;
        let key = Key {
            model: model.cloned(),
            kind: operation,
        };
        let service = operation.service();
        let bound = match service {
            Service::DynamoDb => &self.dynamodb,
            Service::Kms => &self.kms,
            Service::S3 => &self.s3,
        };
        bound.record(seconds, key, || {
            let model = KeyValue::new(label::MODEL, model_label(model));
            match service {
                Service::DynamoDb => vec![
                    KeyValue::new(attribute::DB_SYSTEM, names::DYNAMODB),
                    KeyValue::new(attribute::DB_OPERATION, operation.name()),
                    model,
                ],
                Service::Kms | Service::S3 => {
                    vec![KeyValue::new(label::OPERATION, operation.name()), model]
                }
            }
        });
    }
}

/// The labels of one series of a histogram, as an enum or two beside the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key<K> {
    model: Option<Arc<str>>,
    kind: K,
}

/// A histogram, and its series whose labels were used before.
struct Bound<K> {
    histogram: Histogram<f64>,
    known: RwLock<HashMap<Key<K>, BoundHistogram<f64>>>,
}

impl<K: Eq + Hash> Bound<K> {
    fn new(meter: &Meter, name: &'static str, description: &'static str) -> Bound<K> {
        let histogram = meter
            .f64_histogram(name)
            .with_unit("s")
            .with_description(description)
            .with_boundaries(BOUNDS.to_vec())
            .build();
        Bound {
            histogram,
            known: RwLock::default(),
        }
    }

    fn record(&self, seconds: f64, key: Key<K>, make_labels: impl FnOnce() -> Vec<KeyValue>) {
        let known = self.known.read();
        if let Some(series) = known.get(&key) {
            return series.record(seconds);
        }
        drop(known);
        let series = self.histogram.bind(&make_labels());
        series.record(seconds);
        self.known.write().insert(key, series);
    }
}

impl<K> fmt::Debug for Bound<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bound")
    }
}

fn model_label(model: Option<&Arc<str>>) -> StringValue {
    match model {
        Some(model) => StringValue::from(Arc::clone(model)),
        None => StringValue::from(NO_MODEL),
    }
}
