//! Saves that keep objects, with faults on the way.

use super::*;

const LOST: Fault = Fault::LoseResponse;
/// A refusal without the item that refused, as some stores send it.
const REFUSED: Fault = Fault::Respond(400, "ConditionalCheckFailedException");

/// The item as it would be sent back, its file kept.
async fn kept(gate: &Gate, call: &Call) -> Write {
    let pointer = gate.pointer().await.unwrap();
    let mut write = gate.write(call, &[]);
    let object = Value::Object(Box::new(pointer.to_object()));
    write.item.insert("file".to_owned(), object);
    write.item.insert("note".to_owned(), Value::S("new".into()));
    write
}

#[tokio::test]
async fn a_commit_that_keeps_and_whose_answer_was_lost_is_found_done() {
    let gate = Gate::new().await;
    let live = gate.saved(&content(100)).await;
    let call = Call::for_test();
    gate.faulty.inject("PutItem", LOST);
    let committed = gate.settler.save(kept(&gate, &call).await).await.unwrap();
    assert_eq!(committed.kept, [("file".to_owned(), live.clone())]);
    for _ in 0..3 {
        gate.faulty.inject("PutItem", LOST);
    }
    gate.settler.save(kept(&gate, &call).await).await.unwrap();
    assert_eq!(gate.keys().await, [live.key.as_str()]);
    assert_eq!(gate.content(&live).await.unwrap(), content(100));
}

#[tokio::test]
async fn a_refusal_without_the_item_is_looked_into() {
    let gate = Gate::new().await;
    let live = gate.saved(&content(100)).await;
    let call = Call::for_test();
    let write = kept(&gate, &call).await;
    gate.faulty.inject("PutItem", REFUSED);
    assert_eq!(
        kind(gate.settler.save(write).await),
        Kind::ConditionFailed { item: None },
        "the pointer is the same: it was the caller's own condition"
    );
    let write = kept(&gate, &call).await;
    let newer = gate.saved(&content(200)).await;
    gate.faulty.inject("PutItem", REFUSED);
    let refused = gate.settler.save(write).await.unwrap_err();
    let attribute = "file".to_owned();
    assert!(matches!(refused, SettleError::Kept(error) if error == KeptError::Changed { attribute }));
    assert_eq!(gate.faulty.take_sent(), ["PutItem", "GetItem"]);
    assert_eq!(gate.keys().await, [newer.key]);
    assert!(gate.content(&live).await.is_err());
}

#[tokio::test]
async fn a_refused_keeper_takes_its_fresh_objects_back() {
    let gate = Gate::new().await;
    gate.saved(&content(100)).await;
    let call = Call::for_test();
    let mut write = kept(&gate, &call).await;
    write.item.insert("photo".to_owned(), object(&content(50)));
    let newer = gate.saved(&content(200)).await;
    let refused = gate.settler.save(write).await.unwrap_err();
    assert!(matches!(refused, SettleError::Kept(_)), "{refused}");
    assert_eq!(gate.faulty.take_sent(), ["PutObject", "PutItem", "DeleteObject"]);
    assert_eq!(gate.keys().await, [newer.key]);
}

#[tokio::test]
async fn a_caller_who_knows_too_little_keeps_all_that_is_stored() {
    let gate = Gate::new().await;
    let live = gate.saved(&content(100)).await;
    let call = Call::for_test();
    let mut write = kept(&gate, &call).await;
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
    let committed = gate.settler.save(write).await.unwrap();
    assert_eq!(
        gate.faulty.take_sent(),
        ["PutObject", "PutItem", "PutItem"],
        "one upload, two commits"
    );
    assert_eq!(committed.kept, [("file".to_owned(), live.clone())]);
    assert_eq!(gate.pointer().await.unwrap(), live);
    assert_eq!(gate.keys().await.len(), 2);
}
