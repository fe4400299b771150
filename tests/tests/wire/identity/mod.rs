//! Who callers are: certificates, JWTs and opaque tokens, what needs an identity, and what belongs to one.

mod bound;
mod certificates;
mod jwt;
mod tokens;

use serde_json::json;
use tollgate_proto::v1;
use tollgate_tests::callers::{Setting, bearing, issuer, start, with_token};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::issuer::{KeyServer, Signer, claims, jwks};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get, key};
use tonic::{Code, Request, Status};

/// The status of a Get with this token; of an item that does not exist.
async fn ask(gateway: &Gateway, token: &str) -> Status {
    gateway
        .get(bearing(get("User", key("a", "b")), token))
        .await
        .status()
}

/// Whether a Get with this token reaches the store.
async fn is_known(gateway: &Gateway, token: &str) -> bool {
    ask(gateway, token).await.code() == Code::NotFound
}

/// The text of a refusal, which has the right reason.
fn refused(status: &Status) -> String {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    Refusal::of_status(status).is("UNAUTHENTICATED", &[]);
    status.message().to_owned()
}

fn totals(session: &str) -> v1::GetTotalMetricsRequest {
    v1::GetTotalMetricsRequest {
        session: session.to_owned(),
        model: String::new(),
    }
}
