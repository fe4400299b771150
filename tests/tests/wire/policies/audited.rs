//! The audit log of calls: what its lines have, and what they never have.

use std::path::Path;

use serde_json::Value;
use tollgate_tests::values::scan;
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
