//! Uploads with a request id: a repeat gets the response of the first before it sends any chunk.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::upload_request::Message;
use tollgate_tests::differs_on;
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{key, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{announced, chunk, chunks, content_of, last, message, object_of, saved, serving, upload};

fn first(model: &str, size: u64, request_id: &str) -> v1::UploadRequest {
    let mut item = key("A", "1");
    item.insert("photo".to_owned(), announced(size, ""));
    message(Message::Save(v1::SaveRequest {
        request_id: request_id.to_owned(),
        ..save(model, item)
    }))
}

#[tokio::test]
async fn a_known_id_gets_its_response_before_any_chunk() {
    differs_on!(DynamoDbLocal, "missing-keys");
    for model in ["Kept", "Marked"] {
        let wiretap = Wiretap::counting();
        let gateway = serving(&wiretap, &[]).await;
        let content = b"the content";
        let messages = [vec![first(model, 11, "a")], chunks("photo", content)];
        let response = upload(&gateway, stream::iter(messages.concat())).await.ok();
        let object = object_of(&saved(response).generated, "photo");
        wiretap.clear();
        let repeat = stream::iter([first(model, 11, "a")]).chain(stream::pending());
        let response = upload(&gateway, repeat).await.ok();
        assert_eq!(object_of(&saved(response).generated, "photo"), object, "{model}");
        assert_eq!(wiretap.count("PutObject"), 0);
        assert_eq!(wiretap.count("GetItem"), 1);
        let other = stream::iter([first(model, 12, "a")]).chain(stream::pending());
        let refusal = Refusal::of(upload(&gateway, other).await);
        refusal.is("IDEMPOTENCY_MISMATCH", &["request_id"]);
        assert_eq!(content_of(&gateway, model, "photo").await.unwrap(), content);
    }
}

#[tokio::test]
async fn a_known_update_gets_its_response_before_any_chunk() {
    differs_on!(DynamoDbLocal, "missing-keys");
    for model in ["Kept", "Marked"] {
        let wiretap = Wiretap::counting();
        let gateway = serving(&wiretap, &[]).await;
        let request = || {
            let values = [(":p", announced(0, ""))];
            message(Message::Update(v1::UpdateRequest {
                request_id: "u".to_owned(),
                ..update(model, key("A", "1"), "SET photo = :p", values)
            }))
        };
        let messages = stream::iter([request(), last(":p", b"abc", "")]);
        let first = upload(&gateway, messages).await.ok();
        let repeat = stream::iter([request()]).chain(stream::pending());
        assert_eq!(upload(&gateway, repeat).await.ok(), first, "{model}");
        assert_eq!(content_of(&gateway, model, "photo").await.unwrap(), b"abc");
    }
}

#[tokio::test]
async fn while_one_is_in_flight_another_with_its_id_is_refused() {
    for model in ["Kept", "Marked"] {
        let wiretap = Wiretap::counting();
        let gateway = serving(&wiretap, &[]).await;
        let begun = vec![first(model, 0, "a"), chunk("photo", &vec![1; 6_000_000])];
        let messages = stream::iter(begun).chain(stream::pending());
        let working = tokio::spawn({
            let mut service = gateway.data();
            async move { service.upload(messages).await }
        });
        until("the first is at work", async || {
            wiretap.count("CreateMultipartUpload") > 0
        })
        .await;
        let second = stream::iter([first(model, 0, "a")]).chain(stream::pending());
        let refusal = Refusal::of(upload(&gateway, second).await);
        refusal.is("REQUEST_IN_FLIGHT", &[]);
        working.abort();
        let _ = working.await;
    }
}

#[tokio::test]
async fn a_lost_commit_is_recognised() {
    for (model, operation) in [("Kept", "PutItem"), ("Marked", "TransactWriteItems")] {
        let lost = AtomicBool::new(false);
        let wiretap =
            Wiretap::new(
                move |name| match name == operation && !lost.swap(true, Ordering::SeqCst) {
                    true => Fate::LoseResponse,
                    false => Fate::Pass,
                },
            );
        let gateway = serving(&wiretap, &[]).await;
        let messages = [vec![first(model, 0, "a")], chunks("photo", b"abc")];
        upload(&gateway, stream::iter(messages.concat())).await.ok();
        assert_eq!(content_of(&gateway, model, "photo").await.unwrap(), b"abc");
        let bucket = format!("{}-bucket", model.to_lowercase());
        assert_eq!(wiretap.stores().objects(&bucket).await.len(), 1);
    }
}
