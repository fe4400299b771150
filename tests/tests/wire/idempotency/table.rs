//! `idempotency: { table }`: a marker remembers each request and its outcome.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as Stored;
use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, delete, expression, get, item, key, n, s, save, scan, update};
use tollgate_tests::wiretap::Wiretap;
use tonic::Code;
use v1::ReturnValues;

use super::{changing, is_other_request, note, removing, saving, serving};

pub(super) const MODELS: &str = "
name: Note
table: notes
partition_key: pk
sort_key: sk
idempotency: { table: request-ids }
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  hits: { type: number, max: 100 }
  made: { type: string, generate: ulid }
  at: { type: string, generate: utc_now_on_write }
  secret: { type: string, generate: uuid4, encrypted: { key_id: alias/my-app-key } }
---
name: Page
table: pages
partition_key: pk
sort_key: sk
idempotency: { table: request-ids }
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  hits: { type: number }
  rev: { type: version }
---
name: Photo
table: photos
partition_key: pk
sort_key: sk
idempotency: { table: request-ids }
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  content: { type: object, s3: { bucket: photo-bucket } }
---
name: Order
table: orders
partition_key: id
idempotency: { table: request-ids }
attributes:
  id: { type: string, generate: ulid }
  text: { type: string }
";

/// Whether a call failed, and its reason.
pub(super) fn reason<T>(result: CallResult<T>) -> String {
    Refusal::of(result).reason
}

pub(super) async fn read(gateway: &Gateway, model: &str) -> Option<Item> {
    let request = v1::GetRequest {
        consistent_read: true,
        ..get(model, key("A", "1"))
    };
    match gateway.get(request).await.outcome {
        Ok(found) => Some(found.item),
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            None
        }
    }
}

/// All markers, as stored.
pub(super) async fn markers(wiretap: &Wiretap) -> Vec<HashMap<String, Stored>> {
    let scan = wiretap.stores().dynamodb.scan().table_name("request-ids");
    scan.send()
        .await
        .expect("the engine responds")
        .items
        .unwrap_or_default()
}

#[tokio::test]
async fn a_save_and_its_marker_are_one_transaction() {
    differs_on!(Moto, "capacity");
    differs_on!(DynamoDbLocal, "transaction-tables");
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let first = gateway.save(saving("Note", note("one"), "a")).await;
    assert_eq!(
        wiretap.counts(),
        [("GenerateDataKey".into(), 1), ("TransactWriteItems".into(), 1)].into()
    );
    let wcu = first.bill.decimal("tollgate-wcu");
    assert!(
        (wcu - 4.0).abs() < f64::EPSILON,
        "twice for the item, twice for its marker: {wcu}"
    );
    let first = first.ok();
    let stored = read(&gateway, "Note").await.expect("an item");
    let repeat = gateway.save(saving("Note", note("one"), "a")).await;
    assert!(
        repeat.bill.decimal("tollgate-wcu").abs() < f64::EPSILON,
        "{:?}",
        repeat.bill
    );
    let repeat = repeat.ok();
    assert!(
        ["made", "at", "secret"]
            .iter()
            .all(|name| first.generated.contains_key(*name))
    );
    assert_eq!(repeat.generated, first.generated);
    assert_eq!(read(&gateway, "Note").await, Some(stored));
    let found = markers(&wiretap).await;
    assert_eq!(found.len(), 1);
    let marker = &found[0];
    assert_eq!(marker["id"].as_s().expect("a string").len(), 64);
    assert!(
        marker["generated"].is_b(),
        "the model encrypts: so does its marker"
    );
    assert!(marker["expires"].is_n());
    is_other_request(&Refusal::of(gateway.save(saving("Note", note("two"), "a")).await));
    is_other_request(&Refusal::of(gateway.delete(removing("Note", "a")).await));
    assert_eq!(read(&gateway, "Note").await.expect("an item")["text"], s("one"));
    // the same id of another model is another request
    gateway.save(saving("Page", note("one"), "a")).await.ok();
    assert!(
        markers(&wiretap)
            .await
            .iter()
            .any(|marker| marker["generated"].is_l())
    );
}

