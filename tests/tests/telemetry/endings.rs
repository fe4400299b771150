//! Calls that end without a response: the caller disconnected, or the server was shut down. They are reported like all
//! others.

use serde_json::json;
use tollgate_tests::collector::{Collector, Received, attributes};
use tollgate_tests::gateway::Setup;
use tollgate_tests::polling::until;
use tollgate_tests::raw::HalfSent;
use tollgate_tests::values::{get, key};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::traces::is_error;
use super::{Lines, exporting_to, logged};

/// The only call of a method has this code and reason in its span, the log and the histogram.
fn assert_reported(received: &Received, lines: &Lines, method: &str, code: (&str, i32), reason: &str) {
    let name = format!("tollgate.v1.DataService/{method}");
    let span = attributes(&received.only(&name).attributes);
    assert_eq!(
        (&span["rpc.response.status_code"], &span["tollgate.reason"]),
        (&json!(code.0), &json!(reason))
    );
    let line = &lines.with(&format!("\"op\":\"{method}\""))[0];
    assert_eq!((&line["code"], &line["reason"]), (&json!(code.1), &json!(reason)));
    let records = received.logs.iter().map(|record| attributes(&record.attributes));
    let records = records.filter(|fields| fields.get("request_id") == Some(&line["request_id"]));
    assert_eq!(records.filter(|fields| fields.contains_key("op")).count(), 1);
    let labels = [
        ("rpc.method", name.as_str()),
        ("rpc.response.status_code", code.0),
    ];
    assert_eq!(received.histogram("rpc.server.call.duration", &labels).0, 1);
}

#[tokio::test]
async fn a_disconnected_caller_is_not_a_server_error() {
    for cancels in [true, false] {
        let collector = Collector::grpc().await;
        let (gateway, lines, _guard) = logged(exporting_to(&collector, &[])).await;
        let mut call = HalfSent::save(&gateway, "half").await;
        if cancels {
            call.cancel().await;
        } else {
            drop(call);
        }
        until("the call is closed", async || {
            !lines.with("\"op\":\"Save\"").is_empty()
        })
        .await;
        gateway.stop().await;
        let received = collector.received();
        assert_reported(&received, &lines, "Save", ("CANCELLED", 1), "CANCELLED");
        assert!(!is_error(received.only("tollgate.v1.DataService/Save")));
        assert!(lines.with("gRPC library").is_empty(), "{}", lines.text());
    }
}

#[tokio::test]
async fn calls_cut_off_by_the_end_of_the_grace_period_are_reported() {
    let collector = Collector::grpc().await;
    let wiretap = Wiretap::new(|operation| match operation {
        "GetItem" => Fate::Hang,
        _ => Fate::Pass,
    });
    let setup = Setup {
        wiretap: Some(wiretap.clone()),
        ..exporting_to(&collector, &[("TOLLGATE_SHUTDOWN_GRACE", "50ms")])
    };
    let (gateway, lines, _guard) = logged(setup).await;
    let mut data = gateway.data();
    let getting = tokio::spawn(async move { data.get(get("User", key("u1", "PROFILE"))).await });
    until("a call in flight", async || wiretap.count("GetItem") == 1).await;
    gateway.stop().await;
    let received = collector.received();
    assert_reported(&received, &lines, "Get", ("UNAVAILABLE", 14), "SHUTTING_DOWN");
    assert!(is_error(received.only("tollgate.v1.DataService/Get")));
    let in_order = [
        "the grace period ended while calls were in progress",
        "\"op\":\"Get\"",
        "\"stopped\"",
    ];
    let places = in_order.map(|part| lines.text().find(part).unwrap_or_else(|| panic!("no {part}")));
    assert!(places.is_sorted(), "{}", lines.text());
    getting.abort();
}
