//! Export to collectors that are reached over HTTP, missing, hanging or restarted; and the last batch at shutdown.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tollgate_tests::collector::{Behavior, Collector, Received};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{get, key, save, user};

use super::{exporting_to, exporting_to_endpoint, logged};

const HOUR: &str = "3600000";
/// Far above any call, far below any timeout of an export.
const SOON: Duration = Duration::from_secs(2);
const COMPLAINT: &str = "export is failing";
const RELIEF: &str = "export has recovered";
const TRACES_ALONE: [(&str, &str); 2] = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];

#[tokio::test]
async fn all_three_signals_are_exported_over_http() {
    let collector = Collector::http().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
    ];
    let (gateway, _lines, _guard) = logged(exporting_to(&collector, &variables)).await;
    gateway.save(save("User", user("u1", "078-05-1120"))).await.ok();
    gateway.stop().await;
    let received = collector.received();
    assert_eq!(received.spans.len(), 3, "{:?}", received.span_names());
    assert_eq!(received.sum("tollgate.kms.calls", &[]), 1.0);
    assert!(!received.logs.is_empty());
    assert!(
        received
            .headers
            .iter()
            .all(|headers| headers["authorization"] == "Bearer t")
    );
}

#[tokio::test]
async fn the_last_batch_is_flushed_at_the_end() {
    let collector = Collector::grpc().await;
    let never = [
        ("OTEL_BSP_SCHEDULE_DELAY", HOUR),
        ("OTEL_BLRP_SCHEDULE_DELAY", HOUR),
        ("OTEL_METRIC_EXPORT_INTERVAL", HOUR),
    ];
    let (gateway, lines, _guard) = logged(exporting_to(&collector, &never)).await;
    gateway.save(save("User", user("u1", "078-05-1120"))).await.ok();
    let before = collector.received();
    assert!(before.spans.is_empty() && before.logs.is_empty() && before.metrics.is_empty());
    gateway.stop().await;
    let received = collector.received();
    assert_eq!(received.spans.len(), 3);
    assert_eq!(received.sum("tollgate.kms.calls", &[]), 1.0);
    // exporters group records by target, in no order
    let exported = format!("{:?}", received.logs);
    assert!(exported.contains("stopped"), "{exported} of {}", lines.text());
}

#[tokio::test]
async fn a_hanging_collector_delays_no_call_and_shutdown_by_five_seconds() {
    let collector = Collector::grpc().await;
    collector.set_behavior(Behavior::Hangs);
    let gateway = Gateway::with(exporting_to(&collector, &[])).await;
    let begun = Instant::now();
    for index in 0..50 {
        gateway
            .get(get("User", key(&format!("u{index}"), "PROFILE")))
            .await;
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let stopping = Instant::now();
    gateway.stop().await;
    let took = stopping.elapsed();
    assert!(took < Duration::from_secs(7), "{took:?}");
}

#[tokio::test]
async fn failed_exports_are_logged_once_and_counted() {
    let collector = Collector::grpc().await;
    collector.set_behavior(Behavior::Refuses);
    let bounds = [
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0"),
    ];
    let (gateway, lines, _guard) = logged(exporting_to(&collector, &bounds)).await;
    let side_port = gateway.side_port().unwrap();
    let get_some = async |from: usize| {
        for index in from..from + 20 {
            let response = gateway
                .get(get("User", key(&format!("u{index}"), "PROFILE")))
                .await;
            assert!(response.outcome.is_ok() || response.status().code() == tonic::Code::NotFound);
        }
    };
    get_some(0).await;
    super::scrape::until(side_port, "dropped spans", |text| {
        super::scrape::value(text, "tollgate_telemetry_dropped_total{signal=\"traces\"}") == Some(40.0)
    })
    .await;
    let complaints = || lines.with(COMPLAINT).len();
    assert_eq!(complaints(), 1, "for all signals: {}", lines.text());
    collector.set_behavior(Behavior::Accepts);
    get_some(100).await;
    let received = collector
        .until("spans after all", |received| received.spans.len() >= 40)
        .await;
    assert_eq!(received.spans.len(), 40);
    gateway.stop().await;
    assert_eq!(
        (complaints(), lines.with(RELIEF).len()),
        (1, 1),
        "{}",
        lines.text()
    );
    assert!(
        !lines.text().contains("\"opentelemetry"),
        "the libraries' own events are not in the log"
    );
    let exported = format!("{:?}", collector.received().logs);
    assert!(
        !exported.contains("the collector") && !exported.contains(COMPLAINT) && !exported.contains(RELIEF),
        "what is said of the export is not exported"
    );
}

#[tokio::test]
async fn a_flapping_collector_is_logged_once() {
    let collector = Collector::grpc().await;
    let (gateway, lines, _guard) = logged(exporting_to(&collector, &TRACES_ALONE)).await;
    for _ in 0..5 {
        collector.set_behavior(Behavior::Refuses);
        let refused = collector.refused();
        gateway.get(get("User", key("u", "PROFILE"))).await;
        until("a refusal", || collector.refused() > refused).await;
        collector.set_behavior(Behavior::Accepts);
        let taken = collector.received().spans.len();
        gateway.get(get("User", key("u", "PROFILE"))).await;
        let is_more = |received: &Received| received.spans.len() > taken;
        collector.until("spans", is_more).await;
    }
    gateway.stop().await;
    let counts = (lines.with(COMPLAINT).len(), lines.with(RELIEF).len());
    assert_eq!(counts, (1, 1), "{}", lines.text());
}

#[tokio::test]
async fn a_collector_that_restarts_loses_nothing() {
    for (collector, protocol) in [
        (Collector::grpc().await, "grpc"),
        (Collector::http().await, "http/protobuf"),
    ] {
        let mut variables = TRACES_ALONE.to_vec();
        variables.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol));
        collector.set_behavior(Behavior::Unavailable);
        let (gateway, lines, _guard) = logged(exporting_to(&collector, &variables)).await;
        gateway.save(save("User", user("u1", "078-05-1120"))).await.ok();
        // more often than the exporter tries by itself, which gives up within a second
        until("tries", || collector.refused() >= 6).await;
        collector.set_behavior(Behavior::Accepts);
        gateway.stop().await;
        assert_eq!(collector.received().spans.len(), 3, "{protocol}");
        assert!(lines.with(COMPLAINT).is_empty(), "{}", lines.text());
    }
}

