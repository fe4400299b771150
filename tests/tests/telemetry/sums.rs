//! Sums: the metrics of a collector equal the trailers of all calls and the totals of the server.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde_json::json;
use tollgate_proto::v1;
use tollgate_tests::collector::{Collector, Received, attributes, histogram_points, number_points};
use tollgate_tests::gateway::{Bill, Gateway, Setup, in_session};
use tollgate_tests::stores::RawStores;
use tollgate_tests::values::{
    delete, document, expression, get, get_content, key, query, s, save, scan, secure_user, user,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

use super::exporting_to;

const CALLS: [(&str, &str); 2] = [("rpc.system.name", "grpc"), ("tollgate.model", "User")];

/// Some of everything: reads, writes, pages, objects, refusals, an unknown model.
async fn some_of_everything(gateway: &Gateway) -> Vec<Bill> {
    let mut bills = Vec::new();
    for index in 0..12 {
        let partition = format!("p{}", index % 4);
        bills.push(
            gateway
                .save(save("User", user(&partition, "078-05-1120")))
                .await
                .bill,
        );
        let sort = format!("s{index}");
        bills.push(
            gateway
                .save(save("SecureUser", secure_user(&partition, &sort)))
                .await
                .bill,
        );
        bills.push(gateway.get(get("User", key(&partition, "PROFILE"))).await.bill);
        let mut refused = save("User", user(&partition, "078-05-1120"));
        refused.condition = expression("attribute_not_exists(pk)", []);
        bills.push(gateway.save(refused).await.bill);
    }
    bills.push(gateway.query(query("SecureUser", "p1")).await.bill);
    bills.push(gateway.scan(scan("User")).await.bill);
    bills.push(
        gateway
            .save(save("Document", document("d", vec![1; 6 * 1024 * 1024])))
            .await
            .bill,
    );
    bills.push(gateway.get(get_content("d")).await.bill);
    bills.push(gateway.delete(delete("Document", key("d", "V1"))).await.bill);
    bills.push(gateway.get(get("Customer", key("x", "y"))).await.bill);
    bills
}

/// The sum over all bills.
fn sum(bills: &[Bill], trailer: &str) -> f64 {
    bills.iter().map(|bill| bill.decimal(trailer)).sum()
}

fn assert_same(what: &str, one: f64, other: f64) {
    assert!((one - other).abs() < 1e-9, "{what}: {one} and {other}");
}

fn assert_sums(received: &Received, bills: &[Bill]) {
    let whole = [
        ("tollgate.kms.calls", "tollgate-kms-calls"),
        ("tollgate.kms.cache.hits", "tollgate-kms-cache-hits"),
        ("tollgate.s3.calls", "tollgate-s3-calls"),
        ("tollgate.retries", "tollgate-retries"),
    ];
    for (metric, trailer) in whole {
        assert_same(metric, received.sum(metric, &[]), sum(bills, trailer));
    }
    let labelled = [
        (
            "tollgate.dynamodb.consumed_capacity",
            ("tollgate.capacity", "read"),
            "tollgate-rcu",
        ),
        (
            "tollgate.dynamodb.consumed_capacity",
            ("tollgate.capacity", "write"),
            "tollgate-wcu",
        ),
        (
            "tollgate.s3.io",
            ("direction", "upload"),
            "tollgate-s3-bytes-uploaded",
        ),
        (
            "tollgate.s3.io",
            ("direction", "download"),
            "tollgate-s3-bytes-downloaded",
        ),
    ];
    for (metric, label, trailer) in labelled {
        assert_same(metric, received.sum(metric, &[label]), sum(bills, trailer));
    }
    assert_same(
        "tollgate.cost",
        received.sum("tollgate.cost", &[]),
        sum(bills, "tollgate-cost-usd"),
    );
    let timed = [
        ("db.client.operation.duration", "tollgate-dynamodb"),
        ("tollgate.kms.duration", "tollgate-kms"),
        ("tollgate.s3.duration", "tollgate-s3"),
    ];
    for (metric, trailer) in timed {
        let (count, seconds) = received.histogram(metric, &[]);
        assert_same(metric, count as f64, sum(bills, &format!("{trailer}-calls")));
        assert_same(
            metric,
            seconds,
            sum(bills, &format!("{trailer}-duration-ms")) / 1e3,
        );
    }
    let (calls, seconds) = received.histogram("rpc.server.call.duration", &[]);
    assert_eq!(calls, bills.len() as u64);
    assert_same("wall time", seconds, sum(bills, "tollgate-duration-ms") / 1e3);
}

#[tokio::test]
async fn the_sums_of_the_metrics_are_the_sums_of_the_trailers() {
    let collector = Collector::grpc().await;
    let flaky = Wiretap::new({
        let asked = std::sync::atomic::AtomicU64::new(0);
        move |operation| {
            let turn = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let readable = matches!(operation, "GetItem" | "Decrypt" | "GenerateDataKey");
            if readable && turn.is_multiple_of(7) {
                Fate::Error500
            } else {
                Fate::Pass
            }
        }
    });
    let setup = Setup {
        wiretap: Some(flaky),
        ..exporting_to(&collector, &[])
    };
    let gateway = Gateway::with(setup).await;
    let bills = some_of_everything(&gateway).await;
    // a reset is for readers of totals; instruments only grow
    let reset = tollgate_proto::v1::ResetMetricsRequest::default();
    gateway.metrics().reset_metrics(reset).await.unwrap();
    gateway.stop().await;
    let received = collector.received();
    assert!(sum(&bills, "tollgate-retries") > 0.0 && sum(&bills, "tollgate-s3-calls") > 0.0);
    assert_sums(&received, &bills);
    let server_spans = received
        .spans
        .iter()
        .filter(|span| span.name.starts_with("tollgate.v1."));
    assert_eq!(server_spans.count(), bills.len());
    let (users, _) = received.histogram("rpc.server.call.duration", &CALLS);
    assert_eq!(users, 12 * 3 + 1);
}

/// Three documents of one partition: the content of the first is gone, the second claims more than a message holds.
async fn two_bad_of_three(gateway: &Gateway, stores: &RawStores) {
    for sort in ["V1", "V2", "V3"] {
        let mut written = document("d", vec![7; 100]);
        written.insert("sk".to_owned(), s(sort));
        gateway.save(save("Document", written)).await.ok();
    }
    let stored = stores.item("documents", "d", "V1").await.expect("it was saved");
    let pointer = stored["content"].as_m().expect("a pointer");
    let object = pointer["key"].as_s().expect("a key");
    stores.delete_object("my-bucket", object).await;
    let mut stored = stores.item("documents", "d", "V2").await.expect("it was saved");
    let mut pointer = stored["content"].as_m().expect("a pointer").clone();
    pointer.insert("size".to_owned(), AttributeValue::N("999999999".to_owned()));
    stored.insert("content".to_owned(), AttributeValue::M(pointer));
    stores.put("documents", stored).await;
}

#[tokio::test]
async fn failed_items_of_pages_are_counted() {
    let collector = Collector::grpc().await;
    let wiretap = Wiretap::counting();
    let setup = Setup {
        wiretap: Some(wiretap.clone()),
        ..exporting_to(&collector, &[])
    };
    let gateway = Gateway::with(setup).await;
    two_bad_of_three(&gateway, wiretap.stores()).await;
    let with_content = v1::QueryRequest {
        include_objects: vec!["content".to_owned()],
        ..query("Document", "d")
    };
    let pages = gateway.query(in_session(with_content, "job")).await.ok();
    let codes: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.results)
        .map(|result| result.error.as_ref().map(|error| Code::from(error.code)))
        .collect();
    assert_eq!(codes, [Some(Code::DataLoss), Some(Code::ResourceExhausted), None]);
    // whoever does not ask for the content gets all three
    gateway.query(query("Document", "d")).await.ok();
    let total = gateway.totals("job").await.total.unwrap_or_default();
    assert_eq!((total.failed_items_count, total.failed_call_count), (2, 0));
    gateway.stop().await;
    let received = collector.received();
    let failed = |status| received.sum("tollgate.items.failed", &[("status", status)]);
    assert_eq!((failed("DATA_LOSS"), failed("OTHER")), (1.0, 1.0));
    assert_eq!(received.sum("tollgate.items.failed", &[]), 2.0);
    let spans = received.named("tollgate.v1.DataService/Query");
    let counts: Vec<_> = spans
        .iter()
        .map(|span| attributes(&span.attributes))
        .map(|span| {
            assert_eq!(span["rpc.response.status_code"], "OK");
            let count = |name: &str| span[name].as_i64().unwrap();
            (
                count("tollgate.items.failed.data_loss"),
                count("tollgate.items.failed.other"),
            )
        })
        .collect();
    assert_eq!(counts, [(1, 1), (0, 0)]);
}

