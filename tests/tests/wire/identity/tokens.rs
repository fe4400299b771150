//! Opaque tokens, what needs an identity, and what does not.

use tollgate_tests::values::{save, user};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;

#[tokio::test]
async fn a_token_identifies_its_caller_and_nothing_else_is_served() {
    let mut setting = Setting::default();
    let (alice, old) = (
        setting.token("alice", ""),
        setting.token("old", ", expires: 2020-01-01"),
    );
    let gateway = setting.start().await;
    gateway
        .save(bearing(save("User", user("a", "1")), &alice))
        .await
        .ok();
    let missing = gateway.get(get("User", key("a", "b"))).await;
    assert!(missing.bill.has("tollgate-request-id"), "refusals have an id too");
    assert_eq!(
        refused(&missing.status()),
        "authentication is required: send `authorization: Bearer TOKEN`"
    );
    assert_eq!(
        refused(&ask(&gateway, &old).await),
        "authorization: the token has expired"
    );
    for invalid in ["x", "a.b.c", "..", &"x".repeat(4000)] {
        assert_eq!(
            refused(&ask(&gateway, invalid).await),
            "authorization: the token is invalid",
            "{invalid}"
        );
    }
}

#[tokio::test]
async fn every_service_but_the_public_ones_needs_an_identity() {
    let mut setting = Setting::default();
    let alice = setting.token("alice", "");
    let gateway = setting.start().await;
    refused(&gateway.metrics().get_total_metrics(totals("")).await.unwrap_err());
    refused(
        &gateway
            .schema()
            .list_models(v1::ListModelsRequest::default())
            .await
            .unwrap_err(),
    );
    refused(&gateway.scan(tollgate_tests::values::scan("User")).await.status());
    let mut admin = v1::admin_service_client::AdminServiceClient::new(gateway.channel());
    refused(&admin.sweep(v1::SweepRequest::default()).await.unwrap_err());
    gateway
        .metrics()
        .get_total_metrics(bearing(totals(""), &alice))
        .await
        .expect("totals");
    let models = bearing(v1::ListModelsRequest::default(), &alice);
    gateway.schema().list_models(models).await.expect("models");
    let mut health = HealthClient::new(gateway.channel());
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("health is public");
    let mut settings = setting.settings();
    settings.push(("TOLLGATE_AUTH__PUBLIC", "none".to_owned()));
    let private = start(settings).await;
    let mut health = HealthClient::new(private.channel());
    refused(&health.check(HealthCheckRequest::default()).await.unwrap_err());
    health
        .check(bearing(HealthCheckRequest::default(), &alice))
        .await
        .expect("with a token");
}

#[tokio::test]
async fn two_authorization_headers_are_refused_and_other_schemes() {
    let mut setting = Setting::default();
    let alice = setting.token("alice", "");
    let gateway = setting.start().await;
    let mut two = bearing(get("User", key("a", "b")), &alice);
    let value = format!("Bearer {alice}").parse().expect("ASCII");
    two.metadata_mut().append("authorization", value);
    assert_eq!(
        refused(&gateway.get(two).await.status()),
        "authorization: has several values; send only one"
    );
    for scheme in ["Basic YTpi", "Bearer", "Bearer ", "bearer a b"] {
        let mut request = Request::new(get("User", key("a", "b")));
        request
            .metadata_mut()
            .insert("authorization", scheme.parse().expect("ASCII"));
        assert_eq!(
            refused(&gateway.get(request).await.status()),
            "authorization: must be `Bearer` and a token",
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn a_refusal_comes_before_the_message_and_leaves_nothing_behind() {
    let mut setting = Setting::default();
    let alice = setting.token("alice", "");
    let gateway = setting.start().await;
    let mut request = Request::new(get("Nobody", key("a", "b")));
    for (name, value) in [("tollgate-request-id", "r1"), ("tollgate-session", "s1")] {
        request.metadata_mut().insert(name, value.parse().expect("ASCII"));
    }
    // a request that is invalid in itself, and whose metadata is too
    refused(&gateway.get(request).await.status());
    let of_session = gateway
        .metrics()
        .get_total_metrics(bearing(totals("s1"), &alice))
        .await;
    Refusal::of_status(&of_session.unwrap_err()).is("UNKNOWN_SESSION", &[]);
    let call = v1::GetCallMetricsRequest {
        request_id: "r1".to_owned(),
    };
    let of_call = gateway.metrics().get_call_metrics(bearing(call, &alice)).await;
    Refusal::of_status(&of_call.unwrap_err()).is("UNKNOWN_REQUEST", &[]);
}

#[tokio::test]
async fn tokens_are_reloaded_while_the_gateway_serves() {
    let mut setting = Setting::default();
    let alice = setting.token("alice", "");
    let gateway = setting.start().await;
    let bob = setting.token("bob", "");
    assert!(!is_known(&gateway, &bob).await);
    gateway.reloader().reload_credentials().await;
    assert!(is_known(&gateway, &bob).await && is_known(&gateway, &alice).await);
    // as another program finds it that has only opened it for writing
    setting.write("tokens.yaml", "");
    gateway.reloader().reload_credentials().await;
    assert!(is_known(&gateway, &alice).await, "an empty file is refused");
    setting.write("tokens.yaml", "[]\n");
    gateway.reloader().reload_credentials().await;
    assert!(!is_known(&gateway, &bob).await && !is_known(&gateway, &alice).await);
}
