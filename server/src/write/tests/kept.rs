//! Saves that keep objects, with faults on the way.

use super::*;

const LOST: Fault = Fault::LoseResponse;
/// A refusal without the item that refused, as some stores send it.
const REFUSED: Fault = Fault::Respond(400, "ConditionalCheckFailedException");

/// The item as it would be sent back, its file kept.
async fn kept(harness: &Harness, call: &Call) -> SaveRequest {
    let pointer = harness.pointer().await.unwrap();
    let mut write = harness.write(call, &[]);
    let object = Value::Object(Box::new(pointer.to_object()));
    write.item.insert("file".to_owned(), object);
    write.item.insert("note".to_owned(), Value::S("new".into()));
    write
}

#[tokio::test]
async fn a_commit_that_keeps_and_whose_answer_was_lost_is_found_done() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    harness.faulty.inject("PutItem", LOST);
    let committed = harness.committer.save(kept(&harness, &call).await).await.unwrap();
    assert_eq!(committed.kept, [("file".to_owned(), live.clone())]);
    for _ in 0..3 {
        harness.faulty.inject("PutItem", LOST);
    }
    harness.committer.save(kept(&harness, &call).await).await.unwrap();
    assert_eq!(harness.keys().await, [live.key.as_str()]);
    assert_eq!(harness.content(&live).await.unwrap(), content(100));
}

#[tokio::test]
async fn a_refusal_without_the_item_is_looked_into() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    let mut write = kept(&harness, &call).await;
    write.return_old = true;
    harness.faulty.inject("PutItem", REFUSED);
    let refused = harness.committer.save(write).await.unwrap_err();
    assert!(
        matches!(refused, Error::ConditionFailed { current: None }),
        "the pointer is the same, so the caller's own condition was not met"
    );
    let write = kept(&harness, &call).await;
    let newer = harness.saved(&content(200)).await;
    harness.faulty.inject("PutItem", REFUSED);
    let refused = harness.committer.save(write).await.unwrap_err();
    assert!(matches!(refused, Error::ObjectChanged { attribute } if attribute == "file"));
    assert_eq!(harness.faulty.take_sent(), ["PutItem", "GetItem"]);
    assert_eq!(harness.keys().await, [newer.key]);
    assert!(harness.content(&live).await.is_err());
}

#[tokio::test]
async fn a_refused_keeper_takes_its_fresh_objects_back() {
    let harness = Harness::new().await;
    harness.saved(&content(100)).await;
    let call = Call::for_test();
    let mut write = kept(&harness, &call).await;
    write.item.insert("photo".to_owned(), object(&content(50)));
    let newer = harness.saved(&content(200)).await;
    let refused = harness.committer.save(write).await.unwrap_err();
    assert!(matches!(refused, Error::ObjectChanged { .. }), "{refused}");
    assert_eq!(
        harness.faulty.take_sent(),
        ["PutObject", "PutItem", "DeleteObject"]
    );
    assert_eq!(harness.keys().await, [newer.key]);
}

#[tokio::test]
async fn a_caller_who_knows_too_little_keeps_all_that_is_stored() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    let mut write = kept(&harness, &call).await;
    let known = Object {
        bucket: live.bucket.clone(),
        key: live.key.clone(),
        etag: live.etag.clone(),
        ..Object::default()
    };
    write
        .item
        .insert("file".to_owned(), Value::Object(Box::new(known)));
    write.item.insert("photo".to_owned(), object(&content(50)));
    let committed = harness.committer.save(write).await.unwrap();
    assert_eq!(
        harness.faulty.take_sent(),
        ["PutObject", "PutItem", "PutItem"],
        "one upload, two commits"
    );
    assert_eq!(committed.kept, [("file".to_owned(), live.clone())]);
    assert_eq!(harness.pointer().await.unwrap(), live);
    assert_eq!(harness.keys().await.len(), 2);
}