#[tokio::test]
async fn later_writes_do_not_make_a_repeat_write_again() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let add = || changing("Note", "ADD hits :n", [(":n", n(1))], "a");
    let first = gateway.update(add()).await.ok();
    gateway
        .update(update("Note", key("A", "1"), "SET hits = :n", [(":n", n(50))]))
        .await
        .ok();
    assert_eq!(gateway.update(add()).await.ok().generated, first.generated);
    assert_eq!(read(&gateway, "Note").await.expect("an item")["hits"], n(50));
    gateway.delete(removing("Note", "b")).await.ok();
    gateway.save(save("Note", note("new"))).await.ok();
    gateway.delete(removing("Note", "b")).await.ok();
    assert_eq!(read(&gateway, "Note").await.expect("it stays")["text"], s("new"));
}

#[tokio::test]
async fn a_key_that_the_server_generates_is_made_once() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let order = || saving("Order", item([("text", s("one"))]), "a");
    let first = gateway.save(order()).await.ok();
    let all_new = v1::SaveRequest {
        return_values: ReturnValues::AllNew.into(),
        ..order()
    };
    let repeat = gateway.save(all_new).await.ok();
    assert_eq!(repeat.generated, first.generated);
    assert!(repeat.item.is_empty());
    let pages = gateway.scan(scan("Order")).await.ok();
    let count: usize = pages.iter().map(|page| page.results.len()).sum();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn refused_writes_stay_refused() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let conditional = |id: &str| v1::SaveRequest {
        condition: expression("attribute_exists(pk)", []),
        ..saving("Note", note("one"), id)
    };
    assert_eq!(reason(gateway.save(conditional("a")).await), "CONDITION_FAILED");
    let must_exist = |id: &str| v1::UpdateRequest {
        must_exist: true,
        ..changing("Note", "SET hits = :n", [(":n", n(7))], id)
    };
    assert_eq!(reason(gateway.update(must_exist("b")).await), "ITEM_NOT_FOUND");
    gateway.save(save("Note", note("there now"))).await.ok();
    wiretap.clear();
    assert_eq!(reason(gateway.save(conditional("a")).await), "CONDITION_FAILED");
    assert_eq!(wiretap.count("PutItem"), 0, "it is remembered already");
    assert_eq!(reason(gateway.update(must_exist("b")).await), "ITEM_NOT_FOUND");
    gateway.save(conditional("c")).await.ok();
    gateway.update(must_exist("d")).await.ok();
    let beyond = |id: &str| changing("Note", "ADD hits :n", [(":n", n(99))], id);
    let refusal = Refusal::of(gateway.update(beyond("e")).await);
    assert!(refusal.message.contains("hits"), "{refusal:?}");
    gateway
        .update(update("Note", key("A", "1"), "SET hits = :n", [(":n", n(1))]))
        .await
        .ok();
    let repeat = Refusal::of(gateway.update(beyond("e")).await);
    assert_eq!((repeat.reason, repeat.message), (refusal.reason, refusal.message));
    let refused = Refusal::of(
        gateway
            .delete(v1::DeleteRequest {
                condition: expression("text = :t", [(":t", s("other"))]),
                ..removing("Note", "f")
            })
            .await,
    );
    refused.is("CONDITION_FAILED", &[]);
    let current = changing("Note", "SET text.x = :t", [(":t", s("x"))], "g");
    assert_eq!(reason(gateway.update(current).await), "INVALID_EXPRESSION");
    let other = changing("Note", "SET text = :t", [(":t", s("x"))], "g");
    gateway.update(other).await.ok();
}

