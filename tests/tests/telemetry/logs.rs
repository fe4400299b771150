//! Log lines with their traces, the same to the collector, and what must never be in any of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};
use tollgate_tests::collector::{Collector, attributes};
use tollgate_tests::gateway::{Setup, in_session};
use tollgate_tests::values::{
    b, delete, document, expression, get, get_content, item, key, l, m, n, object, query, s, save, scan,
    secure_user, user,
};
use tollgate_tests::wiretap::{ANSWER_ID, Fate, Wiretap};
use tonic::Request;

use super::{logged, told};

const CALLER_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn lines_have_the_ids_of_their_trace_here_and_there() {
    let collector = Collector::grpc().await;
    let broken = Wiretap::new(|operation| match operation {
        "Decrypt" => Fate::Throttle,
        _ => Fate::Pass,
    });
    let setup = Setup {
        wiretap: Some(broken),
        ..told(&collector, &[])
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
        .find(|told| told.contains_key("op"))
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
async fn ids_are_there_where_nothing_is_sampled_and_absent_where_nothing_is_traced() {
    let collector = Collector::grpc().await;
    let (gateway, lines, guard) = logged(told(&collector, &[("OTEL_TRACES_SAMPLER", "always_off")])).await;
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
async fn where_nothing_is_traced_lines_have_the_ids_of_their_caller() {
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

/// What S3 says to whoever may not do something: with the object's key, which holds an item's keys and a file's name.
const S3_DENIES: Fate = Fate::Answer(
    403,
    "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::111122223333:user/gateway is not authorized to perform: \
     s3:PutObject on resource: \"arn:aws:s3:::my-bucket/docs/MARK-tenant/V1/0/MARK-name.txt\" because no \
     identity-based policy allows the s3:PutObject action</Message></Error>",
);

#[tokio::test]
async fn what_s3_says_of_objects_is_not_told() {
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
        ..told(&collector, &[])
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
    let told: Vec<_> = failures
        .iter()
        .map(|line| (line["level"].as_str(), line["operation"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("ERROR"), Some("PutObject")),
            (Some("ERROR"), Some("GetObject")),
            (Some("WARN"), Some("DeleteObject")),
        ]
    );
    for line in failures {
        assert_eq!(line["cause"], "403 AccessDenied, bucket my-bucket");
        assert_eq!(line["aws_request_id"], ANSWER_ID);
        assert!(line["request_id"].is_string(), "{line}");
    }
    let received = collector.received();
    assert_eq!(
        format!("{:?}", received.logs).matches("403 AccessDenied").count(),
        3,
        "the collector has the same"
    );
    let spoken = format!("{} {:?} {:?}", lines.text(), received.logs, received.spans);
    assert!(!spoken.contains("MARK-"), "{spoken}");
    assert!(!format!("{refused:?}{unread:?}").contains("MARK-"));
}

#[tokio::test]
async fn what_aws_says_of_tables_keys_and_roles_is_told() {
    const NO_KEY: &str = "User: arn:aws:sts::111122223333:assumed-role/gateway/pod is not authorized to perform: \
                          kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:111122223333:key/0";
    const NO_TABLE: &str = "Requested resource not found: Table: users not found";
    let wiretap = Wiretap::new(|operation| match operation {
        "GenerateDataKey" => Fate::Answer(
            400,
            r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:sts::111122223333:assumed-role/gateway/pod is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:111122223333:key/0"}"#,
        ),
        "GetItem" => Fate::Answer(
            400,
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found: Table: users not found"}"#,
        ),
        // quotes what was sent
        "Query" => Fate::Answer(
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

/// What no log, span, metric or error may contain, in any of the forms in which it might be written.
struct Secrets(BTreeMap<&'static str, Vec<u8>>);

impl Secrets {
    fn new() -> Secrets {
        let texts = [
            "ssn", "phone", "city", "name", "email", "map", "list", "bytes", "object", "filter", "fresh",
        ];
        let marked = texts.map(|what| (what, format!("MARK-{what}-5ecr3t").into_bytes()));
        Secrets(BTreeMap::from(marked))
    }

    fn text(&self, what: &str) -> String {
        String::from_utf8(self.0[what].clone()).expect("marks are text")
    }

    /// Where a secret is told.
    fn told_in(&self, where_: &str, text: &str) -> Vec<String> {
        let base64 = base64::engine::general_purpose::STANDARD;
        let mut found = Vec::new();
        for (what, secret) in &self.0 {
            let forms = [
                String::from_utf8_lossy(secret).into_owned(),
                base64.encode(secret).trim_end_matches('=').to_owned(),
                hex(secret),
                format!("{secret:?}").trim_matches(['[', ']']).to_owned(),
            ];
            let told = forms.iter().find(|form| text.contains(form.as_str()));
            found.extend(told.map(|form| format!("{what} as {form} in {where_}")));
        }
        found
    }
}

#[tokio::test]
async fn nothing_that_is_stored_and_no_key_is_told() {
    let collector = Collector::grpc().await;
    let mut secrets = Secrets::new();
    let flaky = Wiretap::new({
        let asked = std::sync::atomic::AtomicU64::new(0);
        move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 5 {
            4 => Fate::Error500,
            _ => Fate::Pass,
        }
    });
    let token_key = base64::engine::general_purpose::STANDARD.encode([0xa7; 32]);
    let settings = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=MARK-header-5ecr3t"),
        ("TOLLGATE_TOKEN_KEY", token_key.as_str()),
        ("TOLLGATE_LOG__LEVEL", "trace"),
    ];
    let setup = Setup {
        wiretap: Some(flaky.clone()),
        ..told(&collector, &settings)
    };
    let (gateway, lines, _guard) = logged(setup).await;
    let mut errors = String::new();
    let mut note = |status: Option<tonic::Status>| errors.push_str(&format!("{status:?}"));

    let mut secure = secure_user("p1", "s1");
    secure.extend(item([
        ("ssn", s(secrets.text("ssn"))),
        ("phone", s(secrets.text("phone"))),
        (
            "address",
            m([
                ("city", s(secrets.text("city"))),
                ("lines", l([s(secrets.text("list")), n(7)])),
            ]),
        ),
    ]));
    let mut plain = user("p1", &secrets.text("fresh"));
    plain.extend(item([
        ("name", s(secrets.text("name"))),
        ("email", s(secrets.text("email"))),
    ]));
    let mut document = key("p1", "V1");
    document.extend(item([
        ("name", s(secrets.text("map"))),
        ("content", object(secrets.text("object"))),
    ]));
    let mut wrong = user("p2", "1");
    wrong.extend(item([
        ("age", s(secrets.text("bytes"))),
        ("unknown", b(secrets.text("bytes"))),
    ]));
    for _ in 0..3 {
        note(
            gateway
                .save(in_session(save("SecureUser", secure.clone()), "job"))
                .await
                .outcome
                .err(),
        );
        note(gateway.save(save("User", plain.clone())).await.outcome.err());
        note(
            gateway
                .save(save("Document", document.clone()))
                .await
                .outcome
                .err(),
        );
        note(gateway.save(save("User", wrong.clone())).await.outcome.err());
        note(
            gateway
                .get(get("SecureUser", key("p1", "s1")))
                .await
                .outcome
                .err(),
        );
        note(gateway.get(get_content("p1")).await.outcome.err());
        note(gateway.query(query("SecureUser", "p1")).await.outcome.err());
        let mut filtered = scan("User");
        filtered.filter = expression("email = :e", [(":e", s(secrets.text("filter")))]);
        note(gateway.scan(filtered).await.outcome.err());
    }
    // what is stored is secret too: sealed values, and the wrapped keys in them
    let stored = flaky
        .stores()
        .item("secure_users", "p1", "s1")
        .await
        .expect("it was saved");
    for (name, what) in [("ssn", "sealed ssn"), ("phone", "sealed phone")] {
        let sealed = stored[name].as_b().map(|blob| blob.as_ref().to_vec());
        let sealed = sealed.or_else(|_| stored[name].as_s().map(|text| text.clone().into_bytes()));
        secrets
            .0
            .insert(what, sealed.expect("bytes or text")[..32].to_vec());
    }
    secrets.0.insert("header", b"MARK-header-5ecr3t".to_vec());
    secrets.0.insert("token key", vec![0xa7; 32]);
    gateway.stop().await;

    let received = collector.received();
    assert!(!received.spans.is_empty() && !received.logs.is_empty() && !received.metrics.is_empty());
    assert!(lines.text().contains("\"level\":\"WARN\"") || lines.text().contains("\"level\":\"ERROR\""));
    let spoken = [
        ("the log", lines.text()),
        ("spans", format!("{:?}", received.spans)),
        ("metrics", format!("{:?}", received.metrics)),
        ("log records", format!("{:?}", received.logs)),
        ("resources", format!("{:?}", received.resources)),
        ("errors", errors),
    ];
    let told: Vec<String> = spoken
        .iter()
        .flat_map(|(where_, text)| secrets.told_in(where_, text))
        .collect();
    assert!(told.is_empty(), "{told:#?}");
    for of_kms in ["Plaintext", "CiphertextBlob"] {
        assert!(!lines.text().contains(of_kms), "answers of KMS hold data keys");
    }
    // the search finds what is there
    let found = secrets.told_in("itself", &format!("x{}y", secrets.text("ssn")));
    assert_eq!(found.len(), 1);
    let _: Value = serde_json::from_str(lines.text().lines().next().unwrap()).unwrap();
}
