//! Uploads with faults at every request: what was acknowledged is readable, the rest leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream;
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{key, save};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{BUCKET, content_of, numbered, serving, upload_photo};

/// Requests of an operation meet these fates, one after the other; the rest pass.
fn fated(operation: &'static str, fates: &[Fate]) -> Wiretap {
    let fates = fates.to_vec();
    let asked = AtomicU64::new(0);
    Wiretap::new(move |name| match name == operation {
        true => {
            let number = asked.fetch_add(1, Ordering::SeqCst) as usize;
            fates.get(number).copied().unwrap_or(Fate::Pass)
        }
        false => Fate::Pass,
    })
}

const LARGE: usize = 11_000_000;
const SMALL: usize = 1_000;

#[tokio::test]
async fn a_passing_fault_is_retried() {
    for (operation, bytes) in [
        ("PutObject", SMALL),
        ("UploadPart", LARGE),
        ("CompleteMultipartUpload", LARGE),
        ("PutItem", LARGE),
    ] {
        for fault in [Fate::Error500, Fate::Throttle, Fate::LoseResponse] {
            let wiretap = fated(operation, &[fault]);
            let gateway = serving(&wiretap, &[]).await;
            let content = numbered(bytes);
            let response = upload_photo(&gateway, &content).await;
            // a commit that may have been done is not repeated: another writer may have replaced its object since
            if (operation, fault) == ("PutItem", Fate::Error500) {
                Refusal::of(response).is("STORE_UNAVAILABLE", &[]);
                assert!(wiretap.stores().objects(BUCKET).await.is_empty());
                continue;
            }
            assert!(
                response.outcome.is_ok(),
                "{operation} {fault:?}: {:?}",
                response.outcome
            );
            assert!(content_of(&gateway, "Album", "photo").await.unwrap() == content);
            assert_eq!(wiretap.stores().open_uploads(BUCKET).await, 0);
            assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_part_is_retried_alone() {
    let wiretap = fated("UploadPart", &[Fate::Pass, Fate::Error500]);
    let gateway = serving(&wiretap, &[]).await;
    upload_photo(&gateway, &numbered(LARGE)).await.ok();
    assert_eq!(wiretap.count("UploadPart"), 4, "three parts, and one again");
}

#[tokio::test]
async fn a_lasting_fault_leaves_nothing_behind() {
    for (operation, bytes) in [
        ("PutObject", SMALL),
        ("CreateMultipartUpload", LARGE),
        ("UploadPart", LARGE),
        ("CompleteMultipartUpload", LARGE),
        ("PutItem", SMALL),
    ] {
        let wiretap = fated(operation, &[Fate::Error500; 9]);
        let gateway = serving(&wiretap, &[]).await;
        let refusal = Refusal::of(upload_photo(&gateway, &numbered(bytes)).await);
        refusal.is("STORE_UNAVAILABLE", &[]);
        assert_eq!(content_of(&gateway, "Album", "photo").await, None, "{operation}");
        assert_eq!(wiretap.stores().objects(BUCKET).await, [""; 0], "{operation}");
        assert_eq!(wiretap.stores().open_uploads(BUCKET).await, 0, "{operation}");
    }
}

#[tokio::test]
async fn a_completion_without_response_is_found_out() {
    for lost in [1, 2] {
        let fates = vec![Fate::LoseResponse; lost];
        let wiretap = fated("CompleteMultipartUpload", &fates);
        let gateway = serving(&wiretap, &[]).await;
        let content = numbered(LARGE);
        upload_photo(&gateway, &content).await.ok();
        assert!(content_of(&gateway, "Album", "photo").await.unwrap() == content);
        assert_eq!(wiretap.count("HeadObject"), 1, "NoSuchUpload on the retry");
    }
}

#[tokio::test]
async fn a_failed_upload_does_not_touch_the_live_object() {
    let failing = Arc::new(AtomicU64::new(0));
    let switch = Arc::clone(&failing);
    let wiretap = Wiretap::new(move |operation| match operation {
        "UploadPart" if switch.load(Ordering::SeqCst) == 1 => Fate::Error500,
        _ => Fate::Pass,
    });
    let gateway = serving(&wiretap, &[]).await;
    upload_photo(&gateway, b"the first").await.ok();
    failing.store(1, Ordering::SeqCst);
    let mut item = super::album(&["photo"]);
    item.insert("rev".to_owned(), tollgate_tests::values::n(1));
    let messages = [
        vec![super::saving(item)],
        super::chunks("photo", &numbered(LARGE)),
    ];
    let refusal = Refusal::of(super::upload(&gateway, stream::iter(messages.concat())).await);
    refusal.is("STORE_UNAVAILABLE", &[]);
    assert_eq!(
        content_of(&gateway, "Album", "photo").await.unwrap(),
        b"the first"
    );
    assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 1);
}

#[tokio::test]
async fn the_abort_waits_for_the_parts_in_flight() {
    let parts = AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "UploadPart" => match parts.fetch_add(1, Ordering::SeqCst) {
            0 => Fate::Delay(Duration::from_secs(1)),
            _ => Fate::Respond(400, "<Error><Code>InvalidRequest</Code></Error>"),
        },
        _ => Fate::Pass,
    });
    let gateway = serving(&wiretap, &[]).await;
    let refusal = Refusal::of(upload_photo(&gateway, &numbered(LARGE)).await);
    refusal.is("STORE_REFUSED", &[]);
    assert_eq!(wiretap.count("AbortMultipartUpload"), 1);
    assert_eq!(wiretap.stores().open_uploads(BUCKET).await, 0);
    until("nothing is left", async || {
        wiretap.stores().objects(BUCKET).await.is_empty()
    })
    .await;
    gateway.save(save("Album", key("A", "1"))).await.ok();
}
