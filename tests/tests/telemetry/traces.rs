//! One server span a call, one client span a request to AWS, with the names, parents and figures that are promised.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use tollgate_tests::collector::{Collector, attributes};
use tollgate_tests::gateway::{Bill, Gateway, Setup, in_session};
use tollgate_tests::values::{document, get, get_content, key, query, save, secure_user, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Request};

use super::told;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn is_error(span: &Span) -> bool {
    let status = span.status.as_ref().map(|status| status.code());
    status == Some(StatusCode::Error)
}

/// A message of a caller that is traced.
fn traced<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-{flags}");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().expect("ASCII"));
    request
        .metadata_mut()
        .insert("tracestate", "vendor=value".parse().expect("ASCII"));
    request
}

/// The span tells what the trailers tell.
fn assert_figures(span: &Span, bill: &Bill) {
    let told = attributes(&span.attributes);
    let counts = [
        ("tollgate.dynamodb.calls", "tollgate-dynamodb-calls"),
        ("tollgate.items", "tollgate-items"),
        ("tollgate.kms.calls", "tollgate-kms-calls"),
        ("tollgate.kms.cache.hits", "tollgate-kms-cache-hits"),
        ("tollgate.s3.calls", "tollgate-s3-calls"),
        ("tollgate.s3.io.upload", "tollgate-s3-bytes-uploaded"),
        ("tollgate.s3.io.download", "tollgate-s3-bytes-downloaded"),
        ("tollgate.retries", "tollgate-retries"),
    ];
    for (attribute, trailer) in counts {
        assert_eq!(told[attribute], json!(bill.count(trailer)), "{attribute}");
    }
    let decimals = [
        ("tollgate.dynamodb.consumed_capacity.read", "tollgate-rcu", 1.0),
        ("tollgate.dynamodb.consumed_capacity.write", "tollgate-wcu", 1.0),
        (
            "tollgate.dynamodb.duration",
            "tollgate-dynamodb-duration-ms",
            1e-3,
        ),
        ("tollgate.kms.duration", "tollgate-kms-duration-ms", 1e-3),
        ("tollgate.s3.duration", "tollgate-s3-duration-ms", 1e-3),
        ("tollgate.cost", "tollgate-cost-usd", 1.0),
    ];
    for (attribute, trailer, scale) in decimals {
        let (span, trailer) = (
            told[attribute].as_f64().expect("a number"),
            bill.decimal(trailer) * scale,
        );
        assert!(
            (span - trailer).abs() < 1e-12,
            "{attribute}: {span} and {trailer}"
        );
    }
    assert_eq!(told["tollgate.request_id"], bill.text("tollgate-request-id"));
}

