//! An issuer of JWTs for tests: signs with every accepted algorithm, and serves its keys over https.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RsaKeyPair,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::Pair;

/// Made for these tests alone.
const RSA_KEY: &[u8] = include_bytes!("rsa_test_key.der");

/// A signing key with its id.
pub struct Signer {
    id: String,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A new Ed25519 key.
    pub fn ed25519(id: &str) -> Signer {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        Signer {
            id: id.to_owned(),
            key: Key::Ed25519(key),
        }
    }

    /// The RSA key of these tests.
    pub fn rsa(id: &str) -> Signer {
        Signer {
            id: id.to_owned(),
            key: Key::Rsa(RsaKeyPair::from_pkcs8(RSA_KEY).expect("a key")),
        }
    }

    /// A new P-256 key.
    pub fn p256(id: &str) -> Signer {
        Signer {
            id: id.to_owned(),
            key: Key::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)),
        }
    }

    /// A new P-384 key.
    pub fn p384(id: &str) -> Signer {
        Signer {
            id: id.to_owned(),
            key: Key::P384(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)),
        }
    }

    /// The public key as JWK.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "n": encode(public.n), "e": encode(public.e) })
            }
            Key::P256(key) => point("P-256", key.public_key().as_ref()),
            Key::P384(key) => point("P-384", key.public_key().as_ref()),
            Key::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key()) })
            }
        };
        jwk["kid"] = json!(self.id);
        jwk
    }

    /// Signs these claims with an algorithm of the key.
    pub fn sign(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "kid": self.id, "typ": "JWT" });
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature)
                    .expect("signed");
                signature
            }
            Key::P256(key) | Key::P384(key) => key.sign(&random, message).expect("signed").as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key")
}

fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
}

/// Base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A set of keys.
pub fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// Seconds since 1970, this many from now.
pub fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("fits") + seconds
}

/// Valid claims of a subject, with some replaced; `null` removes one.
pub fn claims(subject: &str, changed: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example", "aud": "tollgate", "sub": subject, "exp": seconds_from_now(300),
    });
    for (name, value) in changed.as_object().expect("a map") {
        match value {
            Value::Null => drop(claims.as_object_mut().expect("a map").remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// Serves keys over https, and counts the requests.
#[derive(Clone)]
pub struct KeyServer {
    port: u16,
    response: Arc<Mutex<(u16, String)>>,
    requests: Arc<AtomicUsize>,
}

impl KeyServer {
    /// Serves these keys with this certificate.
    pub async fn start(pair: &Pair, keys: String) -> KeyServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = KeyServer {
            port: listener.local_addr().expect("an address").port(),
            response: Arc::new(Mutex::new((200, keys))),
            requests: Arc::default(),
        };
        let acceptor = TlsAcceptor::from(Arc::new(server_config(pair)));
        tokio::spawn(server.clone().serve(listener, acceptor));
        server
    }

    /// Where the keys are.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/keys", self.port)
    }

    /// Responds with this from now on.
    pub fn set(&self, status: u16, body: String) {
        *self.response.lock() = (status, body);
    }

    /// How often they were read.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    async fn serve(self, listener: TcpListener, acceptor: TlsAcceptor) {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (acceptor, server) = (acceptor.clone(), self.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|_: Request<hyper::body::Incoming>| {
                    let response = server.respond();
                    async { Ok::<_, Infallible>(response) }
                });
                let serving = hyper::server::conn::http1::Builder::new();
                let _ = serving.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    fn respond(&self) -> Response<Full<Bytes>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (status, body) = self.response.lock().clone();
        let mut response = Response::builder().status(status);
        // a malformed body may not be a header
        if status == 302
            && let Ok(location) = HeaderValue::from_str(&body)
        {
            response = response.header("location", location);
        }
        response.body(Full::from(body)).expect("a response")
    }
}

fn server_config(pair: &Pair) -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate")
}