const HISTOGRAMS: [&str; 4] = [
    "rpc.server.call.duration",
    "db.client.operation.duration",
    "tollgate.kms.duration",
    "tollgate.s3.duration",
];

/// Counters and their units.
const COUNTERS: [(&str, &str); 14] = [
    ("tollgate.dynamodb.consumed_capacity", "{unit}"),
    ("tollgate.kms.calls", "{call}"),
    ("tollgate.kms.cache.hits", "{call}"),
    ("tollgate.items.failed", "{item}"),
    ("tollgate.s3.calls", "{call}"),
    ("tollgate.s3.io", "By"),
    ("tollgate.cost", "USD"),
    ("tollgate.gateway.time", "s"),
    ("tollgate.retries", "{attempt}"),
    ("tollgate.throttled", "{attempt}"),
    ("tollgate.telemetry.dropped", "{record}"),
    ("tollgate.log.dropped", "{line}"),
    ("tollgate.sweep.runs", "{sweep}"),
    ("tollgate.sweep.removed", "{object}"),
];

/// What the last sweep found.
const FOUND: [(&str, &str); 2] = [
    ("tollgate.sweep.found", "{object}"),
    ("tollgate.sweep.size", "By"),
];

const GAUGES: [&str; 5] = [
    "tollgate.calls.in_flight",
    "tollgate.calls.limit",
    "tollgate.calls.admitted",
    "tollgate.memory.reserved",
    "tollgate.memory.limit",
];

