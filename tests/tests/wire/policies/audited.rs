//! The audit log of calls: what its lines have, and what they never have.

use std::path::Path;

use serde_json::Value;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_tests::gateway::CallResult;
use tollgate_tests::values::{scan, update};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A gateway whose calls are audited, and the file of the log.
async fn audited(policies: &str, chain: bool) -> (Guarded, PathBuf) {
    let log = tempfile::tempdir().expect("a folder").keep().join("audit.jsonl");
    let settings = vec![
        ("TOLLGATE_AUDIT__FILE", log.display().to_string()),
        ("TOLLGATE_AUDIT__KEY", KEY.to_owned()),
        ("TOLLGATE_AUDIT__CHAIN", chain.to_string()),
    ];
    (Guarded::with(policies, settings).await, log)
}

fn text(log: &Path) -> String {
    fs::read_to_string(log).expect("the log is there")
}

fn lines(log: &Path) -> Vec<Value> {
    let text = text(log);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn every_call_has_a_line_with_what_it_did() {
    let (guarded, log) = audited(POLICIES, true).await;
    let gateway = &guarded.gateway;
    guarded.add("acme", "ann").await;
    let get = |group, tenant| gateway.get(as_caller(group, tenant, get_user("acme", "ann")));
    get("admins", "acme").await.ok();
    get("readers", "acme").await.ok();
    denied(&get("readers", "globex").await.status());
    gateway.get(Request::new(get_user("acme", "ann"))).await.status();
    let all = lines(&log);
    let column = |name: &str| -> Vec<&Value> { all.iter().map(|line| &line[name]).collect() };
    assert_eq!(column("rpc"), ["Save", "Get", "Get", "Get", "Get"]);
    assert_eq!(column("seq"), [1, 2, 3, 4, 5]);
    assert_eq!(
        column("caller"),
        [
            &Value::from("admins-acme"),
            &"admins-acme".into(),
            &"readers-acme".into(),
            &"readers-globex".into(),
            &Value::Null
        ]
    );
    assert_eq!(
        column("decision"),
        ["allow", "allow", "allow", "deny", "unauthenticated"]
    );
    assert_eq!(
        column("code"),
        ["OK", "OK", "OK", "PERMISSION_DENIED", "UNAUTHENTICATED"]
    );
    assert_eq!(all[1]["decrypted"], serde_json::json!(["ssn"]));
    assert_eq!(all[2]["decrypted"], serde_json::json!([]));
    assert_eq!(all[2]["withheld"], serde_json::json!(["ssn"]));
    assert_eq!(all[1]["tenant"], "acme");
    assert_eq!(all[1]["policies"], serde_json::json!(["a.cedar:2 (admins)"]));
    assert_eq!(all[3]["policies"], serde_json::json!([]), "nothing permitted it");
    assert!(
        all[..4]
            .iter()
            .all(|line| line["key"] == all[0]["key"] && line["model"] == "User")
    );
    assert_eq!(all[0]["key"].as_str().expect("one item").len(), 64);
    for secret in ["ann", "secret", "TENANT#", "0123456789abcdef0123"] {
        assert!(!text(&log).contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn pages_have_one_line_and_health_has_none() {
    let (guarded, log) = audited(POLICIES, false).await;
    for name in ["ann", "bob"] {
        guarded.add("acme", name).await;
    }
    let pages = guarded
        .gateway
        .scan(as_caller("admins", "acme", scan("User")))
        .await;
    pages.ok();
    let totals = as_caller("admins", "acme", v1::GetTotalMetricsRequest::default());
    guarded
        .gateway
        .metrics()
        .get_total_metrics(totals)
        .await
        .unwrap_err();
    HealthClient::new(guarded.gateway.channel())
        .check(HealthCheckRequest::default())
        .await
        .expect("health is public");
    guarded.replace(POLICIES).await;
    guarded.replace("permit(principal, action, resource);").await;
    let all = lines(&log);
    let rpcs: Vec<&Value> = all.iter().map(|line| &line["rpc"]).collect();
    assert_eq!(
        rpcs,
        ["Save", "Save", "Scan", "GetTotalMetrics", "ReloadPolicies"]
    );
    assert_eq!(all[2]["key"]["count"], 2);
    assert_eq!(all[2]["key"]["first"][0].as_str().map(str::len), Some(64));
    assert_eq!(all[2]["decrypted"], serde_json::json!(["ssn"]));
    assert_eq!(all[3]["decision"], "deny");
    assert!(
        all.iter().all(|line| line.get("prev").is_none()),
        "it is not chained"
    );
}

#[tokio::test]
async fn a_renamed_file_is_left_at_once() {
    let (guarded, log) = audited(POLICIES, true).await;
    guarded.add("acme", "ann").await;
    let old = log.with_extension("old");
    fs::rename(&log, &old).expect("it is there");
    guarded.gateway.reloader().reopen_audit();
    guarded.add("acme", "bob").await;
    assert_eq!((lines(&old).len(), lines(&log).len()), (1, 1));
    assert_eq!(lines(&log)[0]["seq"], 2);
}

/// The results of a stream of writes by index, as codes.
async fn batch_write(guarded: &Guarded, group: &str, writes: Vec<Write>) -> Vec<i32> {
    let writes = writes
        .into_iter()
        .map(|write| v1::BatchWriteRequest { write: Some(write) });
    let request = as_caller(group, "acme", futures::stream::iter(writes.collect::<Vec<_>>()));
    let stream = guarded.gateway.data().batch_write(request).await;
    let mut results = CallResult::read_stream(stream).await.ok();
    results.sort_by_key(|result| result.index);
    let code = |result: v1::BatchWriteResponse| match result.result {
        Some(v1::batch_write_response::Result::Error(status)) => status.code,
        _ => 0,
    };
    results.into_iter().map(code).collect()
}

#[tokio::test]
async fn a_batch_of_writes_has_one_line_with_what_was_denied_and_withheld() {
    let (guarded, log) = audited(POLICIES, true).await;
    guarded.add("acme", "ann").await;
    guarded.add("globex", "bob").await;
    let denied = Code::PermissionDenied as i32;
    let set =
        |tenant, text, value| Write::Update(update("User", user_key(tenant, "ann"), text, [(":v", value)]));
    let email = |tenant| set(tenant, "SET email = :v", s("MARK"));
    let age = set("acme", "SET age = :v", n(1));
    let allowed = POLICIES.replace(
        r#"action == Tollgate::Action::"Update", resource is"#,
        r#"action in [Tollgate::Action::"Update", Tollgate::Action::"BatchWrite"], resource is"#,
    );
    guarded.replace(&allowed).await;
    let codes = batch_write(&guarded, "clerks", vec![email("acme"), email("globex"), age]).await;
    assert_eq!(codes, [0, denied, denied]);
    let saved = vec![Write::Save(save("User", user("acme", "cid")))];
    assert_eq!(batch_write(&guarded, "admins", saved).await, [0]);
    let all = lines(&log);
    let (ann, bob) = (&all[0]["key"], &all[1]["key"]);
    let [.., clerk, admin] = &all[..] else {
        panic!("{all:?}")
    };
    for (field, value) in [
        ("rpc", "BatchWrite"),
        ("model", "User"),
        ("decision", "deny"),
        ("code", "OK"),
    ] {
        assert_eq!(clerk[field], value, "{field}");
    }
    assert_eq!(clerk["denied"]["count"], 2);
    let first = clerk["denied"]["first"].as_array().expect("a list");
    let keys: Vec<&Value> = first.iter().map(|part| &part["key"]).collect();
    assert!(keys[0] != ann && keys[0] != bob && keys[1] == ann, "{clerk}");
    assert_eq!(first[0]["model"], "User");
    let withheld = serde_json::json!(["*", "age", "name", "pk", "ssn", "tenant"]);
    assert_eq!(clerk["withheld"], withheld, "clerks read the email alone");
    assert_eq!((&admin["decision"], admin.get("denied")), (&"allow".into(), None));
    assert!(!text(&log).contains("MARK"));
}

#[tokio::test]
async fn a_batch_of_reads_has_one_line_with_what_was_denied_and_withheld() {
    let (guarded, log) = audited(POLICIES, true).await;
    guarded.add("acme", "ann").await;
    guarded.add("acme", "cid").await;
    guarded.add("globex", "bob").await;
    let read = async |keys: &[(&str, &str)]| {
        let request = v1::BatchGetRequest {
            requests: keys.iter().map(|(tenant, name)| get_user(tenant, name)).collect(),
            ..v1::BatchGetRequest::default()
        };
        let request = as_caller("readers", "acme", request);
        CallResult::read_stream(guarded.gateway.data().batch_get(request).await).await
    };
    read(&[("acme", "ann"), ("acme", "cid")]).await.ok();
    read(&[("acme", "ann"), ("globex", "bob")]).await.status();
    let all = lines(&log);
    let [_ann, _cid, bob, reader, refused] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(reader["withheld"], serde_json::json!(["ssn"]));
    assert_eq!(reader["key"]["count"], 2);
    assert_eq!(refused["code"], "PERMISSION_DENIED");
    assert_eq!(refused["decision"], "deny");
    let denied = serde_json::json!({ "first": [{ "model": "User", "key": bob["key"] }], "count": 1 });
    assert_eq!(refused["denied"], denied);
}
