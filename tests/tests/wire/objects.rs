//! The commit protocol: no acknowledged object is lost and none is left behind needlessly, however the stores fail and
//! whenever the caller disconnects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::polling::{eventually, until};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::RawStores;
use tollgate_tests::values::{delete, document, expression, get_content, key, s, save};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Request};

const BUCKET: &str = "my-bucket";
const PART_BYTES: usize = 5 * 1024 * 1024;
const LARGE_BYTES: usize = 6 * 1024 * 1024;

/// The content that a read gives.
async fn content(gateway: &Gateway, partition: &str) -> Vec<u8> {
    let item = gateway.get(get_content(partition)).await.ok().item;
    let Some(Kind::Object(object)) = &item["content"].kind else {
        panic!("no object")
    };
    object.data.as_deref().expect("its content").to_vec()
}

/// The key of the object that the stored item points to; none where there is no item, or none in it.
async fn pointed_at(stores: &RawStores, partition: &str) -> Option<String> {
    let item = stores.item("documents", partition, "V1").await?;
    Some(item.get("content")?.as_m().ok()?["key"].as_s().ok()?.clone())
}

/// The bucket holds the object of this one item and nothing else.
async fn holds_just(stores: &RawStores, partition: &str) {
    let pointer = pointed_at(stores, partition)
        .await
        .expect("the item points to an object");
    assert_eq!(stores.objects(BUCKET).await, [pointer]);
    assert_eq!(stores.open_uploads(BUCKET).await, 0);
}

/// The first request of an operation has this fate; all others pass.
fn once(operation: &'static str, fate: Fate) -> Wiretap {
    let asked = AtomicU64::new(0);
    Wiretap::new(
        move |name| match name == operation && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            true => fate,
            false => Fate::Pass,
        },
    )
}

/// Every request of an operation has this fate.
fn always(operation: &'static str, fate: Fate) -> Wiretap {
    Wiretap::new(move |name| if name == operation { fate } else { Fate::Pass })
}

/// The same, from when the switch is on.
fn switched(operation: &'static str, fate: Fate) -> (Wiretap, Arc<AtomicU64>) {
    let switch = Arc::new(AtomicU64::new(0));
    let on = switch.clone();
    let wiretap = Wiretap::new(
        move |name| match name == operation && on.load(Ordering::SeqCst) > 0 {
            true => fate,
            false => Fate::Pass,
        },
    );
    (wiretap, switch)
}

#[tokio::test]
async fn a_repeatedly_saved_item_owns_one_object() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for (number, bytes) in [(1, 100), (2, LARGE_BYTES), (3, 0), (4, LARGE_BYTES), (5, 5)] {
        let saved = gateway
            .save(save("Document", document("A", vec![number; bytes])))
            .await;
        let uploads = if bytes > PART_BYTES { 4 } else { 1 };
        let removal = u64::from(number > 1);
        assert_eq!(saved.bill.count("tollgate-s3-calls"), uploads + removal);
        saved.ok();
        holds_just(wiretap.stores(), "A").await;
        assert!(content(&gateway, "A").await == vec![number; bytes]);
    }
    let mut without = key("A", "V1");
    without.insert("name".to_owned(), s("no content any more"));
    gateway.save(save("Document", without)).await.ok();
    assert!(wiretap.stores().objects(BUCKET).await.is_empty());
    gateway
        .save(save("Document", document("A", vec![1; 10])))
        .await
        .ok();
    let condition = expression("attribute_not_exists(pk)", []);
    let refused = v1::DeleteRequest {
        condition,
        ..delete("Document", key("A", "V1"))
    };
    Refusal::of(gateway.delete(refused).await).is("CONDITION_FAILED", &[]);
    holds_just(wiretap.stores(), "A").await;
    gateway.delete(delete("Document", key("A", "V1"))).await.ok();
    assert!(wiretap.stores().objects(BUCKET).await.is_empty());
}

