//! Callers who prove who they are: the files of a gateway that authenticates, and requests with a bearer token.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tonic::Request;

use crate::authority::set_mode;
use crate::gateway::{Gateway, Setup};

/// The files of a gateway that authenticates.
pub struct Setting {
    folder: tempfile::TempDir,
    tokens: Vec<String>,
}

impl Default for Setting {
    /// An empty folder.
    fn default() -> Setting {
        Setting {
            folder: tempfile::tempdir().expect("a folder"),
            tokens: Vec::new(),
        }
    }
}

impl Setting {
    /// The path of a file of this name.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes a private file, and returns its path.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("written");
        set_mode(&path, 0o600);
        self.path(name)
    }

    /// A token of a caller with this name, and more fields of its entry.
    pub fn token(&mut self, name: &str, more: &str) -> String {
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
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("TOLLGATE_AUTH__TOKENS", self.path("tokens.yaml"))]
    }

    /// A gateway with these tokens.
    pub async fn start(&self) -> Gateway {
        start(self.settings()).await
    }
}

/// A gateway with these settings.
pub async fn start(settings: Vec<(&'static str, String)>) -> Gateway {
    Gateway::with(Setup {
        settings,
        ..Setup::default()
    })
    .await
}

/// The setting of one issuer with these keys and more.
pub fn issuer(keys: &str, more: &Value) -> (&'static str, String) {
    let mut issuer = json!({ "issuer": "https://id.example", "audience": "tollgate", "jwks": keys });
    for (name, value) in more.as_object().expect("a map") {
        issuer[name] = value.clone();
    }
    ("TOLLGATE_AUTH__JWT", json!([issuer]).to_string())
}

/// A message with a bearer token.
pub fn bearing<T>(message: T, token: &str) -> Request<T> {
    with_token(Request::new(message), token)
}

/// A request with a bearer token.
pub fn with_token<T>(mut request: Request<T>, token: &str) -> Request<T> {
    let value = format!("Bearer {token}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}
