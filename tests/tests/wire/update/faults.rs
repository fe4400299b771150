//! Updates whose responses are lost: nothing is applied twice, and nothing is claimed that is not known.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, expression, item, key, n, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{ACCOUNT, gateway_of, read, returning};

fn once(fate: Fate) -> Wiretap {
    let asked = AtomicU64::new(0);
    Wiretap::new(
        move |name| match name == "UpdateItem" && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            true => fate,
            false => Fate::Pass,
        },
    )
}

async fn saved(wiretap: &Wiretap) -> Gateway {
    let gateway = gateway_of(wiretap, ACCOUNT).await;
    let mut account = key("A", "1");
    account.extend(item([("owner", s("Ada")), ("balance", n(1))]));
    gateway.save(save("Account", account)).await.ok();
    gateway
}

fn account<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    update("Account", key("A", "1"), text, values)
}

#[tokio::test]
async fn an_update_that_may_be_applied_is_not_repeated() {
    for fate in [Fate::LoseResponse, Fate::Error500] {
        let wiretap = once(fate);
        let gateway = saved(&wiretap).await;
        let refusal = Refusal::of(gateway.update(account("ADD balance :n", [(":n", n(1))])).await);
        assert_eq!(refusal.reason, "OUTCOME_UNKNOWN");
        assert_eq!(wiretap.count("UpdateItem"), 1);
        assert_eq!(refusal.bill.count("tollgate-retries"), 0);
        let expected = if fate == Fate::LoseResponse { 2 } else { 1 };
        assert_eq!(read(&gateway).await["balance"], n(expected), "{fate:?}");
    }
}

#[tokio::test]
async fn an_idempotent_update_is_repeated() {
    let wiretap = once(Fate::LoseResponse);
    let gateway = saved(&wiretap).await;
    let updated = gateway
        .update(account("SET note = :s REMOVE balance", [(":s", s("x"))]))
        .await;
    assert_eq!(updated.bill.count("tollgate-retries"), 1);
    updated.ok();
    assert_eq!(read(&gateway).await["note"], s("x"));
    // the old values would be those that the first attempt wrote
    let wiretap = once(Fate::LoseResponse);
    let gateway = saved(&wiretap).await;
    let old = returning(
        account("SET note = :s", [(":s", s("x"))]),
        v1::ReturnValues::AllOld,
    );
    assert_eq!(Refusal::of(gateway.update(old).await).reason, "OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn a_throttled_update_is_repeated() {
    let wiretap = once(Fate::Throttle);
    let gateway = saved(&wiretap).await;
    gateway
        .update(account("ADD balance :n", [(":n", n(1))]))
        .await
        .ok();
    assert_eq!(wiretap.count("UpdateItem"), 2);
    assert_eq!(read(&gateway).await["balance"], n(2));
}

#[tokio::test]
async fn a_condition_that_the_first_attempt_changed_is_no_false_conflict() {
    let conditional = |request| v1::UpdateRequest {
        condition: expression("attribute_not_exists(note)", []),
        ..request
    };
    // a ciphertext shows that it was this call
    let wiretap = once(Fate::LoseResponse);
    let gateway = saved(&wiretap).await;
    let sealed = account("SET note = :s, pin = :s", [(":s", s("x"))]);
    gateway.update(conditional(sealed)).await.ok();
    // an equal item may be another caller's
    let wiretap = once(Fate::LoseResponse);
    let gateway = saved(&wiretap).await;
    let plain = account("SET note = :s", [(":s", s("x"))]);
    let refusal = Refusal::of(gateway.update(conditional(plain)).await);
    assert_eq!(refusal.reason, "OUTCOME_UNKNOWN");
}
