//! `idempotency: item`: the item remembers the id of its newest write.

use futures::future::join_all;
use futures::stream;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::batch_write_response::Result as Written;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    AttributeValue, Item, expression, get, item, key, n, object, query, s, save, update,
};
use tollgate_tests::wiretap::Wiretap;
use v1::ReturnValues;

use super::{changing, is_other_request, losing, note, removing, saving, serving};

const MODELS: &str = "
name: Note
table: notes
partition_key: pk
sort_key: sk
idempotency: item
unknown_attributes: keep
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  hits: { type: number }
  made: { type: string, generate: ulid }
  at: { type: string, generate: utc_now_on_write }
  secret: { type: string, generate: uuid4, encrypted: { key_id: alias/my-app-key } }
---
name: Page
table: pages
partition_key: pk
sort_key: sk
idempotency: item
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
idempotency: item
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  image: { type: object, s3: { bucket: photo-bucket } }
";

async fn read(gateway: &Gateway, model: &str) -> Item {
    let request = v1::GetRequest {
        consistent_read: true,
        ..get(model, key("A", "1"))
    };
    gateway.get(request).await.ok().item
}

fn is_unset(item: &Item) -> bool {
    !item.contains_key("_tollgate_id")
}

#[tokio::test]
async fn a_repeated_save_returns_what_the_first_generated_and_changes_nothing() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let first = gateway.save(saving("Note", note("one"), "a")).await.ok();
    let stored = read(&gateway, "Note").await;
    let repeat = gateway.save(saving("Note", note("one"), "a")).await.ok();
    assert_eq!(repeat.generated, first.generated);
    assert!(
        ["made", "at", "secret"]
            .iter()
            .all(|name| first.generated.contains_key(*name))
    );
    assert_eq!(read(&gateway, "Note").await, stored);
    is_other_request(&Refusal::of(gateway.save(saving("Note", note("two"), "a")).await));
    let conditional = v1::SaveRequest {
        condition: expression("attribute_exists(pk)", []),
        ..saving("Note", note("one"), "a")
    };
    is_other_request(&Refusal::of(gateway.save(conditional).await));
    let other = changing("Note", "SET hits = :n", [(":n", n(1))], "a");
    is_other_request(&Refusal::of(gateway.update(other).await));
    // the id of another item, and another id
    let mut elsewhere = note("one");
    elsewhere.insert("sk".to_owned(), s("2"));
    gateway.save(saving("Note", elsewhere, "a")).await.ok();
    let third = gateway.save(saving("Note", note("one"), "b")).await.ok();
    assert_ne!(third.generated["made"], first.generated["made"]);
    // without an id, every Save writes
    let fourth = gateway.save(save("Note", note("one"))).await.ok();
    assert_ne!(fourth.generated["made"], third.generated["made"]);
}

#[tokio::test]
async fn a_condition_that_the_first_save_made_false_does_not_refuse_its_repeat() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let create = || v1::SaveRequest {
        condition: expression("attribute_not_exists(pk)", []),
        return_values: ReturnValues::AllNew.into(),
        ..saving("Note", note("one"), "a")
    };
    let first = gateway.save(create()).await.ok();
    assert!(is_unset(&first.item) && first.item["text"] == s("one"));
    let repeat = gateway.save(create()).await.ok();
    assert_eq!(repeat.generated, first.generated);
    assert!(
        repeat.item.is_empty(),
        "a repeat returns what was generated, no item"
    );
    let refused = Refusal::of(
        gateway
            .save(v1::SaveRequest {
                request_id: "b".to_owned(),
                ..create()
            })
            .await,
    );
    refused.is("CONDITION_FAILED", &[]);
    // a refused request is not remembered
    let allowed = v1::SaveRequest {
        condition: expression("attribute_exists(pk)", []),
        ..saving("Note", note("one"), "b")
    };
    gateway.save(allowed).await.ok();
}

#[tokio::test]
async fn the_lock_holds_for_other_requests_only() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    for _ in 0..2 {
        let saved = gateway.save(saving("Page", note("one"), "a")).await.ok();
        assert_eq!(saved.generated["rev"], n(1));
    }
    let mut second = note("two");
    second.insert("rev".to_owned(), n(1));
    for _ in 0..2 {
        let saved = gateway.save(saving("Page", second.clone(), "b")).await.ok();
        assert_eq!(saved.generated["rev"], n(2));
    }
    let stale = Refusal::of(gateway.save(saving("Page", second, "c")).await);
    assert_eq!(stale.reason, "VERSION_MISMATCH");
    let create = Refusal::of(gateway.save(saving("Page", note("one"), "d")).await);
    assert_eq!(create.reason, "ALREADY_EXISTS");
    for _ in 0..2 {
        let checked = v1::UpdateRequest {
            version: 2,
            ..changing("Page", "ADD hits :n", [(":n", n(1))], "e")
        };
        assert_eq!(gateway.update(checked).await.ok().generated["rev"], n(3));
    }
    // a repeat does not know which version an unchecked update set
    let unchecked = || changing("Page", "ADD hits :n", [(":n", n(1))], "f");
    assert_eq!(gateway.update(unchecked()).await.ok().generated["rev"], n(4));
    assert!(gateway.update(unchecked()).await.ok().generated.is_empty());
    let page = read(&gateway, "Page").await;
    assert_eq!((&page["hits"], &page["rev"]), (&n(2), &n(4)));
}

