//! Saves that keep objects, with injected faults.

use super::*;

const LOST: Fault = Fault::LoseResponse;
/// A failed condition without the stored item, as some stores return it.
const REFUSED: Fault = Fault::Respond(400, "ConditionalCheckFailedException");

/// A request that keeps the stored file.
async fn kept(harness: &Harness, call: &Call) -> SaveRequest {
    let pointer = harness.pointer().await.unwrap();
    let mut write = harness.write(call, &[]);
    let object = Value::Object(Box::new(pointer.to_object()));
    write.item.insert("file".to_owned(), object);
    write.item.insert("note".to_owned(), Value::S("new".into()));
    write
}

#[tokio::test]
async fn finds_out_the_outcome_of_a_commit_that_keeps_an_object() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    harness.faulty.inject("PutItem", LOST);
    let committed = harness.committer.save(kept(&harness, &call).await).await.unwrap();
    assert_eq!(committed.kept, [("file".to_owned(), live.clone())]);
    assert_eq!(harness.faulty.take_sent(), ["PutItem", "GetItem", "GetItem"]);
    harness.faulty.inject("PutItem", LOST);
    let conditional = SaveRequest {
        condition: condition("attribute_exists(pk)"),
        ..kept(&harness, &call).await
    };
    let unknown = harness.committer.save(conditional).await.unwrap_err();
    assert!(
        matches!(&unknown, Error::Store(error) if error.kind == Kind::OutcomeUnknown),
        "another caller may have written an equal item: {unknown:?}"
    );
    assert_eq!(harness.keys().await, [live.key.as_str()]);
    assert_eq!(harness.content(&live).await.unwrap(), content(100));
}

#[tokio::test]
async fn reads_the_item_if_a_failed_condition_does_not_return_it() {
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
async fn deletes_new_objects_if_a_kept_one_changed() {
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

/// A request that keeps the stored file, without the fields that a pointer may lack.
async fn kept_by_its_key(harness: &Harness, call: &Call, live: &Pointer) -> SaveRequest {
    let mut write = kept(harness, call).await;
    let known = Object {
        bucket: live.bucket.clone(),
        key: live.key.clone(),
        etag: live.etag.clone(),
        ..Object::default()
    };
    let known = Value::Object(Box::new(known));
    write.item.insert("file".to_owned(), known);
    write
}

/// The first attempt is lost, and the SDK's second one fails because the stored pointer has more fields.
#[tokio::test]
async fn keeps_stored_fields_that_the_caller_did_not_send_after_an_attempt_without_response() {
    for lost in [LOST, Fault::LoseRequest, SERVER_ERROR] {
        let harness = Harness::new().await;
        let live = harness.saved(&content(100)).await;
        let call = Call::for_test();
        let write = kept_by_its_key(&harness, &call, &live).await;
        harness.faulty.inject("PutItem", lost);
        let committed = harness.committer.save(write).await.unwrap();
        assert_eq!(committed.kept, [("file".to_owned(), live.clone())]);
        assert_eq!(harness.pointer().await.unwrap(), live);
    }
}

#[tokio::test]
async fn keeps_stored_fields_that_the_caller_did_not_send() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    let mut write = kept_by_its_key(&harness, &call, &live).await;
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
