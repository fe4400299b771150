//! Lost requests and responses, disconnects and deadlines.

use super::*;

#[tokio::test]
async fn finds_out_the_outcome_of_a_commit_without_response() {
    let harness = Harness::new().await;
    // the retry replaces the item that the first attempt wrote
    harness.faulty.inject("PutItem", Fault::LoseResponse);
    let first = harness.saved(&content(100)).await;
    assert_eq!(harness.pointer().await.unwrap(), first);
    // the condition of the retry fails on the item that the first attempt wrote
    harness
        .committer
        .delete(removal(&harness, &Call::for_test()))
        .await
        .unwrap();
    harness.faulty.inject("PutItem", Fault::LoseResponse);
    let mut write = harness.write(&Call::for_test(), &[("file", &content(200))]);
    write.condition = condition(NEW);
    let second = harness.committer.save(write).await.unwrap().objects.remove(0).1;
    assert_eq!(harness.pointer().await.unwrap(), second);
    // a write with new objects is not sent again
    harness.faulty.inject("PutItem", Fault::LoseResponse);
    let call = Call::for_test();
    let third = harness
        .committer
        .save(harness.write(&call, &[("file", &content(300))]))
        .await
        .unwrap();
    assert_eq!(harness.pointer().await.unwrap(), third.objects[0].1);
    assert_eq!(harness.content(&third.objects[0].1).await.unwrap(), content(300));
    let bill = call.bill();
    assert_eq!((bill.put_count, bill.get_count, bill.retries), (1, 1, 0));
}

#[tokio::test]
async fn a_commit_that_may_still_be_applied_keeps_both_objects() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    for _ in 0..3 {
        harness.faulty.inject("PutItem", Fault::LoseRequest);
    }
    let call = Call::for_test();
    let outcome = kind(
        harness
            .committer
            .save(harness.write(&call, &[("file", &content(200))]))
            .await,
    );
    assert_eq!(outcome, Kind::OutcomeUnknown);
    assert_eq!(
        (call.bill().get_count, call.bill().s3_calls),
        (2, 1),
        "two reads, no deletion"
    );
    assert_eq!(harness.pointer().await.unwrap(), live);
    assert_eq!(harness.keys().await.len(), 2);
}

#[tokio::test]
async fn a_commit_that_failed_with_500_deletes_the_new_object() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    harness.faulty.inject("PutItem", SERVER_ERROR);
    let call = Call::for_test();
    let outcome = kind(
        harness
            .committer
            .save(harness.write(&call, &[("file", &content(200))]))
            .await,
    );
    assert_eq!(outcome, Kind::Unavailable);
    assert_eq!(harness.keys().await, [live.key]);
    let bill = call.bill();
    assert_eq!((bill.put_count, bill.get_count, bill.s3_calls), (1, 1, 2));
}

#[tokio::test]
async fn a_failed_part_aborts_the_upload() {
    let harness = Harness::new().await;
    // enough faults for the retries of both parts
    for _ in 0..6 {
        harness.faulty.inject("UploadPart", Fault::LoseRequest);
    }
    let call = Call::for_test();
    let outcome = kind(
        harness
            .committer
            .save(harness.write(&call, &[("file", &content(6 * MIB))]))
            .await,
    );
    assert_eq!(outcome, Kind::Unavailable);
    let left = harness.faulty.take_sent();
    assert_eq!(
        left.last().map(String::as_str),
        Some("AbortMultipartUpload"),
        "{left:?}"
    );
    assert_eq!(call.bill().s3_calls, left.len() as u64);
    assert!(!left.contains(&"PutItem".to_owned()));
    assert_eq!(harness.keys().await, Vec::<String>::new());
    assert!(harness.stored().await.is_none());
}

#[tokio::test]
async fn finds_out_the_outcome_of_a_completion_without_response() {
    let harness = Harness::new().await;
    harness
        .faulty
        .inject("CompleteMultipartUpload", Fault::LoseResponse);
    let call = Call::for_test();
    let content = content(6 * MIB);
    let committed = harness
        .committer
        .save(harness.write(&call, &[("file", &content)]))
        .await
        .unwrap();
    let left = harness.faulty.take_sent();
    assert_eq!(
        left[3..],
        [
            "CompleteMultipartUpload",
            "CompleteMultipartUpload",
            "Head",
            "PutItem"
        ]
    );
    assert_eq!((call.bill().s3_calls, call.bill().retries), (6, 1));
    let pointer = &committed.objects[0].1;
    assert!(!pointer.etag.is_empty());
    assert_eq!(harness.content(pointer).await.unwrap(), content);
}

