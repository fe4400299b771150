//! Sampling and a caller's trace: which calls have spans, and under which parent.

use tollgate_tests::collector::{Collector, attributes};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{get, key};
use tonic::{Code, Request};

use super::traces::{PARENT_ID, TRACE_ID, traced};
use super::{exporting_to, hex};

#[tokio::test]
async fn samplers_respect_the_callers_decision() {
    let collector = Collector::grpc().await;
    let off = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let gateway = Gateway::with(exporting_to(&collector, &off)).await;
    gateway.get(get("User", key("u1", "PROFILE"))).await;
    gateway.get(traced(get("User", key("u2", "PROFILE")), "00")).await;
    gateway.get(traced(get("User", key("u3", "PROFILE")), "01")).await;
    gateway.stop().await;
    let received = collector.received();
    assert_eq!(
        received.span_names(),
        ["DynamoDB.GetItem", "tollgate.v1.DataService/Get"]
    );
    assert_eq!(hex(&received.spans[0].trace_id), TRACE_ID);
}

#[tokio::test]
async fn a_malformed_parent_starts_a_new_trace_and_states_are_joined() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(exporting_to(&collector, &[])).await;
    let mut joined = traced(get("User", key("u1", "PROFILE")), "01");
    joined
        .metadata_mut()
        .append("tracestate", "more=1".parse().unwrap());
    gateway.get(joined).await;
    let short = format!("00-{}-{PARENT_ID}-01", &TRACE_ID[1..]);
    let good = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    for parents in [vec![&short], vec![&good, &good]] {
        let mut request = Request::new(get("User", key("u1", "PROFILE")));
        for parent in parents {
            request
                .metadata_mut()
                .append("traceparent", parent.parse().unwrap());
        }
        request
            .metadata_mut()
            .insert("tracestate", "vendor=value".parse().unwrap());
        gateway.get(request).await;
    }
    gateway.stop().await;
    let received = collector.received();
    let spans = received.named("tollgate.v1.DataService/Get");
    let states: Vec<_> = spans.iter().map(|span| span.trace_state.as_str()).collect();
    assert_eq!(states, ["vendor=value,more=1", "", ""]);
    assert_eq!(hex(&spans[0].trace_id), TRACE_ID);
    for span in &spans[1..] {
        assert!(span.parent_span_id.is_empty(), "{span:?}");
        assert!(!hex(&span.trace_id).contains(&TRACE_ID[1..]), "{span:?}");
    }
}

#[tokio::test]
async fn refused_calls_have_a_span() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(exporting_to(&collector, &[])).await;
    let mut bad = Request::new(get("User", key("u1", "PROFILE")));
    bad.metadata_mut()
        .insert("tollgate-session", "a b".parse().unwrap());
    assert_eq!(gateway.get(bad).await.status().code(), Code::InvalidArgument);
    let unknown = gateway.get(get("Customer", key("u1", "PROFILE"))).await;
    assert_eq!(unknown.status().code(), Code::NotFound);
    gateway.stop().await;
    let received = collector.received();
    let codes: Vec<_> = received
        .named("tollgate.v1.DataService/Get")
        .iter()
        .map(|span| attributes(&span.attributes)["rpc.response.status_code"].clone())
        .collect();
    assert_eq!(codes, ["INVALID_ARGUMENT", "NOT_FOUND"]);
    let exported = format!("{:?}{:?}", received.spans, received.metrics);
    assert!(
        !exported.contains("Customer"),
        "the name of an unknown model is not exported"
    );
}
