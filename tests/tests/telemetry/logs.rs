//! Log lines and exported log records: their trace ids, and the errors of AWS in them.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tollgate_tests::collector::{Collector, attributes};
use tollgate_tests::gateway::Setup;
use tollgate_tests::values::{delete, document, get, get_content, key, query, save, user};
use tollgate_tests::wiretap::{Fate, RESPONSE_ID, Wiretap};
use tonic::Request;

use super::{exporting_to, hex, logged};

const CALLER_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn log_lines_and_records_have_the_ids_of_their_trace() {
    let collector = Collector::grpc().await;
    let broken = Wiretap::new(|operation| match operation {
        "Decrypt" => Fate::Throttle,
        _ => Fate::Pass,
    });
    let setup = Setup {
        wiretap: Some(broken),
        ..exporting_to(&collector, &[])
    };
    let (gateway, lines, _guard) = logged(setup).await;
    gateway.save(save("User", user("u1", "078-05-1120"))).await.ok();
    gateway.get(get("User", key("u1", "PROFILE"))).await.status();
    gateway.stop().await;
    let received = collector.received();
    let failed = received.only("tollgate.v1.DataService/Get");
    let ids = [
        ("trace_id", hex(&failed.trace_id)),
        ("span_id", hex(&failed.span_id)),
    ];
    let of_call = lines.with("\"op\":\"Get\"");
    let of_cause = lines.with("\"operation\":\"Decrypt\"");
    assert_eq!((of_call.len(), of_cause.len()), (1, 1), "{}", lines.text());
    for line in of_call.iter().chain(&of_cause) {
        for (name, id) in &ids {
            assert_eq!(line[*name], **id, "{line}");
        }
    }
    let records: Vec<_> = received
        .logs
        .iter()
        .filter(|record| record.span_id == failed.span_id && record.trace_id == failed.trace_id)
        .collect();
    assert_eq!(records.len(), 2, "the call's line and its cause");
    let call = records
        .iter()
        .map(|record| attributes(&record.attributes))
        .find(|fields| fields.contains_key("op"))
        .unwrap();
    assert_eq!((&call["op"], &call["model"]), (&json!("Get"), &json!("User")));
    assert!(
        !lines
            .with("\"serving\"")
            .iter()
            .any(|line| line.get("trace_id").is_some())
    );
}