#[tokio::test]
async fn a_counter_is_added_to_once_when_responses_are_lost() {
    // one lost response: the SDK repeats; all lost: the caller does
    for times in [1, 2, 3] {
        for returned in [ReturnValues::None, ReturnValues::AllNew, ReturnValues::AllOld] {
            let wiretap = losing("UpdateItem", times);
            let gateway = serving(MODELS, &wiretap).await;
            gateway.save(save("Note", note("one"))).await.ok();
            let add = || v1::UpdateRequest {
                return_values: returned.into(),
                ..changing("Note", "ADD hits :n", [(":n", n(1))], "a")
            };
            let first = gateway.update(add()).await.ok();
            if returned == ReturnValues::AllNew {
                assert_eq!(first.item["hits"], n(1));
            }
            assert!(is_unset(&first.item) && first.old_item.is_empty());
            let repeat = gateway.update(add()).await.ok();
            assert_eq!(repeat.generated["at"], first.generated["at"]);
            assert_eq!(read(&gateway, "Note").await["hits"], n(1), "{times} {returned:?}");
            gateway
                .update(changing("Note", "ADD hits :n", [(":n", n(1))], "b"))
                .await
                .ok();
            assert_eq!(read(&gateway, "Note").await["hits"], n(2));
        }
    }
}

#[tokio::test]
async fn a_lost_response_to_a_save_is_no_lost_race() {
    for times in [1, 3] {
        for version in [None, Some(1)] {
            let wiretap = losing("PutItem", times);
            let gateway = serving(MODELS, &wiretap).await;
            if version.is_some() {
                let first = update("Page", key("A", "1"), "SET text = :t", [(":t", s("one"))]);
                gateway.update(first).await.ok();
            }
            let mut page = note("two");
            page.extend(version.map(|version| ("rev".to_owned(), n(version))));
            for _ in 0..2 {
                let saved = gateway.save(saving("Page", page.clone(), "a")).await.ok();
                assert_eq!(saved.generated["rev"], n(version.unwrap_or_default() + 1));
            }
            assert_eq!(read(&gateway, "Page").await["text"], s("two"));
        }
    }
}

#[tokio::test]
async fn of_saves_in_flight_with_one_id_one_writes() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let saves = (0..8).map(|_| gateway.save(saving("Note", note("one"), "a")));
    let made: Vec<AttributeValue> = join_all(saves)
        .await
        .into_iter()
        .map(|saved| saved.ok().generated["made"].clone())
        .collect();
    let stored = read(&gateway, "Note").await;
    assert!(made.iter().all(|one| *one == stored["made"]));
}

#[tokio::test]
async fn the_objects_of_a_repeat_are_deleted_and_those_of_the_first_are_live() {
    for times in [0, 1, 3] {
        let wiretap = losing("PutItem", times);
        let gateway = serving(MODELS, &wiretap).await;
        let mut photo = note("one");
        photo.insert("image".to_owned(), object("content"));
        let first = gateway.save(saving("Photo", photo.clone(), "a")).await.ok();
        let repeat = gateway.save(saving("Photo", photo, "a")).await.ok();
        assert_eq!(repeat.generated, first.generated);
        let Some(Kind::Object(reference)) = &first.generated["image"].kind else {
            panic!("no reference: {first:?}");
        };
        assert_eq!(
            wiretap.stores().objects("photo-bucket").await,
            vec![reference.key.clone()]
        );
        let change = || changing("Photo", "SET image = :i", [(":i", object("other"))], "b");
        let changed = gateway.update(change()).await.ok();
        let repeat = gateway.update(change()).await.ok();
        assert_eq!(repeat.generated, changed.generated);
        let request = v1::GetRequest {
            include_objects: vec!["image".to_owned()],
            ..get("Photo", key("A", "1"))
        };
        let found = gateway.get(request).await.ok().item;
        let Some(Kind::Object(image)) = &found["image"].kind else {
            panic!("no object");
        };
        assert_eq!(image.data.as_deref(), Some("other".as_bytes()));
        assert_eq!(
            wiretap.stores().objects("photo-bucket").await,
            vec![image.key.clone()]
        );
        let other = changing("Photo", "SET image = :i", [(":i", object("third"))], "b");
        is_other_request(&Refusal::of(gateway.update(other).await));
        assert_eq!(wiretap.stores().objects("photo-bucket").await.len(), 1);
    }
}

