//! Collectors as they are: over HTTP, gone, hanging, back again; and the last batch at the end.

use std::time::{Duration, Instant};

use tollgate_tests::collector::{Collector, Manner};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{get, key, save, user};

use super::{logged, told};

const HOUR: &str = "3600000";
/// Far above any call, far below any timeout of an export.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn http_carries_all_three_signals() {
    let collector = Collector::http().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
    ];
    let (gateway, _lines, _guard) = logged(told(&collector, &variables)).await;
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
    let (gateway, lines, _guard) = logged(told(&collector, &never)).await;
    gateway.save(save("User", user("u1", "078-05-1120"))).await.ok();
    let before = collector.received();
    assert!(before.spans.is_empty() && before.logs.is_empty() && before.metrics.is_empty());
    gateway.stop().await;
    let received = collector.received();
    assert_eq!(received.spans.len(), 3);
    assert_eq!(received.sum("tollgate.kms.calls", &[]), 1.0);
    // exporters group records by target, in no order
    let told = format!("{:?}", received.logs);
    assert!(told.contains("stopped"), "{told} of {}", lines.text());
}

#[tokio::test]
async fn a_collector_that_hangs_delays_nothing_and_the_end_by_five_seconds() {
    let collector = Collector::grpc().await;
    collector.behave(Manner::Hangs);
    let gateway = Gateway::with(told(&collector, &[])).await;
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
async fn what_a_collector_does_not_take_is_told_once_and_counted() {
    let collector = Collector::grpc().await;
    collector.behave(Manner::Refuses);
    let bounds = [
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0"),
    ];
    let (gateway, lines, _guard) = logged(told(&collector, &bounds)).await;
    let side_port = gateway.side_port().unwrap();
    let get_some = async |from: usize| {
        for index in from..from + 20 {
            let answer = gateway
                .get(get("User", key(&format!("u{index}"), "PROFILE")))
                .await;
            assert!(answer.outcome.is_ok() || answer.status().code() == tonic::Code::NotFound);
        }
    };
    get_some(0).await;
    super::scrape::until(side_port, "dropped spans", |text| {
        super::scrape::value(text, "tollgate_telemetry_dropped_total{signal=\"traces\"}") == Some(40.0)
    })
    .await;
    let complaints = |signal: &str| {
        let lines = lines.with("the collector does not take what is sent");
        lines.iter().filter(|line| line["signal"] == signal).count()
    };
    assert_eq!(
        (complaints("traces"), complaints("logs")),
        (1, 1),
        "{}",
        lines.text()
    );
    collector.behave(Manner::Takes);
    get_some(100).await;
    let received = collector
        .until("spans after all", |received| received.spans.len() >= 40)
        .await;
    assert_eq!(received.spans.len(), 40);
    gateway.stop().await;
    assert_eq!(complaints("traces"), 1);
    assert_eq!(
        lines
            .with("the collector takes what is sent again")
            .iter()
            .filter(|line| line["signal"] == "traces")
            .count(),
        1
    );
    assert!(
        !lines.text().contains("\"opentelemetry"),
        "the libraries' own events are not in the log"
    );
    let told = format!("{:?}", collector.received().logs);
    assert!(
        !told.contains("the collector"),
        "what is said of the export is not exported"
    );
}

#[tokio::test]
async fn a_collector_that_is_gone_delays_nothing() {
    let collector = Collector::grpc().await;
    // nobody listens at this port
    let gone = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let mut setup = told(&collector, &[]);
    setup.settings.retain(|(name, _)| *name != gone[0].0);
    setup.settings.push((gone[0].0, gone[0].1.to_owned()));
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
    let complaints = lines.with("the collector does not take what is sent");
    let mut signals: Vec<_> = complaints.iter().map(|line| line["signal"].to_string()).collect();
    let told = signals.len();
    signals.sort();
    signals.dedup();
    assert_eq!(told, signals.len(), "once per signal: {}", lines.text());
}
