//! What a collector received: spans, log records and metrics, and how tests look them up.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

/// Everything received.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// All spans.
    pub spans: Vec<Span>,
    /// All log records but those of the audit log.
    pub logs: Vec<LogRecord>,
    /// The lines of the audit log: the records of its scope.
    pub audit: Vec<LogRecord>,
    /// The metrics of the last export: sums are cumulative.
    pub metrics: Vec<Metric>,
    /// The resources of the sender.
    pub resources: Vec<Resource>,
    /// Metadata or headers of the requests.
    pub headers: Vec<http::HeaderMap>,
}

/// What was received while it only counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Metrics of all exports: one counts again in every export.
    pub metrics: u64,
}

impl Counted {
    pub(super) fn add(&mut self, received: &Received) {
        self.spans += received.spans.len() as u64;
        self.logs += received.logs.len() as u64;
        self.metrics += received.metrics.len() as u64;
    }
}

impl Received {
    /// The spans of this name.
    pub fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The only span of this name.
    ///
    /// # Panics
    ///
    /// If there is not exactly one.
    pub fn only(&self, name: &str) -> &Span {
        match self.named(name)[..] {
            [span] => span,
            ref spans => panic!("{} spans {name} among {:?}", spans.len(), self.span_names()),
        }
    }

    /// The names of all spans, sorted.
    pub fn span_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The spans whose parent is this one.
    pub fn children(&self, parent: &Span) -> Vec<&Span> {
        let is_child =
            |span: &&Span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id;
        self.spans.iter().filter(is_child).collect()
    }

    /// A metric.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn metric(&self, name: &str) -> &Metric {
        let found = self.metrics.iter().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// The sum of a counter's points whose attributes contain these.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let points = number_points(self.metric(name));
        points
            .iter()
            .filter(|point| has(&point.attributes, labels))
            .map(|point| match point.value {
                Some(Number::AsInt(value)) => value as f64,
                Some(Number::AsDouble(value)) => value,
                None => 0.0,
            })
            .sum()
    }

    /// Count and sum of a histogram's points whose attributes contain these.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> (u64, f64) {
        let points = histogram_points(self.metric(name));
        let points = points.iter().filter(|point| has(&point.attributes, labels));
        points.fold((0, 0.0), |(count, sum), point| {
            (count + point.count, sum + point.sum.unwrap_or_default())
        })
    }
}

/// The points of a counter or gauge.
pub fn number_points(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        other => panic!("{} is {other:?}", metric.name),
    }
}

/// The points of a histogram.
pub fn histogram_points(metric: &Metric) -> &[HistogramDataPoint] {
    match &metric.data {
        Some(Data::Histogram(histogram)) => &histogram.data_points,
        other => panic!("{} is {other:?}", metric.name),
    }
}

/// Attributes by name.
pub fn attributes(pairs: &[KeyValue]) -> BTreeMap<&str, Value> {
    let pairs = pairs.iter();
    pairs
        .map(|pair| (pair.key.as_str(), pair.value.as_ref().map_or(Value::Null, plain)))
        .collect()
}

fn plain(value: &AnyValue) -> Value {
    match &value.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(boolean)) => json!(boolean),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(array)) => array.values.iter().map(plain).collect(),
        other => json!(format!("{other:?}")),
    }
}

fn has(pairs: &[KeyValue], labels: &[(&str, &str)]) -> bool {
    let attributes = attributes(pairs);
    labels
        .iter()
        .all(|(name, value)| attributes.get(name) == Some(&json!(value)))
}
