//! Limits: the size of an item and of a message, calls in flight, deadlines.

use tollgate_proto::v1;
use tollgate_tests::external::{Store, store};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{document, get, key, s, save, secure_user, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

use super::goes_on;

#[tokio::test]
async fn an_item_is_at_most_400_kb() {
    let gateway = Gateway::start().await;
    let mut huge = user("A", "1");
    huge.insert("name".to_owned(), s("x".repeat(410 * 1024)));
    let refusal = Refusal::of(gateway.save(save("User", huge)).await);
    refusal.is("ITEM_TOO_LARGE", &["item"]);
    refusal.cost_nothing();
    // under the limit in plaintext, over it when encrypted: the nonce, the tag and the wrapped key come on top
    let mut sealed = secure_user("A", "B");
    let rest = 400 * 1024 - 200;
    sealed.insert("ssn".to_owned(), s("x".repeat(rest)));
    let refusal = Refusal::of(gateway.save(save("SecureUser", sealed)).await);
    refusal.is("ITEM_TOO_LARGE", &["item"]);
    assert_eq!(
        refusal.bill.count("tollgate-dynamodb-calls"),
        0,
        "nothing was written"
    );
    let mut large = user("L", "1");
    large.insert("name".to_owned(), s("x".repeat(390 * 1024)));
    gateway.save(save("User", large)).await.ok();
    goes_on(&gateway).await;
}

#[tokio::test]
async fn a_message_is_at_most_as_large_as_the_setting() {
    let settings = vec![("TOLLGATE_LIMITS__MESSAGE_BYTES", "1MiB".to_owned())];
    let gateway = Gateway::with(Setup {
        settings,
        ..Setup::default()
    })
    .await;
    for bytes in [1024 * 1024 + 1, 8 * 1024 * 1024] {
        let refusal = Refusal::of(
            gateway
                .save(save("Document", document("A", vec![1; bytes])))
                .await,
        );
        refusal.is("MESSAGE_TOO_LARGE", &[]);
        assert_eq!(refusal.code, Code::ResourceExhausted);
        let quota = refusal.details.quota_failure().expect("a limit of ours is named");
        assert_eq!(quota.violations[0].subject, "limits.message_bytes");
        refusal.cost_nothing();
    }
    gateway
        .save(save("Document", document("A", vec![1; 1000 * 1024])))
        .await
        .ok();
    goes_on(&gateway).await;
}

/// The first GetItem gets no response.
fn hanging_once() -> Wiretap {
    let first = std::sync::Once::new();
    Wiretap::new(move |operation| {
        let mut fate = Fate::Pass;
        if operation == "GetItem" {
            first.call_once(|| fate = Fate::Hang);
        }
        fate
    })
}

#[tokio::test]
async fn calls_in_flight_are_bounded() {
    let wiretap = hanging_once();
    let settings = vec![("TOLLGATE_LIMITS__IN_FLIGHT", "1".to_owned())];
    let gateway = Gateway::with(Setup {
        settings,
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    })
    .await;
    let mut data = gateway.data();
    let held = tokio::spawn(async move { data.get(get("User", key("A", "B"))).await });
    until("the first call waits for the store", async || {
        wiretap.count("GetItem") == 1
    })
    .await;
    let refusal = Refusal::of(gateway.get(get("User", key("A", "B"))).await);
    refusal.is("TOO_MANY_CALLS", &[]);
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(
        refusal.details.quota_failure().unwrap().violations[0].subject,
        "limits.in_flight"
    );
    assert!(refusal.details.retry_info().is_some());
    refusal.cost_nothing();
    gateway.totals("").await;
    held.abort();
    let again = async || gateway.save(save("User", user("A", "1"))).await.outcome.is_ok();
    until("the place of the caller who left is free", again).await;
    goes_on(&gateway).await;
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_with_its_bill() {
    let wiretap = Wiretap::new(|operation| match operation {
        "GetItem" | "Query" | "GenerateDataKey" => Fate::Hang,
        _ => Fate::Pass,
    });
    let deadline_ms = match store() {
        Store::Embedded => 50,
        Store::Moto | Store::DynamoDbLocal => 1000,
    };
    let settings = vec![("TOLLGATE_LIMITS__DEADLINE", format!("{deadline_ms}ms"))];
    let gateway = Gateway::with(Setup {
        settings,
        wiretap: Some(wiretap),
        ..Setup::default()
    })
    .await;
    let refusal = Refusal::of(gateway.get(get("User", key("A", "B"))).await);
    refusal.is("DEADLINE_EXCEEDED", &[]);
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 1);
    assert!(refusal.bill.decimal("tollgate-duration-ms") >= f64::from(deadline_ms));
    let refusal = Refusal::of(gateway.query(tollgate_tests::values::query("User", "A")).await);
    refusal.is("DEADLINE_EXCEEDED", &[]);
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 1);
    let refusal = Refusal::of(gateway.save(save("User", user("A", "1"))).await);
    refusal.is("DEADLINE_EXCEEDED", &[]);
    assert_eq!(refusal.bill.count("tollgate-kms-calls"), 1);
    assert_eq!(
        refusal.bill.count("tollgate-dynamodb-calls"),
        0,
        "nothing was written"
    );
    let found = gateway
        .scan(v1::ScanRequest {
            model: "User".to_owned(),
            ..v1::ScanRequest::default()
        })
        .await;
    assert!(found.ok().iter().all(|page| page.results.is_empty()));
}