#[tokio::test]
async fn instruments_have_their_kind_unit_bounds_and_labels() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(exporting_to(&collector, &[])).await;
    some_of_everything(&gateway).await;
    gateway.stop().await;
    let received = collector.received();
    for name in HISTOGRAMS {
        assert_eq!(received.metric(name).unit, "s", "{name}");
        let bounds = &histogram_points(received.metric(name))[0].explicit_bounds;
        assert_eq!(
            (bounds.first(), bounds.last()),
            (Some(&0.0005), Some(&30.0)),
            "{name}"
        );
    }
    for (name, unit) in COUNTERS {
        let metric = received.metric(name);
        assert_eq!(metric.unit, unit, "{name}");
        assert!(
            matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic),
            "{name}"
        );
    }
    for name in GAUGES {
        let metric = received.metric(name);
        assert!(
            matches!(&metric.data, Some(Data::Sum(sum)) if !sum.is_monotonic),
            "{name}"
        );
    }
    for (name, unit) in FOUND {
        let metric = received.metric(name);
        assert_eq!(metric.unit, unit, "{name}");
        assert!(matches!(&metric.data, Some(Data::Gauge(_))), "{name}");
    }
    let build = received.metric("tollgate.build_info");
    let Some(Data::Gauge(gauge)) = &build.data else {
        panic!("{build:?}")
    };
    let labels = attributes(&gauge.data_points[0].attributes);
    assert_eq!(labels["version"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(labels["commit"], json!(tollgate::build::COMMIT));
    assert_eq!(labels.len(), 2);
    assert_eq!(
        received.metrics.len(),
        HISTOGRAMS.len() + COUNTERS.len() + GAUGES.len() + FOUND.len() + 1
    );
    assert_documented(&received);
    let models: BTreeSet<_> = number_points(received.metric("tollgate.kms.calls"))
        .iter()
        .map(|point| {
            attributes(&point.attributes)["tollgate.model"]
                .clone()
                .to_string()
        })
        .collect();
    let served = ["Document", "SecureUser", "User", "_"].map(|name| json!(name).to_string());
    assert_eq!(models, BTreeSet::from(served));
}

/// The documentation names everything that is exported.
fn assert_documented(received: &Received) {
    let read = |name| {
        let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("the page exists")
    };
    let page = read("telemetry.md") + &read("figures.md");
    let metrics = received.metrics.iter();
    let rows = metrics.map(|metric| (&metric.name, &metric.unit));
    for (name, unit) in rows {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not documented"));
        assert!(row.contains(&format!("| {unit} |")), "the unit of {name}");
    }
    let spans = received.spans.iter();
    for name in spans.flat_map(|span| attributes(&span.attributes).into_keys()) {
        assert!(page.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
