//! What a caller without permission learns: nothing.

use tollgate_tests::values::{expression, update};
use v1::ReturnValues;

use super::*;

#[tokio::test]
async fn a_denied_model_looks_like_one_that_does_not_exist() {
    let guarded = Guarded::start(POLICIES).await;
    for (model, key) in [("User", item([("no", s("key"))])), ("Usr", Item::new())] {
        let request = v1::GetRequest {
            model: model.to_owned(),
            key,
            fields: vec!["nothing".to_owned()],
            ..v1::GetRequest::default()
        };
        let status = guarded
            .gateway
            .get(as_caller("guests", "acme", request))
            .await
            .status();
        assert_eq!(denied(&status), refusal("Get", &format!("Model::{model:?}"), ""));
        let text = format!("the caller is not authorized to perform Get on Model::{model:?}");
        assert_eq!(status.message(), text);
    }
    let schema = |name: &str| v1::GetModelRequest {
        name: name.to_owned(),
    };
    for name in ["User", "Usr"] {
        let outcome = guarded
            .gateway
            .schema()
            .get_model(as_caller("guests", "acme", schema(name)))
            .await;
        let status = outcome.expect_err("it is denied");
        assert_eq!(
            denied(&status),
            refusal("GetModel", &format!("Model::{name:?}"), "")
        );
    }
}

#[tokio::test]
async fn an_encrypted_field_that_is_withheld_costs_no_request_to_kms() {
    let guarded = Guarded::start(POLICIES).await;
    guarded.add("acme", "ann").await;
    let read = |group| {
        guarded
            .gateway
            .get(as_caller(group, "acme", get_user("acme", "ann")))
    };
    let found = read("readers").await;
    assert_eq!(found.bill.count("tollgate-kms-calls"), 0);
    assert_eq!(found.ok().withheld, ["ssn"]);
    let found = read("admins").await;
    assert_eq!(found.bill.count("tollgate-kms-calls"), 1);
    assert_eq!(found.ok().item["ssn"], s("secret"));
}

#[tokio::test]
async fn failures_and_results_of_writes_withhold_too() {
    let guarded = Guarded::start(POLICIES).await;
    guarded.add("acme", "ann").await;
    let change = |condition: &str, returned: ReturnValues| v1::UpdateRequest {
        condition: expression(condition, [(":e", s("a@b"))]),
        return_values: returned.into(),
        ..update(
            "User",
            user_key("acme", "ann"),
            "SET email = :e",
            [(":e", s("a@b"))],
        )
    };
    let request = change("email = :e", ReturnValues::AllNew);
    let updated = guarded
        .gateway
        .update(as_caller("clerks", "acme", request))
        .await
        .ok();
    assert_eq!(updated.item, item([("email", s("a@b"))]));
    assert_eq!(updated.withheld, ["pk", "tenant", "name", "age", "ssn", "*"]);
    let request = change("email <> :e", ReturnValues::AllOld);
    let status = guarded
        .gateway
        .update(as_caller("clerks", "acme", request))
        .await
        .status();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(!format!("{:?}", status.details()).contains("secret"));
}

#[tokio::test]
async fn indexes_of_withheld_fields_are_not_read() {
    let policies = r#"permit(principal, action, resource);
        forbid(principal in Tollgate::Group::"guests", action == Tollgate::Action::"ReadField",
               resource == Tollgate::Field::"User.age");"#;
    let guarded = Guarded::start(policies).await;
    let request = || v1::QueryRequest {
        model: "User".to_owned(),
        index: "by_age".to_owned(),
        key_condition: expression("email = :e", [(":e", s("a@b"))]),
        ..v1::QueryRequest::default()
    };
    let status = guarded
        .gateway
        .query(as_caller("guests", "acme", request()))
        .await
        .status();
    assert_eq!(
        denied(&status),
        refusal("ReadField", "Field::\"User.age\"", "index")
    );
    guarded
        .gateway
        .query(as_caller("readers", "acme", request()))
        .await
        .ok();
}

#[tokio::test]
async fn sessions_of_a_caller_are_its_own_unless_a_policy_forbids_them() {
    let forbid = r#"forbid(principal in Tollgate::Group::"guests", action == Tollgate::Action::"GetTotalMetrics",
        resource == Tollgate::Session::"secret");"#;
    let guarded = Guarded::start(&format!("{POLICIES}{forbid}")).await;
    let totals = |session: &str| v1::GetTotalMetricsRequest {
        session: session.to_owned(),
        model: String::new(),
    };
    let ask = async |session: &str| {
        let request = as_caller("guests", "acme", totals(session));
        guarded.gateway.metrics().get_total_metrics(request).await
    };
    assert_eq!(
        ask("mine").await.expect_err("it was never used").code(),
        Code::NotFound
    );
    let status = ask("secret").await.expect_err("it is forbidden");
    assert_eq!(
        denied(&status),
        refusal("GetTotalMetrics", "Session::\"secret\"", "")
    );
    let status = ask("").await.expect_err("no policy permits it");
    assert_eq!(
        denied(&status),
        refusal("GetTotalMetrics", "Server::\"self\"", "")
    );
}
