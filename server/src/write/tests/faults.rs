//! What is left when answers are lost, callers leave and deadlines pass.

use super::*;

#[tokio::test]
async fn a_lost_answer_of_the_commit_is_found_out() {
    let harness = Harness::new().await;
    // the retry replaces what the first attempt wrote
    harness.faulty.inject("PutItem", Fault::LoseResponse);
    let first = harness.saved(&content(100)).await;
    assert_eq!(harness.pointer().await.unwrap(), first);
    // the retry is refused by what the first attempt wrote
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
    // no attempt is answered
    for _ in 0..3 {
        harness.faulty.inject("PutItem", Fault::LoseResponse);
    }
    let call = Call::for_test();
    let third = harness
        .committer
        .save(harness.write(&call, &[("file", &content(300))]))
        .await
        .unwrap();
    assert_eq!(harness.pointer().await.unwrap(), third.objects[0].1);
    assert_eq!(harness.content(&third.objects[0].1).await.unwrap(), content(300));
    let bill = call.bill();
    assert_eq!((bill.put_count, bill.get_count, bill.retries), (3, 1, 2));
}

#[tokio::test]
async fn a_commit_that_may_land_yet_leaves_both_objects() {
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
        "two looks, nothing deleted"
    );
    assert_eq!(harness.pointer().await.unwrap(), live);
    assert_eq!(harness.keys().await.len(), 2);
}

#[tokio::test]
async fn a_commit_that_was_answered_with_500_and_did_not_land_deletes_the_fresh_object() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    for _ in 0..3 {
        harness.faulty.inject("PutItem", SERVER_ERROR);
    }
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
    assert_eq!((bill.put_count, bill.get_count, bill.s3_calls), (3, 1, 2));
}

#[tokio::test]
async fn a_failed_part_aborts_the_upload() {
    let harness = Harness::new().await;
    // whichever of the two parts gives up first
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
async fn a_completion_whose_answer_was_lost_is_found_out() {
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
async fn a_completion_that_is_never_answered_leaves_nothing() {
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
async fn one_failed_object_takes_the_other_with_it() {
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
async fn a_caller_who_leaves_during_the_upload_leaves_nothing() {
    let harness = Harness::new().await;
    let call = Call::for_test();
    harness
        .faulty
        .inject("UploadPart", Fault::Delay(Duration::from_secs(60)));
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
        "what came after the close is billed too"
    );
    assert!(closed.bill.s3_calls < left.len() as u64);
    assert_eq!(harness.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_caller_who_leaves_during_the_commit_changes_nothing_about_it() {
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
async fn the_deadline_answers_at_once_and_the_commit_goes_on() {
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
async fn the_deadline_during_the_upload_leaves_nothing() {
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
async fn a_failure_of_kms_costs_no_upload() {
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