#[tokio::test]
async fn a_commit_with_a_lost_response_is_found_done() {
    for has_old in [false, true] {
        let (wiretap, switch) = switched("PutItem", Fate::LoseResponse);
        let gateway = Gateway::tapped(&wiretap).await;
        if has_old {
            gateway
                .save(save("Document", document("A", vec![1; 10])))
                .await
                .ok();
        }
        switch.store(1, Ordering::SeqCst);
        gateway
            .save(save("Document", document("A", vec![2; 20])))
            .await
            .ok();
        switch.store(0, Ordering::SeqCst);
        assert_eq!(content(&gateway, "A").await, [2; 20]);
        // what the replaced item owned is not known any more: it is left to sweep, and never is it the live one
        let objects = wiretap.stores().objects(BUCKET).await;
        assert!(objects.len() <= 1 + usize::from(has_old), "{objects:?}");
    }
    let wiretap = once("PutItem", Fate::LoseResponse);
    let gateway = Gateway::tapped(&wiretap).await;
    let saved = gateway.save(save("Document", document("A", vec![2; 20]))).await;
    assert_eq!(saved.bill.count("tollgate-retries"), 0, "it is not sent again");
    assert_eq!(wiretap.count("GetItem"), 1, "the item shows that it was applied");
    saved.ok();
    holds_just(wiretap.stores(), "A").await;
    assert_eq!(content(&gateway, "A").await, [2; 20]);
}

#[tokio::test]
async fn a_create_with_a_lost_response_does_not_fail_its_own_condition() {
    let wiretap = once("PutItem", Fate::LoseResponse);
    let gateway = Gateway::tapped(&wiretap).await;
    let condition = expression("attribute_not_exists(pk)", []);
    let create = v1::SaveRequest {
        condition,
        ..save("Document", document("A", vec![2; 20]))
    };
    gateway.save(create.clone()).await.ok();
    holds_just(wiretap.stores(), "A").await;
    Refusal::of(gateway.save(create).await).is("CONDITION_FAILED", &[]);
    holds_just(wiretap.stores(), "A").await;
}

