//! Presign: URLs that read and upload objects over HTTP, what they cost, and how they are refused.

mod get;

use std::time::Duration;

use tollgate_proto::v1;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::values::{document, key, save};
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
fn expiring(mut request: v1::PresignRequest, seconds: i64) -> v1::PresignRequest {
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
