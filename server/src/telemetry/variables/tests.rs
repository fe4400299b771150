//! Reading OpenTelemetry's variables.

use std::time::Duration;

use opentelemetry::Value;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;

use super::super::names::resource;
use super::metrics::DEFAULT_INTERVAL;
use super::queue::DEFAULT_BOUNDS;
use super::{Protocol, Variables};
use crate::config::{Config, Flags};

fn read(variables: &[(&str, &str)]) -> Variables {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config::load(&Flags::default(), variables).unwrap();
    Variables::read(&config.telemetry.variables)
}

#[test]
fn exports_nothing_if_no_endpoint_is_set() {
    let read = read(&[("OTEL_SERVICE_NAME", "other")]);
    assert!(read.traces.is_none() && read.metrics.is_none() && read.logs.is_none());
    assert!(read.faults.is_empty());
    let name = read.resource.get(&resource::SERVICE_NAME.into());
    assert_eq!(name, Some(Value::from("other")));
}

#[test]
fn the_common_endpoint_applies_to_all_signals() {
    let grpc = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")]);
    let traces = grpc.traces.unwrap();
    assert_eq!(
        (traces.protocol, traces.endpoint.as_str(), traces.timeout),
        (Protocol::Grpc, "http://collector:4317", Duration::from_secs(10))
    );
    let http = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318/")]);
    assert_eq!(http.traces.unwrap().endpoint, "https://collector:4318/v1/traces");
    assert_eq!(
        http.metrics.unwrap().endpoint,
        "https://collector:4318/v1/metrics"
    );
    assert_eq!(http.logs.unwrap().endpoint, "https://collector:4318/v1/logs");
}

#[test]
fn the_variables_of_a_signal_take_precedence() {
    let read = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:9/as/it/is"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, tenant=t"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ]);
    assert_eq!(read.traces.as_ref().unwrap().endpoint, "http://traces:9/as/it/is");
    assert!(read.metrics.is_none());
    let logs = read.logs.unwrap();
    assert_eq!(
        (logs.protocol, logs.timeout, logs.gzip),
        (Protocol::Grpc, Duration::from_millis(500), true)
    );
    assert!(!read.traces.as_ref().unwrap().gzip);
    let headers = logs
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(
        headers.collect::<Vec<_>>(),
        [("authorization", "Bearer x"), ("tenant", "t")]
    );
    assert!(!format!("{:?}", read.traces).contains("Bearer"));
}

#[test]
fn exports_nothing_if_disabled() {
    let read = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:4317"),
        ("OTEL_SDK_DISABLED", "True"),
    ]);
    assert!(read.traces.is_none() && read.metrics.is_none() && read.logs.is_none());
}

#[test]
fn reports_invalid_variables_without_their_values_and_ignores_them() {
    let read = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://x:1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1s"),
        ("OTEL_LOGS_EXPORTER", "otlp,console"),
        ("OTEL_PROPAGATORS", "b3"),
    ]);
    assert!(read.traces.is_none() && read.metrics.is_none());
    assert_eq!(read.logs.unwrap().protocol, Protocol::Http);
    assert!(matches!(read.sampler, Sampler::ParentBased(_)));
    assert_eq!(read.span_bounds, DEFAULT_BOUNDS);
    assert_eq!(read.interval, DEFAULT_INTERVAL);
    assert!(!read.propagators.trace_context);
    assert_eq!(read.faults.len(), 9, "one per variable: {:?}", read.faults);
    assert!(!read.faults.concat().contains("hunter2"));
}

#[test]
fn values_are_case_insensitive() {
    let read = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "Gzip"),
        ("OTEL_METRICS_EXPORTER", "None"),
        ("OTEL_TRACES_SAMPLER", "Always_Off"),
        ("OTEL_PROPAGATORS", "TraceContext"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
    ]);
    assert!(read.faults.is_empty(), "{:?}", read.faults);
    let traces = read.traces.unwrap();
    assert_eq!((traces.protocol, traces.gzip), (Protocol::Grpc, true));
    assert!(read.metrics.is_none() && matches!(read.sampler, Sampler::AlwaysOff));
    assert!(read.propagators.trace_context && !read.propagators.baggage);
    assert_eq!(read.temporality, Temporality::Delta);
}

#[test]
fn the_resource_has_the_sdk_and_the_configured_attributes() {
    let read = read(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.version=9")]);
    let attribute = |name: &'static str| read.resource.get(&name.into()).map(|value| value.to_string());
    assert_eq!(attribute("telemetry.sdk.name").as_deref(), Some("opentelemetry"));
    assert_eq!(attribute("telemetry.sdk.language").as_deref(), Some("rust"));
    assert!(attribute("telemetry.sdk.version").is_some_and(|version| version.starts_with("0.")));
    assert_eq!(attribute("service.version").as_deref(), Some("9"));
    assert_eq!(attribute("a").as_deref(), Some("b"));
}

#[test]
fn the_collector_name_has_no_credentials() {
    let read = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@x:4317/path")]);
    assert_eq!(read.logs.unwrap().collector(), "x:4317");
}

#[test]
fn reads_the_samplers_of_the_specification() {
    let sampler =
        |name, ratio| read(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", ratio)]).sampler;
    assert!(matches!(sampler("always_off", ""), Sampler::AlwaysOff));
    assert!(matches!(sampler("traceidratio", "0.1"), Sampler::TraceIdRatioBased(ratio) if ratio == 0.1));
    assert!(matches!(sampler("traceidratio", "2"), Sampler::TraceIdRatioBased(ratio) if ratio == 1.0));
    assert!(matches!(
        sampler("parentbased_traceidratio", "0.1"),
        Sampler::ParentBased(_)
    ));
}