#[tokio::test]
async fn an_unknown_outcome_loses_no_object() {
    let wiretap = Wiretap::new(|operation| match operation {
        "PutItem" => Fate::LoseResponse,
        "GetItem" => Fate::Error500,
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let refusal = Refusal::of(gateway.save(save("Document", document("A", vec![2; 20]))).await);
    refusal.is("OUTCOME_UNKNOWN", &[]);
    // it was written: the object that the item points to must be there
    holds_just(wiretap.stores(), "A").await;
}

#[tokio::test]
async fn a_failed_commit_leaves_only_the_live_object() {
    for fate in [Fate::Error500, Fate::Throttle] {
        let (wiretap, switch) = switched("PutItem", fate);
        let gateway = Gateway::tapped(&wiretap).await;
        gateway
            .save(save("Document", document("A", vec![1; 10])))
            .await
            .ok();
        switch.store(1, Ordering::SeqCst);
        for bytes in [20, LARGE_BYTES] {
            let refusal = Refusal::of(
                gateway
                    .save(save("Document", document("A", vec![2; bytes])))
                    .await,
            );
            assert_eq!(refusal.code, Code::Unavailable, "{fate:?}: {refusal:?}");
            assert!(
                refusal.bill.count("tollgate-s3-calls") >= 2,
                "upload and removal are billed"
            );
        }
        holds_just(wiretap.stores(), "A").await;
        assert_eq!(content(&gateway, "A").await, [1; 10]);
    }
}

#[tokio::test]
async fn a_retried_part_is_billed_again() {
    let wiretap = once("UploadPart", Fate::Error500);
    let gateway = Gateway::tapped(&wiretap).await;
    let saved = gateway
        .save(save("Document", document("A", vec![3; LARGE_BYTES])))
        .await;
    assert_eq!(
        saved.bill.count("tollgate-s3-calls"),
        5,
        "create, three attempts for two parts, complete"
    );
    assert_eq!(saved.bill.count("tollgate-retries"), 1);
    let twice = saved.bill.count("tollgate-s3-bytes-uploaded") - LARGE_BYTES as u64;
    let parts = [PART_BYTES as u64, (LARGE_BYTES - PART_BYTES) as u64];
    assert!(parts.contains(&twice), "one part went twice: {twice}");
    saved.ok();
    holds_just(wiretap.stores(), "A").await;
    assert!(content(&gateway, "A").await == vec![3; LARGE_BYTES]);
}

#[tokio::test]
async fn failed_uploads_are_cleaned_up() {
    for operation in ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
        let wiretap = always(operation, Fate::Error500);
        let gateway = Gateway::tapped(&wiretap).await;
        let refusal = Refusal::of(
            gateway
                .save(save("Document", document("A", vec![3; LARGE_BYTES])))
                .await,
        );
        refusal.is("STORE_UNAVAILABLE", &[]);
        assert_eq!(
            refusal.bill.count("tollgate-dynamodb-calls"),
            0,
            "{operation}: nothing was written"
        );
        assert!(wiretap.stores().objects(BUCKET).await.is_empty(), "{operation}");
        assert_eq!(wiretap.stores().open_uploads(BUCKET).await, 0, "{operation}");
    }
    for fate in [Fate::Error500, Fate::LoseResponse] {
        let wiretap = always("PutObject", fate);
        let gateway = Gateway::tapped(&wiretap).await;
        let refusal = Refusal::of(gateway.save(save("Document", document("A", vec![3; 10]))).await);
        refusal.is("STORE_UNAVAILABLE", &[]);
        assert!(wiretap.stores().objects(BUCKET).await.is_empty(), "{fate:?}");
    }
    let wiretap = always("CompleteMultipartUpload", Fate::LoseResponse);
    let gateway = Gateway::tapped(&wiretap).await;
    let saved = gateway
        .save(save("Document", document("A", vec![3; LARGE_BYTES])))
        .await;
    match saved.outcome {
        Ok(_) => holds_just(wiretap.stores(), "A").await,
        Err(_) => assert!(wiretap.stores().objects(BUCKET).await.is_empty()),
    }
}

/// The bill of a call that ended without its trailers, once it was closed, and once `is_whole` says so.
async fn bill_of(gateway: &Gateway, id: &str, is_whole: impl Fn(&v1::OperationMetrics) -> bool) -> u32 {
    eventually(async || {
        let request = v1::GetCallMetricsRequest {
            request_id: id.to_owned(),
        };
        let response = gateway
            .metrics()
            .get_call_metrics(request)
            .await
            .map_err(|status| status.to_string())?;
        let finished = response.into_inner();
        match is_whole(finished.metrics.as_ref().expect("a bill")) {
            true => Ok(finished.code),
            false => Err(format!("{finished:?}")),
        }
    })
    .await
}

fn named(message: v1::SaveRequest, id: &str) -> Request<v1::SaveRequest> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("tollgate-request-id", id.parse().expect("an ASCII id"));
    request
}

