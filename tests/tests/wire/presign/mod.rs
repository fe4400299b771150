//! Presign: URLs that read and upload objects over HTTP, what they cost, and how they are refused.

mod faults;
mod get;
mod put;

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tollgate_proto::v1;
use tollgate_proto::v1::PresignMethod;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::urls::follow;
use tollgate_tests::values::{AttributeValue, Item, document, key, save};
use tollgate_tests::wiretap::Wiretap;

/// A gateway that serves URLs.
async fn with_urls(wiretap: Option<&Wiretap>) -> Gateway {
    Gateway::with(Setup {
        settings: vec![("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned())],
        wiretap: wiretap.cloned(),
        ..Setup::default()
    })
    .await
}

/// A URL of the content of document `partition`.
fn url(partition: &str, method: v1::PresignMethod) -> v1::PresignRequest {
    v1::PresignRequest {
        model: "Document".to_owned(),
        key: key(partition, "V1"),
        attribute: "content".to_owned(),
        method: method.into(),
        ..v1::PresignRequest::default()
    }
}

/// The request with a life in seconds.
pub(crate) fn expiring(mut request: v1::PresignRequest, seconds: i64) -> v1::PresignRequest {
    let expires = Duration::from_secs(1).try_into().expect("a duration");
    request.expires = Some(expires);
    if let Some(expires) = &mut request.expires {
        expires.seconds = seconds;
    }
    request
}

async fn presign(gateway: &Gateway, request: v1::PresignRequest) -> CallResult<v1::PresignResponse> {
    CallResult::from_response(gateway.data().presign(request).await)
}

async fn store(gateway: &Gateway, partition: &str, content: &[u8]) {
    let saved = save("Document", document(partition, content.to_vec()));
    gateway.save(saved).await.ok();
}

/// A request for a URL that uploads this content as that of document `partition`.
pub(crate) fn upload(partition: &str, content: &[u8]) -> v1::PresignRequest {
    let sha256: Vec<String> = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    v1::PresignRequest {
        name: "scan 1.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        size: content.len() as u64,
        sha256: sha256.concat(),
        ..url(partition, PresignMethod::Put)
    }
}

/// Uploads content by URL, and returns the token.
async fn uploaded(gateway: &Gateway, partition: &str, content: &[u8]) -> String {
    let presigned = presign(gateway, upload(partition, content)).await.ok();
    let response = follow("PUT", &presigned, content.to_vec()).await;
    assert_eq!(response.status, 200, "{response:?}");
    presigned.upload_token
}

/// An object that takes up an upload.
fn taken_up(token: &str) -> AttributeValue {
    let object = v1::Object {
        upload_token: token.to_owned(),
        metadata: [("author".to_owned(), "me".to_owned())].into(),
        ..v1::Object::default()
    };
    AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    }
}

/// Document `partition` with this upload as its content.
pub(crate) fn with_upload(partition: &str, token: &str) -> Item {
    let mut item = document(partition, Vec::new());
    item.insert("content".to_owned(), taken_up(token));
    item
}

/// The keys of the uploads that are not deleted.
async fn uploads(wiretap: &Wiretap) -> Vec<String> {
    let mut keys = wiretap.stores().objects("my-bucket").await;
    keys.retain(|key| key.starts_with("docs/.uploads/"));
    keys
}