#[tokio::test]
async fn rejected_records_are_counted_and_logged() {
    let collector = Collector::http().await;
    collector.set_behavior(Behavior::RejectsOne);
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0"),
    ];
    let (gateway, lines, _guard) = logged(exporting_to(&collector, &variables)).await;
    let side_port = gateway.side_port().unwrap();
    for signal in ["traces", "logs"] {
        for rejected in 1..3 {
            gateway.get(get("User", key("u", "PROFILE"))).await;
            let series = format!("tollgate_telemetry_dropped_total{{signal=\"{signal}\"}}");
            super::scrape::until(side_port, "rejected records", |text| {
                super::scrape::value(text, &series) >= Some(f64::from(rejected))
            })
            .await;
        }
    }
    gateway.stop().await;
    let rejections = lines.with("the collector rejected part of a batch");
    assert_eq!(rejections.len(), 1, "{}", lines.text());
    assert_eq!(rejections[0]["rejected"], 1);
    assert!(lines.with("too slow").is_empty(), "{}", lines.text());
}

#[tokio::test]
async fn http_failures_are_logged_without_secrets() {
    let hanging = Collector::http().await;
    hanging.set_behavior(Behavior::Hangs);
    for (address, cause) in [
        (closed().await, "Connection refused"),
        (hanging.endpoint().replace("http://", ""), "timed out after 150ms"),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "150"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2"),
            ("OTEL_METRIC_EXPORT_INTERVAL", HOUR),
        ];
        let setup = exporting_to_endpoint(format!("http://hunter2:hunter2@{address}"), &variables);
        let (gateway, lines, _guard) = logged(setup).await;
        gateway.get(get("User", key("u", "PROFILE"))).await;
        gateway.stop().await;
        let complaints = lines.with(COMPLAINT);
        assert_eq!(complaints.len(), 1, "{}", lines.text());
        let error = complaints[0]["error"].as_str().unwrap();
        assert!(error.contains(cause), "{error}");
        assert_eq!(complaints[0]["collector"], address);
        assert!(!lines.text().contains("hunter2"), "{}", lines.text());
    }
}

#[tokio::test]
async fn a_missing_collector_delays_no_call() {
    let endpoint = format!("http://{}", closed().await);
    let setup = exporting_to_endpoint(endpoint, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "500")]);
    let (gateway, lines, _guard) = logged(setup).await;
    let begun = Instant::now();
    for index in 0..50 {
        gateway
            .get(get("User", key(&format!("u{index}"), "PROFILE")))
            .await;
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let stopping = Instant::now();
    gateway.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(7));
    assert_eq!(lines.with(COMPLAINT).len(), 1, "{}", lines.text());
}

/// An address where nobody listens.
async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
