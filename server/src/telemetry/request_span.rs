//! The client span of a request to AWS.

use std::time::Duration;

use opentelemetry::trace::{Span as _, Status};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::Span;

use super::names::{self, attribute};
use super::{RequestFacts, ResponseFacts};
use crate::figure::Service;

/// The span of one request to AWS, retries included. Ends when it is dropped.
#[derive(Debug, Default)]
pub struct RequestSpan(Option<Box<Recorded>>);

#[derive(Debug)]
struct Recorded {
    span: Span,
    region_known: bool,
}

impl RequestSpan {
    pub(super) fn recording(span: Span) -> RequestSpan {
        RequestSpan(Some(Box::new(Recorded {
            span,
            region_known: false,
        })))
    }

    /// Whether anything is recorded.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// Records that an attempt is sent to this region.
    pub fn sent(&mut self, region: Option<&str>) {
        let Some(recorded) = &mut self.0 else { return };
        if let Some(region) = region.filter(|_| !recorded.region_known) {
            recorded.set(attribute::CLOUD_REGION, region.to_owned());
            recorded.region_known = true;
        }
    }

    /// Records the service's id of an attempt that got a response.
    pub fn responded(&mut self, aws_request_id: Option<&str>) {
        if let (Some(recorded), Some(id)) = (&mut self.0, aws_request_id) {
            // the last attempt's id is kept
            recorded.set(attribute::AWS_REQUEST_ID, id.to_owned());
        }
    }

    /// Records that an attempt after the first begins: why the previous one failed, and how long the pause was.
    pub fn retried(&mut self, attempt: u32, error_type: Option<&str>, waited: Duration) {
        let Some(recorded) = &mut self.0 else { return };
        recorded.span.add_event(
            names::RETRY,
            vec![
                KeyValue::new(attribute::ATTEMPT, i64::from(attempt)),
                KeyValue::new(
                    attribute::ERROR_TYPE,
                    error_type.unwrap_or(names::OTHER).to_owned(),
                ),
                KeyValue::new(attribute::BACKOFF, waited.as_secs_f64()),
            ],
        );
    }

    /// Records the response.
    pub fn succeeded(&mut self, facts: ResponseFacts) {
        let Some(recorded) = &mut self.0 else { return };
        if let Some(capacity) = facts.capacity {
            let text = StringValue::from(format!("{{\"CapacityUnits\":{capacity}}}"));
            let value = Value::Array(Array::String(vec![text]));
            recorded.set(attribute::DYNAMODB_CAPACITY, value);
        }
        if let Some(count) = facts.count {
            recorded.set(attribute::DYNAMODB_COUNT, i64::from(count));
        }
        if let Some(count) = facts.scanned_count {
            recorded.set(attribute::DYNAMODB_SCANNED_COUNT, i64::from(count));
        }
    }

    /// Records the failure of the request. Only the kind of the error is recorded, because texts may quote the request.
    pub fn failed(&mut self, error_type: &str) {
        let Some(recorded) = &mut self.0 else { return };
        recorded.set(attribute::ERROR_TYPE, error_type.to_owned());
        recorded.span.set_status(Status::error(""));
    }

    /// Records that the deadline of the request passed.
    pub fn timed_out(&mut self) {
        self.failed(names::TIMEOUT);
    }

    /// Records that the caller stopped waiting for the request.
    pub fn abandoned(&mut self) {
        self.failed(names::ABANDONED);
    }

    /// Ends the span now.
    pub fn end(&mut self) {
        self.0 = None;
    }
}

impl Recorded {
    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.set_attribute(KeyValue::new(name, value));
    }
}

pub(super) fn request_name(facts: &RequestFacts<'_>) -> String {
    format!("{}.{}", facts.operation.service(), facts.operation)
}

pub(super) fn request_attributes(facts: &RequestFacts<'_>, object_keys: bool) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(8);
    let name = facts.name.map(str::to_owned);
    match facts.operation.service() {
        Service::DynamoDb => {
            attributes.push(KeyValue::new(attribute::DB_SYSTEM, names::DYNAMODB));
            attributes.push(KeyValue::new(attribute::DB_OPERATION, facts.operation.name()));
            let tables = name.map(|table| vec![StringValue::from(table)]);
            attributes.extend(tables.map(|tables| {
                KeyValue::new(attribute::DYNAMODB_TABLES, Value::Array(Array::String(tables)))
            }));
        }
        Service::Kms => attributes.extend(name.map(|key| KeyValue::new(attribute::KMS_KEY, key))),
        Service::S3 => {
            attributes.extend(name.map(|bucket| KeyValue::new(attribute::S3_BUCKET, bucket)));
            let key = facts.key.filter(|_| object_keys);
            attributes.extend(key.map(|key| KeyValue::new(attribute::S3_KEY, key.to_owned())));
            let upload = facts.upload_id;
            attributes.extend(upload.map(|id| KeyValue::new(attribute::S3_UPLOAD_ID, id.to_owned())));
            let part = facts.part_number.map(i64::from);
            attributes.extend(part.map(|number| KeyValue::new(attribute::S3_PART_NUMBER, number)));
        }
    }
    attributes
}
