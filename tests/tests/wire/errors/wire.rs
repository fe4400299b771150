//! Malformed messages, unknown methods, and values nested too deeply.

use prost::Message as _;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::raw;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{key, save, user};
use tonic::Code;

use super::goes_on;

const SAVE: &str = "/tollgate.v1.DataService/Save";

#[tokio::test]
async fn undecodable_messages_are_the_callers_fault() {
    let gateway = Gateway::start().await;
    let not_utf8 = [0xff, 0xfe];
    let cut = save("User", user("A", "1")).encode_to_vec();
    let cases: [(Vec<u8>, &str); 5] = [
        (raw::field(1, &not_utf8), "model"),
        (
            [raw::field(1, b"User"), raw::field(2, &raw::field(1, &not_utf8))].concat(),
            "item",
        ),
        (
            raw::save_request("User", "name", &raw::field(1, &not_utf8)),
            "item",
        ),
        (
            [raw::field(1, b"User"), raw::field(3, &raw::field(1, &not_utf8))].concat(),
            "condition",
        ),
        (vec![0x0a, 0x7f, b'x'], "model"),
    ];
    for (bytes, field) in cases {
        let refusal = Refusal::of(raw::call(&gateway, SAVE, bytes).await);
        refusal.is("UNDECODABLE_MESSAGE", &[field]);
        assert_eq!(refusal.code, Code::InvalidArgument);
        refusal.cost_nothing();
    }
    for bytes in [
        vec![0xff; 20],
        vec![0x0f],
        vec![0x00, 0x01],
        cut[..cut.len() - 1].to_vec(),
    ] {
        let refusal = Refusal::of(raw::call(&gateway, SAVE, bytes).await);
        assert_eq!(refusal.reason, "UNDECODABLE_MESSAGE", "{refusal:?}");
    }
    for path in ["Get", "Delete", "Query", "Scan"] {
        let path = ["/tollgate.v1.DataService/", path].concat();
        let refusal = Refusal::of(raw::call(&gateway, path.leak(), vec![0xff]).await);
        assert_eq!(refusal.reason, "UNDECODABLE_MESSAGE", "{refusal:?}");
    }
    let status = raw::call(
        &gateway,
        "/tollgate.v1.MetricsService/GetCallMetrics",
        raw::field(1, &not_utf8),
    )
    .await;
    Refusal::of_status(&status.status()).is("UNDECODABLE_MESSAGE", &["request_id"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn undecodable_messages_to_health_are_the_callers_fault() {
    let gateway = Gateway::start().await;
    for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"] {
        for bytes in [vec![0xff], vec![0x0a, 0x7f, b'x'], vec![0xff; 20]] {
            let status = raw::call(&gateway, path, bytes).await.status();
            let refusal = Refusal::of_status(&status);
            assert_eq!(refusal.reason, "UNDECODABLE_MESSAGE", "{path}");
            assert_eq!(refusal.code, Code::InvalidArgument, "{path}");
        }
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_and_billed() {
    let gateway = Gateway::start().await;
    let refusal = Refusal::of(raw::call(&gateway, "/tollgate.v1.DataService/Steal", vec![]).await);
    refusal.is("UNIMPLEMENTED", &[]);
    refusal.cost_nothing();
    let totals = gateway.totals("").await;
    assert_eq!(totals.by_operation["_"].failed_call_count, 1);
    for path in [
        "/tollgate.v1.MetricsService/Steal",
        "/tollgate.v1.Nobody/Save",
        "/",
        "/x",
    ] {
        let response = raw::call(&gateway, path, vec![]).await;
        assert!(response.bill.has("tollgate-request-id"), "{path}");
        Refusal::of_status(&response.status()).is("UNIMPLEMENTED", &[]);
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn nesting_is_limited_to_dynamodbs_depth() {
    let gateway = Gateway::start().await;
    let secure = |value: Vec<u8>, attribute: &str| {
        let mut message = raw::save_request("SecureUser", attribute, &value);
        let key = save("", key("DEEP", "B"));
        message.extend_from_slice(&key.encode_to_vec());
        message
    };
    let within = raw::call(&gateway, SAVE, secure(raw::maps(31), "address")).await;
    assert!(within.outcome.is_ok(), "{:?}", within.outcome);
    for levels in [32, 33, 40, 1000] {
        let refusal = Refusal::of(raw::call(&gateway, SAVE, secure(raw::maps(levels), "address")).await);
        assert_eq!(refusal.code, Code::InvalidArgument, "{levels} maps");
        assert!(
            refusal.fields.len() == 1 && refusal.fields[0].starts_with("item"),
            "{levels} maps: {refusal:?}"
        );
        assert!(
            refusal.message.contains("32 levels"),
            "{levels} maps: {refusal:?}"
        );
        refusal.cost_nothing();
        let in_a_map = raw::field(
            7,
            &raw::field(
                1,
                &[raw::field(1, b"a"), raw::field(2, &raw::lists(levels))].concat(),
            ),
        );
        let refusal = Refusal::of(raw::call(&gateway, SAVE, secure(in_a_map, "address")).await);
        assert_eq!(refusal.code, Code::InvalidArgument, "{levels} lists");
        assert!(
            refusal.fields.len() == 1 && refusal.fields[0].starts_with("item"),
            "{levels} lists: {refusal:?}"
        );
        assert!(
            refusal.message.contains("32 levels"),
            "{levels} lists: {refusal:?}"
        );
    }
    for value in [raw::lists(1000), raw::maps(1000), raw::lists(50_000)] {
        let entry = [raw::field(1, b":x"), raw::field(2, &value)].concat();
        let condition = [raw::field(1, b"attribute_exists(pk)"), raw::field(2, &entry)].concat();
        let message = [raw::field(1, b"SecureUser"), raw::field(3, &condition)].concat();
        let refusal = Refusal::of(raw::call(&gateway, SAVE, message).await);
        assert_eq!(refusal.code, Code::InvalidArgument);
        assert!(
            refusal.fields.iter().any(|field| field.starts_with("condition")),
            "{refusal:?}"
        );
    }
    goes_on(&gateway).await;
}
