//! One server span per call and one client span per request to AWS, with the documented names, parents and figures.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use tollgate_tests::collector::{Collector, Received, attributes};
use tollgate_tests::gateway::{Bill, Gateway, Setup, in_session};
use tollgate_tests::values::{document, get, key, query, save, secure_user, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Request};

use super::{exporting_to, hex};

pub(super) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(super) const PARENT_ID: &str = "00f067aa0ba902b7";

pub(super) fn is_error(span: &Span) -> bool {
    let status = span.status.as_ref().map(|status| status.code());
    status == Some(StatusCode::Error)
}

/// A message of a caller that is traced.
pub(super) fn traced<T>(message: T, flags: &str) -> Request<T> {
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

/// The attributes of a span are the figures of the trailers.
pub(super) fn assert_figures(span: &Span, bill: &Bill) {
    let recorded = attributes(&span.attributes);
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
        assert_eq!(recorded[attribute], json!(bill.count(trailer)), "{attribute}");
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
            recorded[attribute].as_f64().expect("a number"),
            bill.decimal(trailer) * scale,
        );
        assert!(
            (span - trailer).abs() < 1e-12,
            "{attribute}: {span} and {trailer}"
        );
    }
    assert_eq!(recorded["tollgate.request_id"], bill.text("tollgate-request-id"));
}

#[tokio::test]
async fn a_save_is_one_trace_with_the_figures_of_its_trailers() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(exporting_to(&collector, &[])).await;
    let mut request = traced(save("User", user("u1", "078-05-1120")), "01");
    request
        .metadata_mut()
        .insert("tollgate-session", "job-7".parse().unwrap());
    let response = gateway.save(request).await;
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
    let recorded = attributes(&save.attributes);
    let words = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "tollgate.v1.DataService/Save"),
        ("rpc.response.status_code", "OK"),
        ("tollgate.model", "User"),
        ("tollgate.session", "job-7"),
    ];
    for (name, value) in words {
        assert_eq!(recorded[name], value);
    }
    assert!(!is_error(save));
    assert_figures(save, &response.bill);
    assert_requests_of_a_save(&received, save);
    assert_eq!(
        received.spans.len(),
        3,
        "there are no spans of the SDK: {:?}",
        received.span_names()
    );
    gateway.stop().await;
}

/// A Save of an encrypted attribute makes a data key and writes an item, each in a child span.
fn assert_requests_of_a_save(received: &Received, save: &Span) {
    let put = received.only("DynamoDB.PutItem");
    let recorded = attributes(&put.attributes);
    assert_eq!(recorded["db.system.name"], "aws.dynamodb");
    assert_eq!(recorded["db.operation.name"], "PutItem");
    assert_eq!(recorded["aws.dynamodb.table_names"], json!(["users"]));
    assert_eq!(
        recorded["aws.dynamodb.consumed_capacity"],
        json!(["{\"CapacityUnits\":1}"])
    );
    assert_eq!(recorded["cloud.region"], "us-east-1");
    assert!(
        recorded["aws.request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{recorded:?}"
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
}

#[tokio::test]
async fn resources_have_the_names_that_the_operator_gave() {
    let collector = Collector::grpc().await;
    let names = [
        ("OTEL_SERVICE_NAME", "checkout-gateway"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test,team=a%20b",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
    ];
    let gateway = Gateway::with(exporting_to(&collector, &names)).await;
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
async fn upload_parts_are_spans_and_object_keys_are_opt_in() {
    const BYTES: usize = 12 * 1024 * 1024;
    for opted_in in [false, true] {
        let collector = Collector::grpc().await;
        let opt = [(
            "TOLLGATE_TELEMETRY__OBJECT_KEYS",
            if opted_in { "true" } else { "false" },
        )];
        let gateway = Gateway::with(exporting_to(&collector, &opt)).await;
        let response = gateway
            .save(save("Document", document("acme-tenant", vec![7; BYTES])))
            .await;
        let received = collector
            .until("the call", |received| {
                !received.named("tollgate.v1.DataService/Save").is_empty()
            })
            .await;
        let save = received.only("tollgate.v1.DataService/Save");
        assert_figures(save, &response.bill);
        let children = received.children(save);
        assert_eq!(children.len(), 6, "{:?}", received.span_names());
        let begun = attributes(&received.only("S3.CreateMultipartUpload").attributes);
        assert_eq!(begun["aws.s3.bucket"], "my-bucket");
        assert!(!begun.contains_key("aws.s3.upload_id"), "S3 has not named it yet");
        let mut numbers = Vec::new();
        for part in received.named("S3.UploadPart") {
            let recorded = attributes(&part.attributes);
            numbers.push(recorded["aws.s3.part_number"].as_i64().unwrap());
            assert!(
                recorded["aws.s3.upload_id"]
                    .as_str()
                    .is_some_and(|id| !id.is_empty())
            );
            let key = recorded.get("aws.s3.key").and_then(|key| key.as_str());
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
async fn decrypts_are_children_of_their_query() {
    let collector = Collector::grpc().await;
    let gateway = Gateway::with(exporting_to(&collector, &[])).await;
    for sort in ["a", "b", "c"] {
        gateway
            .save(save("SecureUser", secure_user("p", sort)))
            .await
            .ok();
    }
    let response = gateway.query(in_session(query("SecureUser", "p"), "s")).await;
    let received = collector
        .until("the query", |received| {
            !received.named("tollgate.v1.DataService/Query").is_empty()
        })
        .await;
    let span = received.only("tollgate.v1.DataService/Query");
    assert_figures(span, &response.bill);
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
    let recorded = attributes(&received.only("DynamoDB.Query").attributes);
    assert_eq!(
        (
            &recorded["aws.dynamodb.count"],
            &recorded["aws.dynamodb.scanned_count"]
        ),
        (&json!(3), &json!(3))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn only_failures_of_the_server_are_errors() {
    let collector = Collector::grpc().await;
    let setup = Setup {
        wiretap: Some(Wiretap::new(|operation| match operation {
            "GetItem" => Fate::Hang,
            _ => Fate::Pass,
        })),
        ..exporting_to(&collector, &[("TOLLGATE_LIMITS__DEADLINE", "150ms")])
    };
    let gateway = Gateway::with(setup).await;
    let mut refused = save("User", user("u1", "078-05-1120"));
    refused.condition = tollgate_tests::values::expression("attribute_exists(pk)", []);
    assert_eq!(
        gateway.save(refused).await.status().code(),
        Code::FailedPrecondition
    );
    let response = gateway.get(get("User", key("u1", "PROFILE"))).await;
    assert_eq!(response.status().code(), Code::DeadlineExceeded);
    let received = collector
        .until("both calls", |received| {
            let ended = |name| !received.named(name).is_empty();
            ended("tollgate.v1.DataService/Get")
                && ended("tollgate.v1.DataService/Save")
                && ended("DynamoDB.GetItem")
        })
        .await;
    let save = received.only("tollgate.v1.DataService/Save");
    let recorded = attributes(&save.attributes);
    assert_eq!(
        (
            &recorded["rpc.response.status_code"],
            &recorded["tollgate.reason"]
        ),
        (&json!("FAILED_PRECONDITION"), &json!("CONDITION_FAILED"))
    );
    assert!(!is_error(save) && !recorded.contains_key("error.type"));
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
        "messages may quote items"
    );
    gateway.stop().await;
}
