//! Who callers are: certificates, JWTs and opaque tokens, what needs an identity, and what belongs to one.

mod bound;
mod certificates;
mod issuer;
mod jwt;
mod tokens;

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get, key};
use tonic::{Code, Request, Status};

use self::issuer::{KeyServer, Signer, claims, jwks};
use crate::tls::authority::set_mode;

/// The files of a gateway that authenticates.
pub(crate) struct Setting {
    folder: tempfile::TempDir,
    tokens: Vec<String>,
}

impl Setting {
    pub(crate) fn new() -> Setting {
        Setting {
            folder: tempfile::tempdir().expect("a folder"),
            tokens: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes a private file, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("written");
        set_mode(&path, 0o600);
        self.path(name)
    }

    /// A token of a caller with this name, and more fields of its entry.
    pub(crate) fn token(&mut self, name: &str, more: &str) -> String {
        let token = format!("secret-token-of-{name}");
        let hash: String = Sha256::digest(&token)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.tokens
            .push(format!("- {{ name: {name}, sha256: '{hash}'{more} }}\n"));
        self.write("tokens.yaml", &self.tokens.concat());
        token
    }

    /// The settings of the tokens.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("TOLLGATE_AUTH__TOKENS", self.path("tokens.yaml"))]
    }

    /// A gateway with these tokens.
    pub(crate) async fn start(&self) -> Gateway {
        start(self.settings()).await
    }
}

pub(crate) async fn start(settings: Vec<(&'static str, String)>) -> Gateway {
    Gateway::with(Setup {
        settings,
        ..Setup::default()
    })
    .await
}

/// The setting of one issuer with these keys and more.
fn issuer(keys: &str, more: &Value) -> (&'static str, String) {
    let mut issuer = json!({ "issuer": "https://id.example", "audience": "tollgate", "jwks": keys });
    for (name, value) in more.as_object().expect("a map") {
        issuer[name] = value.clone();
    }
    ("TOLLGATE_AUTH__JWT", json!([issuer]).to_string())
}

/// A message with a bearer token.
pub(crate) fn bearing<T>(message: T, token: &str) -> Request<T> {
    with_token(Request::new(message), token)
}

/// A request with a bearer token.
fn with_token<T>(mut request: Request<T>, token: &str) -> Request<T> {
    let value = format!("Bearer {token}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

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
