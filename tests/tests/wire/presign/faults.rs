//! Faults at every step of a write that takes up an upload by URL: the item points to a whole object, old or new, and the
//! upload is there until it is taken up.

use tollgate_tests::differs_on;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get_content, save};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{store, uploaded, uploads, with_upload, with_urls};

/// A wiretap that does this to an operation, once the switch is on.
fn at(
    operation: &'static str,
    fate: Fate,
    switch: &std::sync::Arc<std::sync::atomic::AtomicUsize>,
) -> Wiretap {
    let switch = std::sync::Arc::clone(switch);
    Wiretap::new(move |name| {
        use std::sync::atomic::Ordering;
        let is_due = name == operation
            && switch
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1))
                .is_ok();
        if is_due { fate } else { Fate::Pass }
    })
}

async fn content(gateway: &Gateway) -> Vec<u8> {
    use tollgate_proto::v1::attribute_value::Kind;
    let found = gateway.get(get_content("A")).await.ok();
    match &found.item["content"].kind {
        Some(Kind::Object(object)) => object.data.clone().unwrap_or_default().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// More than all attempts of a request.
const ALWAYS: usize = 100;

#[tokio::test]
async fn an_outage_at_each_step_loses_nothing() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    for (operation, is_saved) in [
        ("HeadObject", false),
        ("CopyObject", false),
        ("PutItem", false),
        ("DeleteObject", true),
    ] {
        let switch = std::sync::Arc::default();
        let wiretap = at(operation, Fate::Error500, &switch);
        let gateway = with_urls(Some(&wiretap)).await;
        store(&gateway, "A", b"old").await;
        let token = uploaded(&gateway, "A", b"new").await;
        switch.store(ALWAYS, std::sync::atomic::Ordering::Release);
        let saved = gateway.save(save("Document", with_upload("A", &token))).await;
        assert_eq!(saved.outcome.is_ok(), is_saved, "{operation}");
        switch.store(0, std::sync::atomic::Ordering::Release);
        if is_saved {
            assert_eq!(content(&gateway).await, b"new");
            continue;
        }
        assert_eq!(Refusal::of(saved).reason, "STORE_UNAVAILABLE", "{operation}");
        assert_eq!(content(&gateway).await, b"old", "{operation}");
        assert_eq!(uploads(&wiretap).await.len(), 1, "{operation}");
        // the same token is good for the next attempt
        gateway
            .save(save("Document", with_upload("A", &token)))
            .await
            .ok();
        assert_eq!(content(&gateway).await, b"new", "{operation}");
        let left = wiretap.stores().objects("my-bucket").await;
        assert_eq!(left.len(), 1, "{operation}: {left:?}");
    }
}

#[tokio::test]
async fn a_lost_response_at_each_step_changes_nothing() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    for operation in ["HeadObject", "CopyObject", "PutItem", "DeleteObject"] {
        let switch = std::sync::Arc::default();
        let wiretap = at(operation, Fate::LoseResponse, &switch);
        let gateway = with_urls(Some(&wiretap)).await;
        store(&gateway, "A", b"old").await;
        let token = uploaded(&gateway, "A", b"new").await;
        switch.store(1, std::sync::atomic::Ordering::Release);
        gateway
            .save(save("Document", with_upload("A", &token)))
            .await
            .ok();
        assert_eq!(content(&gateway).await, b"new", "{operation}");
        assert!(uploads(&wiretap).await.is_empty(), "{operation}");
    }
}
