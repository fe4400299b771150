//! Failing stores: reported by kind, every attempt billed, no more detail than the contract allows.

use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::values::{delete, document, get, item, key, query, s, save, scan, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

/// Every request of one operation has this fate.
async fn with(operation: &'static str, fate: Fate) -> Gateway {
    Gateway::tapped(&Wiretap::new(
        move |asked| if asked == operation { fate } else { Fate::Pass },
    ))
    .await
}

#[tokio::test]
async fn an_unreachable_store_is_unavailable() {
    for (fate, reason) in [
        (Fate::Error500, "STORE_UNAVAILABLE"),
        (Fate::Throttle, "THROTTLED"),
    ] {
        let gateway = with("GetItem", fate).await;
        let refusal = Refusal::of(gateway.get(get("User", key("A", "B"))).await);
        refusal.is(reason, &[]);
        assert_eq!(refusal.code, Code::Unavailable);
        assert!(refusal.details.retry_info().is_some());
        assert_eq!(
            refusal.bill.count("tollgate-dynamodb-calls"),
            3,
            "every attempt is billed"
        );
        assert_eq!(refusal.bill.count("tollgate-retries"), 2);
    }
}

#[tokio::test]
async fn streams_fail_with_the_bill_too() {
    let gateway = with("Query", Fate::Throttle).await;
    let refusal = Refusal::of(gateway.query(query("User", "A")).await);
    refusal.is("THROTTLED", &[]);
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 3);
    let gateway = with("Scan", Fate::Error500).await;
    Refusal::of(gateway.scan(scan("User")).await).is("STORE_UNAVAILABLE", &[]);
}

#[tokio::test]
async fn a_write_with_a_lost_response_is_looked_up() {
    let gateway = with("PutItem", Fate::LoseResponse).await;
    let saved = gateway.save(save("User", user("A", "1"))).await;
    assert_eq!(
        saved.bill.count("tollgate-dynamodb-calls"),
        4,
        "three attempts, and a look at what they did"
    );
    saved.ok();
    assert_eq!(
        gateway.get(get("User", key("A", "PROFILE"))).await.ok().item,
        user("A", "1")
    );
}

#[tokio::test]
async fn a_write_with_an_unknown_outcome_is_reported() {
    let wiretap = Wiretap::new(|operation| match operation {
        "PutItem" | "DeleteItem" => Fate::LoseResponse,
        "GetItem" => Fate::Error500,
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let refusal = Refusal::of(gateway.save(save("User", user("A", "1"))).await);
    refusal.is("OUTCOME_UNKNOWN", &[]);
    assert!(refusal.details.retry_info().is_some());
    assert!(
        wiretap.stores().item("users", "A", "PROFILE").await.is_some(),
        "it was done"
    );
    Refusal::of(gateway.delete(delete("User", key("A", "PROFILE"))).await).is("OUTCOME_UNKNOWN", &[]);
    assert!(
        wiretap.stores().item("users", "A", "PROFILE").await.is_none(),
        "it was done"
    );
}

#[tokio::test]
async fn no_item_is_written_if_kms_is_down() {
    let gateway = with("GenerateDataKey", Fate::Error500).await;
    let refusal = Refusal::of(gateway.save(save("User", user("A", "1"))).await);
    refusal.is("STORE_UNAVAILABLE", &[]);
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 0);
    assert_eq!(refusal.bill.count("tollgate-kms-calls"), 3);
    Refusal::of(gateway.get(get("User", key("A", "PROFILE"))).await).is("ITEM_NOT_FOUND", &[]);
}

#[tokio::test]
async fn a_missing_table_or_bucket_is_named() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let stores = wiretap.stores();
    stores
        .dynamodb
        .delete_table()
        .table_name("users")
        .send()
        .await
        .unwrap();
    for refusal in [
        Refusal::of(gateway.get(get("User", key("A", "B"))).await),
        Refusal::of(gateway.query(query("User", "A")).await),
        Refusal::of(gateway.save(save("User", user("A", "1"))).await),
    ] {
        refusal.is("RESOURCE_MISSING", &[]);
        assert_eq!(refusal.code, Code::FailedPrecondition);
        assert_eq!(
            refusal.details.precondition_failure().unwrap().violations[0].subject,
            "users"
        );
    }
    stores
        .s3
        .delete_bucket()
        .bucket("my-bucket")
        .send()
        .await
        .unwrap();
    let refusal = Refusal::of(gateway.save(save("Document", document("A", vec![1]))).await);
    refusal.is("RESOURCE_MISSING", &[]);
    assert_eq!(
        refusal.details.precondition_failure().unwrap().violations[0].subject,
        "my-bucket"
    );
    assert_eq!(
        refusal.bill.count("tollgate-dynamodb-calls"),
        0,
        "nothing was written"
    );
}

#[tokio::test]
async fn encryption_modes_are_kept() {
    const MODES: &str = "
name: Writer
table: modes
partition_key: pk
attributes:
  pk: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key, mode: write_only } }
---
name: Reader
table: modes
partition_key: pk
attributes:
  pk: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key, mode: read_only } }
";
    let models = tempfile::tempdir().unwrap();
    std::fs::write(models.path().join("modes.yaml"), MODES).unwrap();
    let wiretap = Wiretap::counting();
    let setup = Setup {
        models: Some(models.path().to_owned()),
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    };
    let gateway = Gateway::with(setup).await;
    let written = item([("pk", s("A")), ("ssn", s("078-05-1120"))]);
    let refusal = Refusal::of(gateway.save(save("Reader", written.clone())).await);
    refusal.is("ENCRYPTION_MODE", &[]);
    assert_eq!(
        refusal.details.precondition_failure().unwrap().violations[0].subject,
        "item.ssn"
    );
    refusal.cost_nothing();
    gateway.save(save("Writer", written.clone())).await.ok();
    let stored = wiretap
        .stores()
        .dynamodb
        .get_item()
        .table_name("modes")
        .key("pk", text("A"))
        .send()
        .await
        .unwrap();
    assert!(
        stored.item.unwrap()["ssn"].is_b(),
        "no mode stores a value in plaintext"
    );
    let withheld = gateway.get(get("Writer", item([("pk", s("A"))]))).await;
    assert_eq!(
        withheld.bill.count("tollgate-kms-calls"),
        0,
        "what is withheld is not opened"
    );
    let withheld = withheld.ok();
    assert_eq!(
        (withheld.item, withheld.withheld),
        (item([("pk", s("A"))]), vec!["ssn".to_owned()])
    );
    assert_eq!(
        gateway.get(get("Reader", item([("pk", s("A"))]))).await.ok().item,
        written
    );
}