#[tokio::test]
async fn a_save_is_one_trace_with_the_figures_of_its_trailers() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(told(&collector, &[])).await;
    let mut request = traced(save("User", user("u1", "078-05-1120")), "01");
    request
        .metadata_mut()
        .insert("tollgate-session", "job-7".parse().unwrap());
    let answer = gateway.save(request).await;
    let received = collector
        .until("three spans", |received| received.spans.len() >= 3)
        .await;

    let save = received.only("tollgate.v1.DataService/Save");
    assert_eq!(
        (hex(&save.trace_id), hex(&save.parent_span_id)),
        (TRACE_ID.to_owned(), PARENT_ID.to_owned())
    );
    assert_eq!(
        (save.kind(), save.trace_state.as_str()),
        (SpanKind::Server, "vendor=value")
    );
    let told = attributes(&save.attributes);
    let words = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "tollgate.v1.DataService/Save"),
        ("rpc.response.status_code", "OK"),
        ("tollgate.model", "User"),
        ("tollgate.session", "job-7"),
    ];
    for (name, value) in words {
        assert_eq!(told[name], value);
    }
    assert!(!is_error(save));
    assert_figures(save, &answer.bill);

    let put = received.only("DynamoDB.PutItem");
    let told = attributes(&put.attributes);
    assert_eq!(told["db.system.name"], "aws.dynamodb");
    assert_eq!(told["db.operation.name"], "PutItem");
    assert_eq!(told["aws.dynamodb.table_names"], json!(["users"]));
    assert_eq!(
        told["aws.dynamodb.consumed_capacity"],
        json!(["{\"CapacityUnits\":1}"])
    );
    assert_eq!(told["cloud.region"], "us-east-1");
    assert!(
        told["aws.request_id"].as_str().is_some_and(|id| !id.is_empty()),
        "{told:?}"
    );
    let key = received.only("KMS.GenerateDataKey");
    assert_eq!(
        attributes(&key.attributes)["tollgate.kms.key"],
        "alias/my-app-key"
    );
    for request in [put, key] {
        assert_eq!(request.kind(), SpanKind::Client);
        assert_eq!(
            (&request.trace_id, &request.parent_span_id),
            (&save.trace_id, &save.span_id)
        );
        assert!(request.start_time_unix_nano >= save.start_time_unix_nano);
        assert!(request.end_time_unix_nano <= save.end_time_unix_nano);
    }
    assert_eq!(
        received.spans.len(),
        3,
        "the SDK's own are not there: {:?}",
        received.span_names()
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_the_operator_calls_the_service_is_told() {
    let collector = Collector::grpc().await;
    let names = [
        ("OTEL_SERVICE_NAME", "checkout-gateway"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test,team=a%20b",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
    ];
    let gateway = Gateway::with(told(&collector, &names)).await;
    gateway.get(get("User", key("u", "PROFILE"))).await;
    let received = collector
        .until("a span", |received| !received.spans.is_empty())
        .await;
    let resource = attributes(&received.resources[0].attributes);
    assert_eq!(resource["service.name"], "checkout-gateway");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_eq!(resource["team"], "a b");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(received.headers[0]["authorization"], "Bearer t");
    gateway.stop().await;
}

#[tokio::test]
async fn parts_stand_side_by_side_and_object_keys_are_told_by_opt_in() {
    const BYTES: usize = 12 * 1024 * 1024;
    for opted_in in [false, true] {
        let collector = Collector::grpc().await;
        let opt = [(
            "TOLLGATE_TELEMETRY__OBJECT_KEYS",
            if opted_in { "true" } else { "false" },
        )];
        let gateway = Gateway::with(told(&collector, &opt)).await;
        let answer = gateway
            .save(save("Document", document("acme-tenant", vec![7; BYTES])))
            .await;
        let received = collector
            .until("the call", |received| {
                !received.named("tollgate.v1.DataService/Save").is_empty()
            })
            .await;
        let save = received.only("tollgate.v1.DataService/Save");
        assert_figures(save, &answer.bill);
        let children = received.children(save);
        assert_eq!(children.len(), 6, "{:?}", received.span_names());
        let begun = attributes(&received.only("S3.CreateMultipartUpload").attributes);
        assert_eq!(begun["aws.s3.bucket"], "my-bucket");
        assert!(!begun.contains_key("aws.s3.upload_id"), "S3 has not named it yet");
        let mut numbers = Vec::new();
        for part in received.named("S3.UploadPart") {
            let told = attributes(&part.attributes);
            numbers.push(told["aws.s3.part_number"].as_i64().unwrap());
            assert!(told["aws.s3.upload_id"].as_str().is_some_and(|id| !id.is_empty()));
            let key = told.get("aws.s3.key").and_then(|key| key.as_str());
            assert_eq!(key.is_some_and(|key| key.starts_with("docs/")), opted_in);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3]);
        received.only("S3.CompleteMultipartUpload");
        received.only("DynamoDB.PutItem");
        let says_tenant = format!("{:?}", received.spans).contains("acme-tenant");
        assert_eq!(says_tenant, opted_in, "only object keys hold tenants' names");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_query_has_its_decrypts_as_children() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(told(&collector, &[])).await;
    for sort in ["a", "b", "c"] {
        gateway
            .save(save("SecureUser", secure_user("p", sort)))
            .await
            .ok();
    }
    let answer = gateway.query(in_session(query("SecureUser", "p"), "s")).await;
    let received = collector
        .until("the query", |received| {
            !received.named("tollgate.v1.DataService/Query").is_empty()
        })
        .await;
    let span = received.only("tollgate.v1.DataService/Query");
    assert_figures(span, &answer.bill);
    let mut children: Vec<&str> = received
        .children(span)
        .iter()
        .map(|child| child.name.as_str())
        .collect();
    children.sort_unstable();
    assert_eq!(
        children,
        ["DynamoDB.Query", "KMS.Decrypt", "KMS.Decrypt", "KMS.Decrypt"]
    );
    let told = attributes(&received.only("DynamoDB.Query").attributes);
    assert_eq!(
        (&told["aws.dynamodb.count"], &told["aws.dynamodb.scanned_count"]),
        (&json!(3), &json!(3))
    );
    gateway.stop().await;
}

/// The first two PutItems are throttled and fail, the third is answered.
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
        ..told(&collector, &[])
    };
    let gateway = Gateway::with(setup).await;
    let answer = gateway.save(save("User", user("u1", "078-05-1120"))).await;
    assert_eq!(answer.bill.count("tollgate-retries"), 2);
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
    for ((name, told), (attempt, error)) in events
        .iter()
        .zip([(2, "ThrottlingException"), (3, "InternalServerError")])
    {
        assert_eq!(*name, "retry");
        assert_eq!(
            (&told["tollgate.attempt"], &told["error.type"]),
            (&json!(attempt), &json!(error))
        );
        assert!(told["tollgate.backoff"].as_f64().unwrap() >= 0.0);
    }
    assert_figures(received.only("tollgate.v1.DataService/Save"), &answer.bill);
    gateway.stop().await;
}

