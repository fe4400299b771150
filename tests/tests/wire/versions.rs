//! The optimistic lock: Save, Update and Delete expect a version, and a lost race changes nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, Item, delete, expression, get, item, key, n, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use v1::ReturnValues::{AllNew, AllOld};

const PAGE: &str = "
name: Page
table: pages
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  visits: { type: number }
  secret: { type: string, encrypted: { key_id: alias/my-app-key } }
  rev: { type: version }
";

async fn pages(wiretap: &Wiretap) -> Gateway {
    Gateway::of_models(PAGE, Setup::tapped(wiretap)).await
}

fn page(text: &str, version: Option<u64>) -> Item {
    let mut page = key("A", "1");
    page.insert("text".to_owned(), s(text));
    page.extend(version.map(|version| ("rev".to_owned(), n(version))));
    page
}

fn change<const N: usize>(
    version: u64,
    text: &str,
    values: [(&str, AttributeValue); N],
) -> v1::UpdateRequest {
    v1::UpdateRequest {
        version,
        ..update("Page", key("A", "1"), text, values)
    }
}

fn removal(version: u64) -> v1::DeleteRequest {
    v1::DeleteRequest {
        version,
        ..delete("Page", key("A", "1"))
    }
}

async fn read(gateway: &Gateway) -> Item {
    gateway.get(get("Page", key("A", "1"))).await.ok().item
}

/// Asserts a mismatch, and the current version in its metadata.
fn is_mismatch(refusal: &Refusal, current: &str) {
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Aborted, "VERSION_MISMATCH")
    );
    let info = refusal.details.error_info().expect("its reason");
    assert_eq!(info.metadata["current_version"], current);
}

fn once(operation: &'static str) -> Wiretap {
    let asked = AtomicU64::new(0);
    Wiretap::new(
        move |name| match name == operation && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            true => Fate::LoseResponse,
            false => Fate::Pass,
        },
    )
}

#[tokio::test]
async fn a_save_without_a_version_creates_and_with_one_replaces_it() {
    let gateway = pages(&Wiretap::counting()).await;
    let created = gateway.save(save("Page", page("one", None))).await.ok();
    assert_eq!(created.generated["rev"], n(1));
    let again = Refusal::of(gateway.save(save("Page", page("two", None))).await);
    assert_eq!(
        (again.code, again.reason.as_str()),
        (Code::AlreadyExists, "ALREADY_EXISTS")
    );
    let replaced = gateway.save(save("Page", page("two", Some(1)))).await.ok();
    assert_eq!(replaced.generated["rev"], n(2));
    assert_eq!(read(&gateway).await, page("two", Some(2)));
    let refusal = Refusal::of(gateway.save(save("Page", page("x", Some(0)))).await);
    refusal.is("INVALID_FIELD", &["item.rev"]);
}

#[tokio::test]
async fn a_client_that_retries_with_the_item_in_its_hand_does_not_overwrite_the_winner() {
    let gateway = pages(&Wiretap::counting()).await;
    gateway.save(save("Page", page("one", None))).await.ok();
    let in_hand = page("loser", Some(1));
    gateway.save(save("Page", page("winner", Some(1)))).await.ok();
    for _ in 0..2 {
        let refusal = Refusal::of(gateway.save(save("Page", in_hand.clone())).await);
        is_mismatch(&refusal, "2");
    }
    assert_eq!(read(&gateway).await, page("winner", Some(2)));
}

#[tokio::test]
async fn update_and_delete_honour_the_version() {
    let gateway = pages(&Wiretap::counting()).await;
    gateway.save(save("Page", page("one", None))).await.ok();
    let updated = gateway
        .update(change(1, "SET visits = :n", [(":n", n(1))]))
        .await
        .ok();
    assert_eq!(updated.generated["rev"], n(2));
    let stale = gateway.update(change(1, "SET visits = :n", [(":n", n(9))])).await;
    is_mismatch(&Refusal::of(stale), "2");
    is_mismatch(&Refusal::of(gateway.delete(removal(1)).await), "2");
    assert_eq!(read(&gateway).await["visits"], n(1));
    // without a version the lock is not checked, but the version counts on
    for values in [v1::ReturnValues::None, AllOld, AllNew] {
        let before = read(&gateway).await["rev"].clone();
        let request = v1::UpdateRequest {
            return_values: values.into(),
            ..change(0, "ADD visits :n", [(":n", n(1))])
        };
        let updated = gateway.update(request).await.ok();
        let after = read(&gateway).await["rev"].clone();
        assert_eq!(updated.generated["rev"], after, "{values:?}");
        assert_ne!(before, after);
    }
    gateway.delete(removal(5)).await.ok();
    is_mismatch(&Refusal::of(gateway.delete(removal(5)).await), "0");
    let gone = gateway.update(change(5, "SET visits = :n", [(":n", n(1))])).await;
    is_mismatch(&Refusal::of(gone), "0");
    is_mismatch(
        &Refusal::of(gateway.save(save("Page", page("x", Some(5)))).await),
        "0",
    );
}

