//! The version travels with the item: whoever saves what is in hand after a lost race does not overwrite the winner.

use std::sync::atomic::{AtomicBool, Ordering};

use tollgate_client::{
    DeleteOptions, Key, Reason, Refusal, ReturnValues, SaveOptions, UpdateOptions, attr, update,
};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{Page, page, page_key, start};

#[tokio::test]
async fn an_item_in_hand_is_saved_again_and_loses_to_a_newer_one() {
    let (_gateway, client) = start(None).await;
    let mut mine = page("1", "draft");
    client.save_mut("Page", &mut mine).await.unwrap();
    assert!(mine.rev == Some(1) && mine.created.is_some());
    mine.text = Some("second draft".to_owned());
    client.save_mut("Page", &mut mine).await.unwrap();
    assert_eq!(mine.rev, Some(2));

    let mut theirs: Page = client.get("Page", page_key("1")).await.unwrap().value;
    assert_eq!(theirs, mine);
    theirs.text = Some("theirs".to_owned());
    client.save_mut("Page", &mut theirs).await.unwrap();

    mine.text = Some("mine".to_owned());
    for _ in 0..2 {
        let error = client.save_mut("Page", &mut mine).await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::VersionMismatch { current: 3 }));
        assert_eq!(mine.rev, Some(2), "the version in hand stays the old one");
    }
    let stored: Page = client.get("Page", page_key("1")).await.unwrap().value;
    assert_eq!(stored, theirs);
}

#[tokio::test]
async fn a_new_item_does_not_replace_a_stored_one() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "first")).await.unwrap();
    let error = client.save("Page", &page("1", "other")).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::AlreadyExists));
    assert!(error.nothing_changed() && error.metrics().calls == 1);
}

#[tokio::test]
async fn update_and_delete_expect_a_version() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "text")).await.unwrap();
    let exactly = |version| UpdateOptions {
        version,
        return_values: ReturnValues::AllNew,
        ..UpdateOptions::default()
    };
    let changes = || {
        update()
            .set("text", "new")
            .set("visits", attr("visits").if_not_exists(0) + 1)
    };
    let updated = client
        .update_with("Page", page_key("1"), changes(), exactly(1))
        .await
        .unwrap()
        .value;
    assert_eq!(updated.generated["rev"], 2.into());
    let new: Page = updated.item.expect("the new item").read().unwrap();
    assert_eq!(
        (new.text.as_deref(), new.visits, new.rev),
        (Some("new"), Some(1), Some(2))
    );

    let stale = client
        .update_with("Page", page_key("1"), changes(), exactly(1))
        .await;
    let mismatch = Some(Refusal::VersionMismatch { current: 2 });
    assert_eq!(stale.unwrap_err().refusal(), mismatch);
    let removal = |version| DeleteOptions {
        version,
        return_values: ReturnValues::AllOld,
        ..DeleteOptions::default()
    };
    let stale = client.delete_with("Page", page_key("1"), removal(1)).await;
    assert_eq!(stale.unwrap_err().refusal(), mismatch);
    let removed = client
        .delete_with("Page", page_key("1"), removal(2))
        .await
        .unwrap();
    let removed: Page = removed.value.expect("the old item").read().unwrap();
    assert_eq!(removed, new);
}

#[tokio::test]
async fn a_failed_condition_has_the_current_item() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "text")).await.unwrap();
    let options = UpdateOptions {
        condition: attr("text").begins_with("other").or(attr("visits").exists()),
        return_values: ReturnValues::AllOld,
        must_exist: true,
        ..UpdateOptions::default()
    };
    let changes = update().remove("text");
    let error = client
        .update_with("Page", page_key("1"), changes.clone(), options.clone())
        .await
        .unwrap_err();
    let Some(Refusal::ConditionFailed { item: Some(item) }) = error.refusal() else {
        panic!("{error:?}");
    };
    assert_eq!(item["text"], "text".into());
    let missing = client.update_with("Page", page_key("2"), changes, options).await;
    assert_eq!(missing.unwrap_err().reason(), Some(Reason::ItemNotFound));
}

/// The server settles a lost response for a model with `idempotency`, and a later attempt of the client finds what it did.
#[tokio::test]
async fn a_repeated_update_with_a_request_id_adds_once() {
    let is_lost = AtomicBool::new(false);
    let wiretap = Wiretap::new(move |operation| match operation {
        "UpdateItem" if !is_lost.swap(true, Ordering::Relaxed) => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let (_gateway, client) = start(Some(wiretap)).await;
    let options = || UpdateOptions {
        request_id: "visit-1".to_owned(),
        ..UpdateOptions::default()
    };
    for _ in 0..2 {
        client
            .update_with("Once", Key::new("pk", "A"), update().add("count", 1), options())
            .await
            .unwrap();
    }
    let stored: tollgate_client::Item = client.get("Once", Key::new("pk", "A")).await.unwrap().value;
    assert_eq!(stored["count"], 1.into());
}

#[tokio::test]
async fn validate_only_writes_nothing() {
    let (_gateway, client) = start(None).await;
    let options = SaveOptions {
        validate_only: true,
        ..SaveOptions::default()
    };
    let saved = client
        .save_with("Page", &page("1", "text"), options)
        .await
        .unwrap();
    assert_eq!(saved.metrics.dynamodb_calls, 0);
    assert!(
        client
            .find::<Page>("Page", page_key("1"))
            .await
            .unwrap()
            .value
            .is_none()
    );
}