#[tokio::test]
async fn a_delete_with_an_id_is_refused_and_one_without_deletes() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    gateway.save(saving("Note", note("one"), "a")).await.ok();
    let refused = Refusal::of(gateway.delete(removing("Note", "b")).await);
    refused.is("INVALID_FIELD", &["request_id"]);
    refused.cost_nothing();
    gateway.delete(removing("Note", "")).await.ok();
}

#[tokio::test]
async fn the_hidden_attribute_is_stored_and_out_of_reach() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    gateway.save(saving("Note", note("one"), "a")).await.ok();
    let stored = wiretap.stores().item("notes", "A", "1").await.expect("an item");
    assert!(stored["_tollgate_id"].is_m());
    assert!(is_unset(&read(&gateway, "Note").await));
    let pages = gateway.query(query("Note", "A")).await.ok();
    let found = pages[0].results[0].clone();
    assert!(format!("{found:?}").contains("text") && !format!("{found:?}").contains("_tollgate_id"));
    let mut given = note("one");
    given.insert("_tollgate_id".to_owned(), s("x"));
    let refused = Refusal::of(gateway.save(save("Note", given)).await);
    refused.is("INVALID_FIELD", &["item._tollgate_id"]);
    let condition = v1::SaveRequest {
        condition: expression("attribute_exists(_tollgate_id)", []),
        ..save("Note", note("one"))
    };
    let refused = Refusal::of(gateway.save(condition).await);
    refused.is("INVALID_EXPRESSION", &["condition.text"]);
    let change = update("Note", key("A", "1"), "REMOVE _tollgate_id", []);
    let refused = Refusal::of(gateway.update(change).await);
    refused.is("INVALID_EXPRESSION", &["update.text"]);
    let fields = v1::GetRequest {
        fields: vec!["_tollgate_id".to_owned()],
        ..get("Note", key("A", "1"))
    };
    Refusal::of(gateway.get(fields).await).is("INVALID_FIELD", &["fields[0]"]);
    let returned = v1::UpdateRequest {
        return_values: ReturnValues::UpdatedNew.into(),
        ..changing("Note", "SET hits = :n", [(":n", n(1))], "b")
    };
    let returned = gateway.update(returned).await.ok().item;
    assert!(is_unset(&returned) && returned["hits"] == n(1));
}

#[tokio::test]
async fn the_hidden_attribute_counts_in_the_size_of_the_item() {
    differs_on!(Moto, "item-size");
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let large = |bytes: usize| note(&"x".repeat(bytes));
    let most = 400 * 1024 - 60;
    gateway.save(save("Page", large(most))).await.ok();
    for validate_only in [true, false] {
        let request = v1::SaveRequest {
            validate_only,
            ..saving("Page", large(most), "a")
        };
        let refused = Refusal::of(gateway.save(request).await);
        assert_eq!(refused.reason, "ITEM_TOO_LARGE");
        refused.cost_nothing();
    }
    let text = [(":t", s("x".repeat(most)))];
    let refused = Refusal::of(gateway.update(changing("Page", "SET text = :t", text, "b")).await);
    assert_eq!(refused.reason, "ITEM_TOO_LARGE");
    refused.cost_nothing();
}

#[tokio::test]
async fn an_id_inside_a_batch_is_honoured() {
    let gateway = serving(MODELS, &Wiretap::counting()).await;
    let write = |write: Write| v1::BatchWriteRequest { write: Some(write) };
    let add = || {
        write(Write::Update(changing(
            "Note",
            "ADD hits :n",
            [(":n", n(1))],
            "a",
        )))
    };
    let mut other = item([("pk", s("B")), ("sk", s("1"))]);
    other.insert("text".to_owned(), s("x"));
    let create = || write(Write::Save(saving("Note", other.clone(), "b")));
    let bad = write(Write::Save(saving("Note", other.clone(), "not valid")));
    let writes = vec![add(), create(), add(), create(), bad];
    let written = gateway.data().batch_write(stream::iter(writes)).await;
    let mut results = CallResult::read_stream(written).await.ok();
    results.sort_by_key(|result| result.index);
    let outcomes: Vec<Written> = results.into_iter().filter_map(|result| result.result).collect();
    let generated = |index: usize| match &outcomes[index] {
        Written::Saved(saved) => saved.generated.clone(),
        Written::Updated(updated) => updated.generated.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(generated(0)["at"], generated(2)["at"]);
    assert_eq!(generated(1), generated(3));
    assert!(matches!(&outcomes[4], Written::Error(error) if error.message.contains("request_id")));
    assert_eq!(read(&gateway, "Note").await["hits"], n(1));
}