#[tokio::test]
async fn the_lock_is_remembered_too() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    for _ in 0..2 {
        let saved = gateway.save(saving("Page", note("one"), "a")).await.ok();
        assert_eq!(saved.generated["rev"], n(1));
        assert_eq!(
            reason(gateway.save(saving("Page", note("one"), "b")).await),
            "ALREADY_EXISTS"
        );
    }
    let stale = |id: &str| v1::UpdateRequest {
        version: 2,
        ..changing("Page", "ADD hits :n", [(":n", n(1))], id)
    };
    let refused = Refusal::of(gateway.update(stale("c")).await);
    assert_eq!(
        refused.details.error_info().expect("a reason").metadata["current_version"],
        "1"
    );
    let current = || v1::UpdateRequest {
        version: 1,
        ..stale("d")
    };
    for _ in 0..2 {
        assert_eq!(gateway.update(current()).await.ok().generated["rev"], n(2));
    }
    let repeat = Refusal::of(gateway.update(stale("c")).await);
    assert_eq!(
        repeat.details.error_info().expect("a reason").metadata["current_version"],
        "1"
    );
    let unchecked = || changing("Page", "ADD hits :n", [(":n", n(1))], "e");
    for _ in 0..2 {
        assert!(gateway.update(unchecked()).await.ok().generated.is_empty());
    }
    let page = read(&gateway, "Page").await.expect("an item");
    assert_eq!((&page["hits"], &page["rev"]), (&n(2), &n(3)));
    let removal = || v1::DeleteRequest {
        version: 3,
        ..removing("Page", "f")
    };
    for _ in 0..2 {
        gateway.delete(removal()).await.ok();
    }
}

#[tokio::test]
async fn stored_values_are_not_returned() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let all_old: i32 = ReturnValues::AllOld.into();
    let saved = v1::SaveRequest {
        return_values: all_old,
        ..saving("Note", note("one"), "a")
    };
    let changed = v1::UpdateRequest {
        return_values: ReturnValues::UpdatedNew.into(),
        ..changing("Note", "ADD hits :n", [(":n", n(1))], "a")
    };
    let removed = v1::DeleteRequest {
        return_values: all_old,
        ..removing("Note", "a")
    };
    for refused in [
        Refusal::of(gateway.save(saved).await),
        Refusal::of(gateway.update(changed).await),
        Refusal::of(gateway.delete(removed).await),
    ] {
        refused.is("INVALID_FIELD", &["return_values"]);
        refused.cost_nothing();
    }
    let all_new = v1::SaveRequest {
        return_values: ReturnValues::AllNew.into(),
        ..saving("Note", note("one"), "a")
    };
    let saved = gateway.save(all_new).await.ok();
    assert_eq!(
        (&saved.item["text"], &saved.item["made"]),
        (&s("one"), &saved.generated["made"])
    );
    // without an id they are
    let old = v1::DeleteRequest {
        return_values: all_old,
        ..delete("Note", key("A", "1"))
    };
    assert_eq!(gateway.delete(old).await.ok().old_item["text"], s("one"));
}

#[tokio::test]
async fn an_expired_marker_is_replaced_and_a_damaged_one_is_reported() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let add = || changing("Note", "ADD hits :n", [(":n", n(1))], "a");
    gateway.update(add()).await.ok();
    let mut marker = markers(&wiretap).await.remove(0);
    let mut damaged = marker.clone();
    damaged.insert("generated".to_owned(), Stored::S("x".to_owned()));
    wiretap.stores().put("request-ids", damaged).await;
    let refused = Refusal::of(gateway.update(add()).await);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::DataLoss, "ITEM_INVALID")
    );
    marker.insert("expires".to_owned(), Stored::N("1000".to_owned()));
    wiretap.stores().put("request-ids", marker).await;
    gateway.update(add()).await.ok();
    assert_eq!(read(&gateway, "Note").await.expect("an item")["hits"], n(2));
    assert_eq!(markers(&wiretap).await.len(), 1);
}

#[tokio::test]
async fn the_embedded_backend_removes_expired_markers() {
    differs_on!(Moto | DynamoDbLocal, "expiry");
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    gateway.save(saving("Page", note("one"), "live")).await.ok();
    for number in 0..150 {
        let expired = HashMap::from([
            ("id".to_owned(), Stored::S(number.to_string())),
            ("expires".to_owned(), Stored::N("1000".to_owned())),
        ]);
        wiretap.stores().put("request-ids", expired).await;
    }
    until("only the live marker is left", async || {
        markers(&wiretap).await.len() == 1
    })
    .await;
    let repeat = gateway.save(saving("Page", note("one"), "live")).await.ok();
    assert_eq!(repeat.generated["rev"], n(1));
}
