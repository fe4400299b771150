//! `idempotency: { table }` when responses are lost, requests are in flight, and objects are uploaded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, expression, get_content, key, n, object, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

use super::table::{MODELS, markers, read, reason};
use super::{changing, is_other_request, losing, note, removing, saving, serving};

#[tokio::test]
async fn a_lost_response_neither_writes_twice_nor_reports_a_false_conflict() {
    // one lost response: the SDK repeats; all lost: the marker shows what happened
    for times in [1, 3] {
        let wiretap = losing("TransactWriteItems", times);
        let gateway = serving(MODELS, &wiretap).await;
        for _ in 0..2 {
            let created = gateway.save(saving("Page", note("one"), "a")).await.ok();
            assert_eq!(created.generated["rev"], n(1), "{times}");
        }
        let wiretap = losing("TransactWriteItems", times);
        let gateway = serving(MODELS, &wiretap).await;
        gateway
            .update(update("Page", key("A", "1"), "SET hits = :n", [(":n", n(0))]))
            .await
            .ok();
        for _ in 0..2 {
            let added = v1::UpdateRequest {
                version: 1,
                ..changing("Page", "ADD hits :n", [(":n", n(1))], "a")
            };
            assert_eq!(gateway.update(added).await.ok().generated["rev"], n(2));
        }
        assert_eq!(read(&gateway, "Page").await.expect("an item")["hits"], n(1));
        let wiretap = losing("TransactWriteItems", times);
        let gateway = serving(MODELS, &wiretap).await;
        for _ in 0..2 {
            gateway
                .update(changing("Note", "ADD hits :n", [(":n", n(1))], "a"))
                .await
                .ok();
        }
        assert_eq!(read(&gateway, "Note").await.expect("an item")["hits"], n(1));
        let wiretap = losing("TransactWriteItems", times);
        let gateway = serving(MODELS, &wiretap).await;
        gateway.save(save("Page", note("one"))).await.ok();
        for _ in 0..2 {
            let removal = v1::DeleteRequest {
                version: 1,
                ..removing("Page", "a")
            };
            gateway.delete(removal).await.ok();
        }
        assert_eq!(read(&gateway, "Page").await, None);
    }
}

#[tokio::test]
async fn a_refusal_whose_marker_gets_no_response_is_remembered_once() {
    for times in [1, 3] {
        let wiretap = losing("PutItem", times);
        let gateway = serving(MODELS, &wiretap).await;
        let conditional = || v1::SaveRequest {
            condition: expression("attribute_exists(pk)", []),
            ..saving("Note", note("one"), "a")
        };
        let first = reason(gateway.save(conditional()).await);
        // the caller learns of an outcome only once it is remembered
        assert!(
            ["CONDITION_FAILED", "OUTCOME_UNKNOWN"].contains(&first.as_str()),
            "{first}"
        );
        gateway
            .update(update("Note", key("A", "1"), "SET hits = :n", [(":n", n(0))]))
            .await
            .ok();
        assert_eq!(reason(gateway.save(conditional()).await), "CONDITION_FAILED");
        assert_eq!(markers(&wiretap).await.len(), 1);
    }
}

#[tokio::test]
async fn of_requests_in_flight_one_writes_and_the_others_wait_for_its_outcome() {
    let wiretap = Wiretap::new(|operation| match operation {
        "TransactWriteItems" => Fate::Delay(Duration::from_millis(50)),
        _ => Fate::Pass,
    });
    let gateway = serving(MODELS, &wiretap).await;
    let saves = (0..8).map(|_| gateway.save(saving("Note", note("one"), "a")));
    let made: Vec<AttributeValue> = join_all(saves)
        .await
        .into_iter()
        .map(|saved| saved.ok().generated["made"].clone())
        .collect();
    let stored = read(&gateway, "Note").await.expect("an item");
    assert!(made.iter().all(|one| *one == stored["made"]));
    assert_eq!(wiretap.count("TransactWriteItems"), 1);
    assert_eq!(wiretap.count("GenerateDataKey"), 1);
}

#[tokio::test]
async fn a_request_that_is_in_flight_for_too_long_is_aborted() {
    let wiretap = Wiretap::new(|operation| match operation {
        "TransactWriteItems" => Fate::Hang,
        _ => Fate::Pass,
    });
    let gateway = serving(MODELS, &wiretap).await;
    let mut data = gateway.data();
    let mut first = tonic::Request::new(saving("Note", note("one"), "a"));
    first.set_timeout(Duration::from_secs(20));
    let first = tokio::spawn(async move { data.save(first).await });
    until("the first is sent", || async {
        wiretap.count("TransactWriteItems") == 1
    })
    .await;
    let mut second = tonic::Request::new(saving("Note", note("one"), "a"));
    second.set_timeout(Duration::from_secs(1));
    let refused = Refusal::of(gateway.save(second).await);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Aborted, "REQUEST_IN_FLIGHT")
    );
    assert!(refused.details.retry_info().is_some());
    first.abort();
}