/// What the retries of a span tell of the attempts before them.
fn errors_of_retries(span: &Span) -> Vec<String> {
    let retries = span.events.iter().filter(|event| event.name == "retry");
    let errors = retries.map(|event| attributes(&event.attributes)["error.type"].clone());
    errors
        .map(|error| error.as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn an_attempt_fails_by_awss_code_else_its_status_else_its_connection() {
    const BAD_GATEWAY: Fate = Fate::Answer(502, "<html>Bad Gateway</html>");
    let asked = AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "PutObject" => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Fate::Throttle,
            1 => BAD_GATEWAY,
            _ => Fate::Pass,
        },
        "GetObject" => BAD_GATEWAY,
        "Query" => Fate::LoseAnswer,
        _ => Fate::Pass,
    });
    let collector = Collector::grpc().await;
    let setup = Setup {
        wiretap: Some(wiretap),
        ..told(&collector, &[])
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

#[tokio::test]
async fn errors_are_the_servers_alone() {
    let collector = Collector::grpc().await;
    let setup = Setup {
        wiretap: Some(Wiretap::new(|operation| match operation {
            "GetItem" => Fate::Hang,
            _ => Fate::Pass,
        })),
        ..told(&collector, &[("TOLLGATE_LIMITS__DEADLINE", "150ms")])
    };
    let gateway = Gateway::with(setup).await;
    let mut refused = save("User", user("u1", "078-05-1120"));
    refused.condition = tollgate_tests::values::expression("attribute_exists(pk)", []);
    assert_eq!(
        gateway.save(refused).await.status().code(),
        Code::FailedPrecondition
    );
    let answer = gateway.get(get("User", key("u1", "PROFILE"))).await;
    assert_eq!(answer.status().code(), Code::DeadlineExceeded);
    let received = collector
        .until("both calls", |received| {
            let ended = |name| !received.named(name).is_empty();
            ended("tollgate.v1.DataService/Get")
                && ended("tollgate.v1.DataService/Save")
                && ended("DynamoDB.GetItem")
        })
        .await;
    let save = received.only("tollgate.v1.DataService/Save");
    let told = attributes(&save.attributes);
    assert_eq!(
        (&told["rpc.response.status_code"], &told["tollgate.reason"]),
        (&json!("FAILED_PRECONDITION"), &json!("CONDITION_FAILED"))
    );
    assert!(!is_error(save) && !told.contains_key("error.type"));
    let put = received.only("DynamoDB.PutItem");
    assert!(is_error(put));
    assert_eq!(
        attributes(&put.attributes)["error.type"],
        "ConditionalCheckFailedException"
    );
    let get = received.only("tollgate.v1.DataService/Get");
    assert!(is_error(get));
    assert_eq!(attributes(&get.attributes)["error.type"], "DEADLINE_EXCEEDED");
    let hanging = received.only("DynamoDB.GetItem");
    assert!(is_error(hanging));
    let error = attributes(&hanging.attributes)["error.type"].clone();
    assert!(error == "timeout" || error == "abandoned", "{error}");
    let texts = received.spans.iter().filter_map(|span| span.status.as_ref());
    assert!(
        texts.into_iter().all(|status| status.message.is_empty()),
        "texts may quote items"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn samplers_decide_and_the_callers_decision_stands() {
    let collector = Collector::grpc().await;
    let off = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let gateway = Gateway::with(told(&collector, &off)).await;
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
async fn a_malformed_parent_begins_a_new_trace_and_states_are_joined() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(told(&collector, &[])).await;
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
async fn methods_that_are_none_and_calls_that_are_refused_have_their_span() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(told(&collector, &[])).await;
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
    let told = format!("{:?}{:?}", received.spans, received.metrics);
    assert!(
        !told.contains("Customer"),
        "a model that is not served is never told"
    );
}
