//! The audit log as log records: what a collector receives, and what happens to calls while it is away.

use std::io::Cursor;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tollgate::app::App;
use tollgate::audit::{AuditKey, Head, Verifier};
use tollgate_proto::Reason;
use tollgate_tests::collector::{Behavior, Collector, Received, attributes};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::polling;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get, key};
use tonic::{Code, Status};

use super::{exporting_to, logged};

/// The base64 of 32 bytes 7.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const AUDITED: [(&str, &str); 3] = [
    ("TOLLGATE_AUDIT__OTLP", "true"),
    ("TOLLGATE_AUDIT__KEY", KEY),
    ("TOLLGATE_AUDIT__CHAIN", "true"),
];

fn audited(collector: &Collector, more: &[(&'static str, &str)]) -> Setup {
    exporting_to(collector, &[&AUDITED, more].concat())
}

async fn call(gateway: &Gateway) -> Result<(), Status> {
    let called = gateway.get(get("User", key("u1", "PROFILE"))).await.outcome;
    match called {
        Err(status) if status.code() == Code::NotFound => Ok(()),
        called => called.map(drop),
    }
}

async fn call_times(gateway: &Gateway, times: usize) {
    for _ in 0..times {
        call(gateway).await.expect("it is admitted");
    }
}

fn body(record: &LogRecord) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match record.body.clone().and_then(|body| body.value) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn bodies(received: &Received) -> Vec<String> {
    received.audit.iter().map(body).collect()
}

fn verify(lines: &[String]) -> u64 {
    let audit_key = AuditKey::new(&[7; 32]);
    let mut verifier = Verifier::new(&audit_key, Head::START, None);
    let text = format!("{}\n", lines.join("\n"));
    let read = verifier.read(Cursor::new(text)).expect("memory is read");
    read.expect("no finding");
    verifier.finish().expect("no finding").lines
}

#[tokio::test]
async fn audit_lines_are_exported_as_chained_log_records_over_grpc_and_http() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = match protocol {
            "grpc" => Collector::grpc().await,
            _ => Collector::http().await,
        };
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "authorization=Bearer%20t"),
        ];
        let gateway = Gateway::with(audited(&collector, &variables)).await;
        call_times(&gateway, 3).await;
        gateway.stop().await;
        let received = collector.received();
        let lines = bodies(&received);
        assert_eq!(verify(&lines), 3, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[2]).expect("JSON");
        assert_eq!(
            (&line["rpc"], &line["code"]),
            (&"Get".into(), &"NOT_FOUND".into())
        );
        let third = &received.audit[2];
        assert_eq!(attributes(&third.attributes)["tollgate.audit.seq"], 3);
        assert_eq!(third.severity_text, "INFO");
        assert!(third.time_unix_nano > 0);
        assert!(received.headers.iter().any(|headers| {
            headers
                .get("authorization")
                .is_some_and(|value| value == "Bearer t")
        }));
    }
}

#[tokio::test]
async fn a_file_and_the_collector_get_the_same_lines() {
    let collector = Collector::grpc().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit.jsonl");
    let path = file.display().to_string();
    let gateway = Gateway::with(audited(&collector, &[("TOLLGATE_AUDIT__FILE", &path)])).await;
    call_times(&gateway, 4).await;
    gateway.stop().await;
    let text = std::fs::read_to_string(&file).expect("it is there");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(bodies(&collector.received()), lines);
    assert_eq!(lines.len(), 4);
}

#[tokio::test]
async fn waiting_audit_lines_are_flushed_at_shutdown() {
    let collector = Collector::grpc().await;
    let never = [("OTEL_BLRP_SCHEDULE_DELAY", "3600000")];
    let gateway = Gateway::with(audited(&collector, &never)).await;
    call_times(&gateway, 5).await;
    assert!(collector.received().audit.is_empty());
    gateway.stop().await;
    assert_eq!(verify(&bodies(&collector.received())), 5);
}

#[tokio::test]
async fn calls_are_refused_while_too_many_lines_wait_and_no_line_is_lost() {
    let collector = Collector::grpc().await;
    collector.set_behavior(Behavior::Refuses);
    let bounds = [
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "3"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ];
    let (gateway, log, _guard) = logged(audited(&collector, &bounds)).await;
    call_times(&gateway, 3).await;
    for _ in 0..10 {
        let status = call(&gateway).await.expect_err("there is no room");
        let refusal = Refusal::of_status(&status);
        assert_eq!(refusal.code, Code::Unavailable);
        assert_eq!(refusal.reason, Reason::AuditUnavailable.as_str());
    }
    collector.set_behavior(Behavior::Accepts);
    polling::until("calls are admitted", async || {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        call(&gateway).await.is_ok()
    })
    .await;
    gateway.stop().await;
    assert_eq!(
        verify(&bodies(&collector.received())),
        4,
        "the lines of all calls that began"
    );
    assert_eq!(
        log.with("too many lines wait for the collector").len(),
        1,
        "{}",
        log.text()
    );
    assert_eq!(
        log.with("audit: lines cannot be exported").len(),
        1,
        "{}",
        log.text()
    );
    assert!(log.with("lines are lost").is_empty(), "{}", log.text());
}

#[tokio::test]
async fn with_continue_calls_go_on_and_lost_lines_are_counted_and_logged() {
    let collector = Collector::grpc().await;
    collector.set_behavior(Behavior::Refuses);
    let settings = [
        ("TOLLGATE_AUDIT__ON_FAILURE", "continue"),
        ("TOLLGATE_LIMITS__IN_FLIGHT", "4"),
        ("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "2"),
    ];
    let (gateway, log, _guard) = logged(audited(&collector, &settings)).await;
    let side_port = gateway.side_port().expect("a side port");
    // 2 that wait, and space for the lines of 4 calls in flight and of 64 more
    call_times(&gateway, 75).await;
    super::scrape::until(side_port, "lost lines", |text| {
        super::scrape::value(text, "tollgate_telemetry_dropped_total{signal=\"audit\"}") == Some(5.0)
    })
    .await;
    assert_eq!(log.with("audit: lines are lost").len(), 1, "{}", log.text());
}

#[tokio::test]
async fn an_endpoint_is_required() {
    let never = Collector::grpc().await;
    let cases = [
        Setup {
            settings: AUDITED.map(|(name, value)| (name, value.to_owned())).to_vec(),
            ..Setup::default()
        },
        audited(&never, &[("OTEL_LOGS_EXPORTER", "none")]),
        audited(&never, &[("OTEL_SDK_DISABLED", "true")]),
    ];
    for setup in cases {
        let error = App::build(&setup.config())
            .await
            .err()
            .expect("it does not start");
        assert!(error.is_invalid_setting());
        let text = error.to_string();
        assert!(
            text.starts_with("audit.otlp: requires an OTLP endpoint for log records"),
            "{text}"
        );
    }
}