#[tokio::test]
async fn a_conflict_with_another_process_is_tried_again() {
    const BUSY: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]}"#;
    const ITEM_BUSY: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}"#;
    for (body, expected) in [(BUSY, "REQUEST_IN_FLIGHT"), (ITEM_BUSY, "TRANSACTION_CONFLICT")] {
        let asked = AtomicU64::new(0);
        let wiretap = Wiretap::new(move |operation| match operation {
            "TransactWriteItems" if asked.fetch_add(1, Ordering::SeqCst) < 2 => Fate::Respond(400, body),
            _ => Fate::Pass,
        });
        let gateway = serving(MODELS, &wiretap).await;
        gateway.save(saving("Note", note("one"), "a")).await.ok();
        let wiretap = Wiretap::new(move |operation| match operation {
            "TransactWriteItems" => Fate::Respond(400, body),
            _ => Fate::Pass,
        });
        let gateway = serving(MODELS, &wiretap).await;
        let mut request = tonic::Request::new(saving("Note", note("one"), "a"));
        request.set_timeout(Duration::from_secs(2));
        let refused = Refusal::of(gateway.save(request).await);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Aborted, expected));
        assert!(markers(&wiretap).await.is_empty(), "it may be tried again");
    }
}

#[tokio::test]
async fn a_repeat_uploads_nothing_and_the_objects_of_the_first_are_live() {
    let wiretap = Wiretap::counting();
    let gateway = serving(MODELS, &wiretap).await;
    let photo = |content: &'static str| {
        let mut photo = note("one");
        photo.insert("content".to_owned(), object(content));
        photo
    };
    gateway.save(save("Photo", photo("old"))).await.ok();
    wiretap.clear();
    let first = gateway.save(saving("Photo", photo("new"), "a")).await.ok();
    assert_eq!(
        (wiretap.count("PutObject"), wiretap.count("DeleteObject")),
        (1, 1)
    );
    let repeat = gateway.save(saving("Photo", photo("new"), "a")).await.ok();
    assert_eq!(repeat.generated, first.generated);
    assert_eq!(wiretap.count("PutObject"), 1, "the marker was looked up first");
    is_other_request(&Refusal::of(
        gateway.save(saving("Photo", photo("other"), "a")).await,
    ));
    let change = || changing("Photo", "SET content = :c", [(":c", object("third"))], "b");
    let changed = gateway.update(change()).await.ok();
    assert_eq!(gateway.update(change()).await.ok().generated, changed.generated);
    let Some(Kind::Object(reference)) = &changed.generated["content"].kind else {
        panic!("no reference");
    };
    assert_eq!(
        wiretap.stores().objects("photo-bucket").await,
        vec![reference.key.clone()]
    );
    let refused = v1::SaveRequest {
        condition: expression("text = :t", [(":t", s("none"))]),
        ..saving("Photo", photo("refused"), "c")
    };
    for _ in 0..2 {
        assert_eq!(reason(gateway.save(refused.clone()).await), "CONDITION_FAILED");
    }
    assert_eq!(wiretap.stores().objects("photo-bucket").await.len(), 1);
    let request = v1::GetRequest {
        model: "Photo".to_owned(),
        key: key("A", "1"),
        ..get_content("A")
    };
    let found = gateway.get(request).await.ok().item;
    assert!(
        matches!(&found["content"].kind, Some(Kind::Object(object)) if object.data.as_deref() == Some(b"third"))
    );
    for _ in 0..2 {
        gateway.delete(removing("Photo", "d")).await.ok();
    }
    assert!(wiretap.stores().objects("photo-bucket").await.is_empty());
}

#[tokio::test]
async fn a_lost_response_leaves_the_new_object_live() {
    for times in [1, 3] {
        let wiretap = losing("TransactWriteItems", times);
        let gateway = serving(MODELS, &wiretap).await;
        let mut photo = note("one");
        photo.insert("content".to_owned(), object("old"));
        gateway.save(save("Photo", photo.clone())).await.ok();
        photo.insert("content".to_owned(), object("new"));
        let first = gateway.save(saving("Photo", photo.clone(), "a")).await.ok();
        assert_eq!(
            gateway.save(saving("Photo", photo, "a")).await.ok().generated,
            first.generated
        );
        let Some(Kind::Object(reference)) = &first.generated["content"].kind else {
            panic!("no reference");
        };
        assert_eq!(
            wiretap.stores().objects("photo-bucket").await,
            vec![reference.key.clone()]
        );
    }
}
