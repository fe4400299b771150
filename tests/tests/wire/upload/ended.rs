//! Uploads that do not end: callers that leave or stall, and deadlines.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Request;

use super::{BUCKET, album, chunk, chunks, content_of, numbered, object_of, saved, saving, serving, upload};

const LARGE: usize = 11_000_000;

/// Waits until the stores hold nothing of an upload that was given up.
async fn nothing_is_left(wiretap: &Wiretap) {
    until("nothing is left", async || {
        let stores = wiretap.stores();
        stores.open_uploads(BUCKET).await == 0 && stores.objects(BUCKET).await.is_empty()
    })
    .await;
    assert_eq!(wiretap.count("PutItem"), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_leaves_nothing_behind() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    for bytes in [1_000, LARGE] {
        wiretap.clear();
        let begun = vec![saving(album(&["photo"])), chunk("photo", &numbered(bytes))];
        let messages = stream::iter(begun).chain(stream::pending());
        let calling = tokio::spawn({
            let mut service = gateway.data();
            async move { service.upload(messages).await }
        });
        if bytes == LARGE {
            until("parts are sent", async || wiretap.count("UploadPart") > 0).await;
        }
        calling.abort();
        let _ = calling.await;
        until("the call is over", async || {
            gateway.capacity().reserved_bytes() == 0
        })
        .await;
        nothing_is_left(&wiretap).await;
    }
}

#[tokio::test]
async fn the_deadline_leaves_nothing_behind() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let begun = vec![saving(album(&["photo"])), chunk("photo", &numbered(LARGE))];
    let mut request = Request::new(stream::iter(begun).chain(stream::pending()));
    request.set_timeout(Duration::from_secs(2));
    let outcome = gateway.data().upload(request).await;
    assert!(outcome.is_err(), "{outcome:?}");
    nothing_is_left(&wiretap).await;
}

#[tokio::test]
async fn without_a_deadline_an_upload_has_that_of_streams() {
    let settings = [
        ("TOLLGATE_LIMITS__DEADLINE", "1s"),
        ("TOLLGATE_LIMITS__DEADLINE_MAX", "1s"),
    ];
    let wiretap = Wiretap::new(|operation| match operation {
        "PutObject" => Fate::Delay(Duration::from_millis(1500)),
        _ => Fate::Pass,
    });
    let gateway = serving(&wiretap, &settings).await;
    let messages = [vec![saving(album(&["photo"]))], chunks("photo", b"abc")];
    upload(&gateway, stream::iter(messages.concat())).await.ok();
    assert_eq!(content_of(&gateway, "Album", "photo").await.unwrap(), b"abc");
}

#[tokio::test]
async fn a_caller_that_stalls_is_refused_but_back_pressure_is_not_its_fault() {
    let settings = [
        ("TOLLGATE_LIMITS__RECEIVE", "1s"),
        ("TOLLGATE_S3__IN_FLIGHT", "1"),
    ];
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &settings).await;
    let begun = vec![saving(album(&["photo"])), chunk("photo", b"a")];
    let messages = stream::iter(begun).chain(stream::pending());
    let refusal = Refusal::of(upload(&gateway, messages).await);
    refusal.is("DEADLINE_EXCEEDED", &[]);
    nothing_is_left(&wiretap).await;

    let wiretap = Wiretap::new(|operation| match operation {
        "UploadPart" => Fate::Delay(Duration::from_millis(1500)),
        _ => Fate::Pass,
    });
    let gateway = serving(&wiretap, &settings).await;
    let content = numbered(50_000_000);
    let messages = [vec![saving(album(&["photo"]))], chunks("photo", &content)];
    let response = upload(&gateway, stream::iter(messages.concat())).await.ok();
    let stored = object_of(&saved(response).generated, "photo");
    assert_eq!(stored.size, content.len() as u64);
}
