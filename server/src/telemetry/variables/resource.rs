//! The resource: what identifies this process.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use percent_encoding::percent_decode_str;

use super::super::names::{SERVICE, resource};
use super::reader::Reader;

/// The service's attributes, and those of `OTEL_RESOURCE_ATTRIBUTES`.
pub(super) fn resource(reader: &mut Reader<'_>) -> Resource {
    let name = "OTEL_RESOURCE_ATTRIBUTES";
    let mut attributes = vec![
        KeyValue::new(resource::SERVICE_NAME, SERVICE),
        KeyValue::new(resource::SERVICE_VERSION, crate::build::VERSION),
        KeyValue::new(resource::SERVICE_INSTANCE_ID, ulid::Ulid::generate().to_string()),
    ];
    let text = reader.given.get(name).unwrap_or_default().to_owned();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let decoded = pair.split_once('=').and_then(|(key, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            Some(KeyValue::new(
                key.trim().to_owned(),
                Value::from(value.into_owned()),
            ))
        });
        match decoded {
            Some(attribute) => attributes.push(attribute),
            None => reader.fault(
                name,
                "expected name=value pairs, separated by commas and percent-encoded",
            ),
        }
    }
    if let Some(service) = reader.given.get("OTEL_SERVICE_NAME") {
        attributes.push(KeyValue::new(resource::SERVICE_NAME, service.to_owned()));
    }
    // of several attributes with the same name, the last one counts
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}