#[tokio::test]
async fn a_condition_and_a_version_are_both_checked() {
    let gateway = pages(&Wiretap::counting()).await;
    gateway.save(save("Page", page("one", None))).await.ok();
    let condition = || expression("text = :t OR attribute_exists(secret)", [(":t", s("two"))]);
    let refusal = Refusal::of(
        gateway
            .save(v1::SaveRequest {
                condition: condition(),
                ..save("Page", page("x", Some(1)))
            })
            .await,
    );
    refusal.is("CONDITION_FAILED", &[]);
    let refusal = Refusal::of(
        gateway
            .update(v1::UpdateRequest {
                condition: condition(),
                ..change(1, "SET text = :x", [(":x", s("x"))])
            })
            .await,
    );
    refusal.is("CONDITION_FAILED", &[]);
    let refusal = Refusal::of(
        gateway
            .delete(v1::DeleteRequest {
                condition: condition(),
                ..removal(1)
            })
            .await,
    );
    refusal.is("CONDITION_FAILED", &[]);
}

#[tokio::test]
async fn an_update_cannot_set_the_version() {
    let gateway = pages(&Wiretap::counting()).await;
    let refusal = Refusal::of(gateway.update(change(0, "SET rev = :n", [(":n", n(7))])).await);
    refusal.is("INVALID_EXPRESSION", &["update.text"]);
}

#[tokio::test]
async fn a_retry_after_a_lost_response_is_no_false_conflict() {
    // the ciphertext shows that the item is this call's
    for version in [None, Some(1)] {
        let wiretap = once("PutItem");
        let gateway = pages(&wiretap).await;
        if version.is_some() {
            gateway
                .update(change(0, "SET text = :t", [(":t", s("one"))]))
                .await
                .ok();
        }
        let mut sealed = page("two", version);
        sealed.extend(item([("secret", s("x"))]));
        let saved = gateway.save(save("Page", sealed)).await;
        assert_eq!(saved.bill.count("tollgate-retries"), 1);
        assert_eq!(saved.ok().generated["rev"], n(version.unwrap_or_default() + 1));
    }
    let wiretap = once("UpdateItem");
    let gateway = pages(&wiretap).await;
    gateway.save(save("Page", page("one", None))).await.ok();
    let sealed = change(1, "SET secret = :x ADD visits :n", [(":x", s("x")), (":n", n(1))]);
    let updated = gateway.update(sealed).await.ok();
    assert_eq!(updated.generated["rev"], n(2));
    assert_eq!(read(&gateway).await["visits"], n(1));
    // nothing of these is certainly this call's
    let wiretap = once("UpdateItem");
    let gateway = pages(&wiretap).await;
    gateway.save(save("Page", page("one", None))).await.ok();
    let plain = gateway.update(change(1, "ADD visits :n", [(":n", n(1))])).await;
    assert_eq!(Refusal::of(plain).reason, "OUTCOME_UNKNOWN");
    assert_eq!(read(&gateway).await["visits"], n(1));
    let wiretap = once("PutItem");
    let gateway = pages(&wiretap).await;
    let plain = gateway.save(save("Page", page("one", None))).await;
    assert_eq!(Refusal::of(plain).reason, "OUTCOME_UNKNOWN");
    let wiretap = once("DeleteItem");
    let gateway = pages(&wiretap).await;
    gateway.save(save("Page", page("one", None))).await.ok();
    assert_eq!(
        Refusal::of(gateway.delete(removal(1)).await).reason,
        "OUTCOME_UNKNOWN"
    );
}
