//! The attempts of a request in its span: retries as events, and what each attempt failed with.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use tollgate_tests::collector::{Collector, attributes};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{document, get_content, query, save, user};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::exporting_to;
use super::traces::{assert_figures, is_error};

/// The first two PutItems are throttled and fail, the third succeeds.
fn fails_twice() -> Wiretap {
    let asked = AtomicU64::new(0);
    Wiretap::new(move |operation| match operation {
        "PutItem" => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Fate::Throttle,
            1 => Fate::Error500,
            _ => Fate::Pass,
        },
        _ => Fate::Pass,
    })
}

#[tokio::test]
async fn retries_are_events_of_one_span() {
    let collector = Collector::grpc().await;
    let setup = Setup {
        wiretap: Some(fails_twice()),
        ..exporting_to(&collector, &[])
    };
    let gateway = Gateway::with(setup).await;
    let response = gateway.save(save("User", user("u1", "078-05-1120"))).await;
    assert_eq!(response.bill.count("tollgate-retries"), 2);
    let received = collector
        .until("the call", |received| {
            !received.named("tollgate.v1.DataService/Save").is_empty()
        })
        .await;
    let put = received.only("DynamoDB.PutItem");
    assert!(!is_error(put), "it succeeded in the end");
    let events: Vec<_> = put
        .events
        .iter()
        .map(|event| (event.name.as_str(), attributes(&event.attributes)))
        .collect();
    assert_eq!(events.len(), 2);
    for ((name, attributes_of_event), (attempt, error)) in events
        .iter()
        .zip([(2, "ThrottlingException"), (3, "InternalServerError")])
    {
        assert_eq!(*name, "retry");
        assert_eq!(
            (
                &attributes_of_event["tollgate.attempt"],
                &attributes_of_event["error.type"]
            ),
            (&json!(attempt), &json!(error))
        );
        assert!(attributes_of_event["tollgate.backoff"].as_f64().unwrap() >= 0.0);
    }
    assert_figures(received.only("tollgate.v1.DataService/Save"), &response.bill);
    gateway.stop().await;
}

/// The errors that the retries of a span record.
fn errors_of_retries(span: &Span) -> Vec<String> {
    let retries = span.events.iter().filter(|event| event.name == "retry");
    let errors = retries.map(|event| attributes(&event.attributes)["error.type"].clone());
    errors
        .map(|error| error.as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn the_error_of_an_attempt_is_the_code_else_the_status_else_the_connection() {
    const BAD_GATEWAY: Fate = Fate::Respond(502, "<html>Bad Gateway</html>");
    let asked = AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "PutObject" => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Fate::Throttle,
            1 => BAD_GATEWAY,
            _ => Fate::Pass,
        },
        "GetObject" => BAD_GATEWAY,
        "Query" => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let collector = Collector::grpc().await;
    let setup = Setup {
        wiretap: Some(wiretap),
        ..exporting_to(&collector, &[])
    };
    let gateway = Gateway::with(setup).await;
    gateway
        .save(save("Document", document("acme", "text")))
        .await
        .ok();
    gateway.get(get_content("acme")).await.status();
    gateway.query(query("Document", "acme")).await.status();
    gateway.stop().await;
    let received = collector.received();
    let put = received.only("S3.PutObject");
    assert_eq!(errors_of_retries(put), ["SlowDown", "502"]);
    for (name, error) in [("S3.GetObject", "502"), ("DynamoDB.Query", "connection")] {
        let span = received.only(name);
        assert_eq!(errors_of_retries(span), [error; 2], "{name}");
        assert_eq!(attributes(&span.attributes)["error.type"], error, "{name}");
    }
}