#[tokio::test]
async fn trace_ids_are_logged_without_sampling_but_not_without_tracing() {
    let collector = Collector::grpc().await;
    let (gateway, lines, guard) =
        logged(exporting_to(&collector, &[("OTEL_TRACES_SAMPLER", "always_off")])).await;
    gateway.get(get("User", key("u1", "PROFILE"))).await;
    gateway.stop().await;
    drop(guard);
    let line = &lines.with("\"op\":\"Get\"")[0];
    assert_eq!(line["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
    assert!(collector.received().spans.is_empty());

    let (gateway, lines, _guard) = logged(Setup::default()).await;
    gateway.get(get("User", key("u1", "PROFILE"))).await;
    gateway.stop().await;
    let line = &lines.with("\"op\":\"Get\"")[0];
    assert!(line.get("trace_id").is_none(), "{line}");
}

#[tokio::test]
async fn without_tracing_log_lines_have_the_ids_of_the_caller() {
    let (gateway, lines, _guard) = logged(Setup::default()).await;
    let mut request = Request::new(get("User", key("u1", "PROFILE")));
    let caller = format!("00-{CALLER_TRACE}-{CALLER_SPAN}-01");
    request
        .metadata_mut()
        .insert("traceparent", caller.parse().unwrap());
    gateway.get(request).await;
    gateway.stop().await;
    let line = &lines.with("\"op\":\"Get\"")[0];
    assert_eq!(
        (&line["trace_id"], &line["span_id"]),
        (&json!(CALLER_TRACE), &json!(CALLER_SPAN))
    );
}

/// S3's error for a missing permission. It quotes the object's key, which contains an item's keys and a file's name.
const S3_DENIES: Fate = Fate::Respond(
    403,
    "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::111122223333:user/gateway is not authorized to perform: \
     s3:PutObject on resource: \"arn:aws:s3:::my-bucket/docs/MARK-tenant/V1/0/MARK-name.txt\" because no \
     identity-based policy allows the s3:PutObject action</Message></Error>",
);

#[tokio::test]
async fn error_messages_of_s3_are_not_logged() {
    let denied = Arc::new(Mutex::new("PutObject"));
    let wiretap = Wiretap::new({
        let denied = Arc::clone(&denied);
        move |operation| match operation == *denied.lock().unwrap() {
            true => S3_DENIES,
            false => Fate::Pass,
        }
    });
    let collector = Collector::grpc().await;
    let setup = Setup {
        wiretap: Some(wiretap),
        ..exporting_to(&collector, &[])
    };
    let (gateway, lines, _guard) = logged(setup).await;
    let item = || document("MARK-tenant", "text");
    let refused = gateway.save(save("Document", item())).await.status();
    *denied.lock().unwrap() = "GetObject";
    gateway.save(save("Document", item())).await.ok();
    let unread = gateway.get(get_content("MARK-tenant")).await.status();
    *denied.lock().unwrap() = "DeleteObject";
    gateway
        .delete(delete("Document", key("MARK-tenant", "V1")))
        .await
        .ok();
    gateway.stop().await;

    let failures = lines.with("\"cause\"");
    let logged: Vec<_> = failures
        .iter()
        .map(|line| (line["level"].as_str(), line["operation"].as_str()))
        .collect();
    assert_eq!(
        logged,
        [
            (Some("ERROR"), Some("PutObject")),
            (Some("ERROR"), Some("GetObject")),
            (Some("WARN"), Some("DeleteObject")),
        ]
    );
    for line in failures {
        assert_eq!(line["cause"], "403 AccessDenied, bucket my-bucket");
        assert_eq!(line["aws_request_id"], RESPONSE_ID);
        assert!(line["request_id"].is_string(), "{line}");
    }
    let received = collector.received();
    assert_eq!(
        format!("{:?}", received.logs).matches("403 AccessDenied").count(),
        3,
        "the collector has the same"
    );
    let output = format!("{} {:?} {:?}", lines.text(), received.logs, received.spans);
    assert!(!output.contains("MARK-"), "{output}");
    assert!(!format!("{refused:?}{unread:?}").contains("MARK-"));
}

#[tokio::test]
async fn error_messages_about_tables_keys_and_roles_are_logged() {
    const NO_KEY: &str = "User: arn:aws:sts::111122223333:assumed-role/gateway/pod is not authorized to perform: \
                          kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:111122223333:key/0";
    const NO_TABLE: &str = "Requested resource not found: Table: users not found";
    let wiretap = Wiretap::new(|operation| match operation {
        "GenerateDataKey" => Fate::Respond(
            400,
            r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:sts::111122223333:assumed-role/gateway/pod is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:111122223333:key/0"}"#,
        ),
        "GetItem" => Fate::Respond(
            400,
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found: Table: users not found"}"#,
        ),
        // quotes what was sent
        "Query" => Fate::Respond(
            400,
            r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"The provided key MARK-tenant is not right"}"#,
        ),
        _ => Fate::Pass,
    });
    let setup = Setup {
        wiretap: Some(wiretap),
        ..Setup::default()
    };
    let (gateway, lines, _guard) = logged(setup).await;
    gateway
        .save(save("User", user("u1", "078-05-1120")))
        .await
        .status();
    gateway.get(get("User", key("u1", "PROFILE"))).await.status();
    gateway.query(query("User", "MARK-tenant")).await.status();
    gateway.stop().await;
    let causes: Vec<_> = lines
        .with("\"cause\"")
        .iter()
        .map(|line| line["cause"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        causes,
        [
            format!("400 AccessDeniedException, key alias/my-app-key: {NO_KEY}"),
            format!("400 ResourceNotFoundException, table users: {NO_TABLE}"),
            "400 ValidationException, table users".to_owned(),
        ]
    );
    assert!(!lines.text().contains("MARK-"), "{}", lines.text());
}
