//! Errors about models and keys.

use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, b, delete, get, item, key, n, query, s, save, scan};

use super::fields::refused_item;
use super::goes_on;

#[tokio::test]
async fn an_unknown_model_is_named() {
    let gateway = Gateway::start().await;
    let nobody = key("A", "B");
    for refusal in [
        Refusal::of(gateway.save(save("Nobody", nobody.clone())).await),
        Refusal::of(gateway.get(get("Nobody", nobody.clone())).await),
        Refusal::of(gateway.delete(delete("Nobody", nobody)).await),
        Refusal::of(gateway.query(query("Nobody", "A")).await),
        Refusal::of(gateway.scan(scan("Nobody")).await),
    ] {
        refusal.is("UNKNOWN_MODEL", &[]);
        refusal.cost_nothing();
        assert_eq!(refusal.details.resource_info().unwrap().resource_name, "Nobody");
    }
    let missing = gateway
        .schema()
        .get_model(v1::GetModelRequest {
            name: "Nobody".to_owned(),
        })
        .await
        .unwrap_err();
    Refusal::of_status(&missing).is("UNKNOWN_MODEL", &[]);
    let totals = v1::GetTotalMetricsRequest {
        model: "Nobody".to_owned(),
        session: String::new(),
    };
    Refusal::of_status(&gateway.metrics().get_total_metrics(totals).await.unwrap_err())
        .is("UNKNOWN_MODEL", &[]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn unknown_sessions_and_items_are_not_found() {
    let gateway = Gateway::start().await;
    let mut metrics = gateway.metrics();
    let session = v1::GetTotalMetricsRequest {
        session: "nobody".to_owned(),
        model: String::new(),
    };
    let refusal = Refusal::of_status(&metrics.get_total_metrics(session).await.unwrap_err());
    refusal.is("UNKNOWN_SESSION", &[]);
    assert_eq!(refusal.details.resource_info().unwrap().resource_name, "nobody");
    let session = v1::ResetMetricsRequest {
        session: "nobody".to_owned(),
        model: String::new(),
    };
    Refusal::of_status(&metrics.reset_metrics(session).await.unwrap_err()).is("UNKNOWN_SESSION", &[]);
    let request = v1::GetCallMetricsRequest {
        request_id: "nobody".to_owned(),
    };
    Refusal::of_status(&metrics.get_call_metrics(request).await.unwrap_err()).is("UNKNOWN_REQUEST", &[]);
    let refusal = Refusal::of(gateway.get(get("User", key("A", "B"))).await);
    refusal.is("ITEM_NOT_FOUND", &[]);
    assert!(refusal.details.resource_info().is_some());
    for (model, index) in [("User", "by_email"), ("Document", "x")] {
        let index = index.to_owned();
        let queried = gateway
            .query(v1::QueryRequest {
                index: index.clone(),
                ..query(model, "A")
            })
            .await;
        let scanned = gateway
            .scan(v1::ScanRequest {
                index: index.clone(),
                ..scan(model)
            })
            .await;
        for refusal in [Refusal::of(queried), Refusal::of(scanned)] {
            refusal.is("UNKNOWN_INDEX", &[]);
            assert_eq!(refusal.details.resource_info().unwrap().resource_name, index);
        }
    }
    gateway.delete(delete("User", key("A", "B"))).await.ok();
    goes_on(&gateway).await;
}

#[tokio::test]
async fn a_key_has_exactly_the_key_attributes() {
    let gateway = Gateway::start().await;
    let cases: [(Item, &[&str]); 7] = [
        (item([("pk", s("A"))]), &["sk"]),
        (item([]), &["pk", "sk"]),
        (item([("pk", n(1)), ("sk", s("B"))]), &["pk"]),
        (
            item([("pk", s("A")), ("sk", s("B")), ("name", s("x"))]),
            &["name"],
        ),
        (item([("pk", s("")), ("sk", s("B"))]), &["pk"]),
        (
            item([("pk", s("p".repeat(2049))), ("sk", s("s".repeat(1025)))]),
            &["pk", "sk"],
        ),
        (item([("sk", b(vec![1])), ("x", n(1))]), &["pk", "sk", "x"]),
    ];
    for (wrong, fields) in cases {
        let fields: Vec<_> = fields.iter().map(|name| format!("key.{name}")).collect();
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        for refusal in [
            Refusal::of(gateway.get(get("User", wrong.clone())).await),
            Refusal::of(gateway.delete(delete("User", wrong.clone())).await),
        ] {
            refusal.is("INVALID_FIELD", &fields);
            refusal.cost_nothing();
        }
    }
    let cases: [(Item, &[&str]); 3] = [
        (item([("pk", s("A")), ("name", s("x"))]), &["item.sk"]),
        (item([]), &["item.pk", "item.sk"]),
        (item([("pk", s("")), ("sk", n(1))]), &["item.pk", "item.sk"]),
    ];
    for (wrong, fields) in cases {
        refused_item(&gateway, "User", wrong)
            .await
            .is("INVALID_FIELD", fields);
    }
    goes_on(&gateway).await;
}