#[tokio::test]
async fn a_disconnect_during_the_upload_leaves_no_object() {
    let parts = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&parts);
    let wiretap = Wiretap::before(move |operation| {
        let held = (operation == "UploadPart").then(|| Arc::clone(&held));
        Box::pin(async move {
            if let Some(held) = held {
                held.acquire().await.expect("never closed").forget();
            }
        })
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let mut data = gateway.data();
    let request = named(save("Document", document("A", vec![3; LARGE_BYTES])), "left");
    let caller = tokio::spawn(async move { data.save(request).await });
    until("both parts are on their way", async || {
        wiretap.count("UploadPart") == 2
    })
    .await;
    caller.abort();
    bill_of(&gateway, "left", |bill| bill.cancelled_call_count == 1).await;
    assert_eq!(wiretap.count("AbortMultipartUpload"), 0, "parts are in flight");
    parts.add_permits(2);
    until("the upload is aborted", async || {
        wiretap.count("AbortMultipartUpload") == 1
    })
    .await;
    let code = bill_of(&gateway, "left", |bill| {
        bill.s3_calls == 4 && bill.cancelled_call_count == 1
    })
    .await;
    assert_eq!(code, Code::Cancelled as u32);
    until("no upload is open", async || {
        wiretap.stores().open_uploads(BUCKET).await == 0
    })
    .await;
    assert!(wiretap.stores().objects(BUCKET).await.is_empty());
    assert_eq!(wiretap.count("PutItem"), 0);
}

#[tokio::test]
async fn a_deadline_during_the_upload_leaves_no_object() {
    let wiretap = always("UploadPart", Fate::Hang);
    let settings = vec![("TOLLGATE_LIMITS__DEADLINE", "400ms".to_owned())];
    let setup = Setup {
        settings,
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    };
    let gateway = Gateway::with(setup).await;
    let refused = gateway
        .save(named(
            save("Document", document("A", vec![3; LARGE_BYTES])),
            "late",
        ))
        .await;
    Refusal::of(refused).is("DEADLINE_EXCEEDED", &[]);
    until("the upload is aborted", async || {
        wiretap.count("AbortMultipartUpload") == 1
    })
    .await;
    bill_of(&gateway, "late", |bill| {
        bill.s3_calls == 4 && bill.cancelled_call_count == 1
    })
    .await;
    until("no upload is open", async || {
        wiretap.stores().open_uploads(BUCKET).await == 0
    })
    .await;
    assert!(wiretap.stores().objects(BUCKET).await.is_empty());
    assert_eq!(wiretap.count("PutItem"), 0);
}

#[tokio::test]
async fn a_commit_completes_when_the_caller_disconnects() {
    let (wiretap, switch) = switched("PutItem", Fate::Delay(Duration::from_millis(200)));
    let gateway = Gateway::tapped(&wiretap).await;
    gateway
        .save(save("Document", document("A", vec![1; 10])))
        .await
        .ok();
    switch.store(1, Ordering::SeqCst);
    let mut data = gateway.data();
    let request = named(save("Document", document("A", vec![2; 20])), "left");
    let caller = tokio::spawn(async move { data.save(request).await });
    until("the commit is on its way", async || wiretap.count("PutItem") == 2).await;
    caller.abort();
    // upload, commit, removal of what the old item owned: all billed to the call that was left
    bill_of(&gateway, "left", |bill| {
        (bill.s3_calls, bill.put_count) == (2, 1) && bill.total_wcu == 1.0
    })
    .await;
    until("the old object is gone", async || {
        wiretap.stores().objects(BUCKET).await.len() == 1
    })
    .await;
    holds_just(wiretap.stores(), "A").await;
    assert_eq!(content(&gateway, "A").await, [2; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_saves_leave_one_object() {
    differs_on!(Moto, "old-items");
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for round in 0..20_u8 {
        let writer = |number: u8| {
            gateway.save(save(
                "Document",
                document("A", vec![number; 100 + round as usize]),
            ))
        };
        let (one, other, third) = tokio::join!(writer(1), writer(2), writer(3));
        one.ok();
        other.ok();
        third.ok();
        holds_just(wiretap.stores(), "A").await;
        let stored = content(&gateway, "A").await;
        assert!(stored == vec![stored[0]; 100 + round as usize] && (1..=3).contains(&stored[0]));
    }
    for _ in 0..20 {
        let save = gateway.save(save("Document", document("A", vec![9; 50])));
        let (saved, deleted) = tokio::join!(save, gateway.delete(delete("Document", key("A", "V1"))));
        saved.ok();
        deleted.ok();
        match pointed_at(wiretap.stores(), "A").await {
            Some(pointer) => assert_eq!(wiretap.stores().objects(BUCKET).await, [pointer]),
            None => assert!(wiretap.stores().objects(BUCKET).await.is_empty()),
        }
    }
}