#[tokio::test]
async fn a_failed_completion_leaves_nothing_behind() {
    let harness = Harness::new().await;
    for _ in 0..3 {
        harness
            .faulty
            .inject("CompleteMultipartUpload", Fault::Respond(500, "InternalError"));
    }
    let call = Call::for_test();
    let outcome = kind(
        harness
            .committer
            .save(harness.write(&call, &[("file", &content(6 * MIB))]))
            .await,
    );
    assert_eq!(outcome, Kind::Unavailable);
    assert_eq!(
        harness.faulty.take_sent()[6..],
        ["AbortMultipartUpload", "DeleteObject"]
    );
    assert_eq!(harness.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_upload_deletes_the_other_object() {
    let harness = Harness::new().await;
    let mut model = (*harness.model).clone();
    model.attributes.last_mut().unwrap().s3.as_mut().unwrap().bucket = "nowhere".into();
    let call = Call::for_test();
    let write = SaveRequest {
        model: Arc::new(model),
        ..harness.write(&call, &[("file", &content(10)), ("photo", &content(10))])
    };
    let outcome = kind(harness.committer.save(write).await);
    let (what, name) = (Resource::Bucket, "nowhere".into());
    assert_eq!(outcome, Kind::Missing { what, name });
    assert_eq!(harness.keys().await, Vec::<String>::new());
    assert!(harness.stored().await.is_none());
}

#[tokio::test]
async fn a_disconnect_during_the_upload_leaves_nothing_behind() {
    let harness = Harness::new().await;
    let call = Call::for_test();
    harness
        .faulty
        .inject("UploadPart", Fault::Delay(Duration::from_secs(1)));
    let write = harness.write(&call, &[("file", &content(11 * MIB))]);
    let gone = tokio::time::timeout(Duration::from_millis(500), harness.committer.save(write)).await;
    assert!(gone.is_err());
    let closed = call.close(tonic::Code::Cancelled).unwrap();
    harness.idle().await;
    let left = harness.faulty.take_sent();
    assert_eq!(
        left.last().map(String::as_str),
        Some("AbortMultipartUpload"),
        "{left:?}"
    );
    assert!(!left.contains(&"PutItem".to_owned()));
    assert_eq!(
        call.bill().s3_calls,
        left.len() as u64,
        "requests after the close are billed too"
    );
    assert!(closed.bill.s3_calls < left.len() as u64);
    assert_eq!(harness.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_disconnect_during_the_commit_does_not_stop_it() {
    let harness = Harness::new().await;
    harness.saved(&content(100)).await;
    let call = Call::for_test();
    harness
        .faulty
        .inject("PutItem", Fault::Delay(Duration::from_millis(600)));
    let write = harness.write(&call, &[("file", &content(200))]);
    let gone = tokio::time::timeout(Duration::from_millis(300), harness.committer.save(write)).await;
    assert!(gone.is_err());
    harness.idle().await;
    assert_eq!(
        harness.faulty.take_sent(),
        ["PutObject", "PutItem", "DeleteObject"]
    );
    let live = harness.pointer().await.unwrap();
    assert_eq!(harness.content(&live).await.unwrap(), content(200));
    assert_eq!(harness.keys().await, [live.key]);
}

#[tokio::test]
async fn the_deadline_ends_the_call_but_not_the_commit() {
    let harness = Harness::new().await;
    let call = Call::for_test().with_deadline(Instant::now() + Duration::from_millis(400));
    harness
        .faulty
        .inject("PutItem", Fault::Delay(Duration::from_millis(800)));
    let outcome = kind(
        harness
            .committer
            .save(harness.write(&call, &[("file", &content(10))]))
            .await,
    );
    assert_eq!(outcome, Kind::Deadline { sent: true });
    harness.idle().await;
    assert!(harness.pointer().await.is_some());
    assert_eq!(harness.keys().await.len(), 1);
}

#[tokio::test]
async fn the_deadline_during_the_upload_leaves_nothing_behind() {
    let harness = Harness::new().await;
    let call = Call::for_test().with_deadline(Instant::now() + Duration::from_millis(300));
    harness
        .faulty
        .inject("PutObject", Fault::Delay(Duration::from_secs(60)));
    let outcome = kind(
        harness
            .committer
            .save(harness.write(&call, &[("file", &content(10))]))
            .await,
    );
    assert_eq!(outcome, Kind::Deadline { sent: false });
    harness.idle().await;
    assert_eq!(harness.faulty.take_sent(), ["PutObject", "DeleteObject"]);
    assert!(harness.stored().await.is_none());
    assert_eq!(harness.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_kms_failure_costs_no_upload() {
    let harness = Harness::new().await;
    let mut write = harness.write(&Call::for_test(), &[("file", &content(10))]);
    write.item.insert("ssn".into(), Value::S("123".into()));
    harness
        .faulty
        .inject("GenerateDataKey", Fault::Respond(400, "DisabledException"));
    let refused = harness.committer.save(write).await.unwrap_err();
    let Error::Store(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(error.kind, Kind::KeyUnusable);
    assert_eq!(harness.faulty.take_sent(), ["GenerateDataKey"]);
}
