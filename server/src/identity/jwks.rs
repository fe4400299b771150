//! The keys of an issuer: read from a file or fetched from an https URL, and refreshed. Keys that can no longer be
//! refreshed are used for a day at most.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use tracing::{info, warn};

use super::keys::{Keys, MAX_BYTES};
use super::refused::SetupError;
use super::watched::WatchedFile;
use crate::config::JwtIssuer;
use crate::trusted_file::{self, Readers};

const SETTING: &str = "auth.jwt.jwks";
const CA_SETTING: &str = "auth.jwt.jwks_ca";
const HTTPS: &str = "https://";
/// How often a URL is fetched.
const REFRESH_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often a URL is fetched at most: for tokens of unknown keys, and after failures.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long keys are used after they were last refreshed.
const KEEP_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a fetch may take.
const FETCH_TIME: Duration = Duration::from_secs(10);

/// The keys of an issuer.
pub(super) struct IssuerKeys {
    source: Source,
    current: ArcSwap<Current>,
    tried: Mutex<Tried>,
    /// Held during a refresh: there is one at a time.
    refreshing: tokio::sync::Mutex<()>,
}

enum Source {
    File(WatchedFile),
    Url(Box<Fetcher>),
}

/// The keys in use.
struct Current {
    keys: Option<Arc<Keys>>,
    /// The content that they were parsed from.
    content: Bytes,
    /// Grows when the keys change.
    generation: u64,
    /// When they were last refreshed.
    refreshed: Instant,
}

/// When a fetch was last begun.
#[derive(Default)]
struct Tried {
    /// Because it was due.
    due: Option<Instant>,
    /// For a token of an unknown key.
    unknown_key: Option<Instant>,
}

/// Why the keys are refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// They may be old.
    Due,
    /// A token names a key that is not among them.
    UnknownKey,
}

impl IssuerKeys {
    /// Reads a file; a URL is fetched by the first [`refresh`](IssuerKeys::refresh).
    pub(super) fn open(issuer: &JwtIssuer) -> Result<IssuerKeys, SetupError> {
        let (source, keys) = match issuer.jwks.starts_with(HTTPS) {
            true => (Source::Url(Box::new(Fetcher::new(issuer)?)), None),
            false => {
                let path = PathBuf::from(&issuer.jwks);
                let (file, content) = WatchedFile::open(SETTING, path, Readers::Anyone, MAX_BYTES)?;
                let keys = Keys::parse(&content).map_err(|text| file.invalid(text))?;
                (Source::File(file), Some(Arc::new(keys)))
            }
        };
        Ok(IssuerKeys {
            source,
            current: ArcSwap::from_pointee(Current {
                keys,
                content: Bytes::new(),
                generation: 0,
                refreshed: Instant::now(),
            }),
            tried: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        })
    }

    /// The keys and their generation; `None` if they are too old, or were never read.
    pub(super) fn current(&self) -> Option<(u64, Arc<Keys>)> {
        let current = self.current.load();
        let keys = current.keys.as_ref().filter(|_| !self.is_too_old(&current))?;
        Some((current.generation, Arc::clone(keys)))
    }

    /// Whether tokens that the keys of this generation verified are still valid.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        let current = self.current.load();
        current.generation == generation && current.keys.is_some() && !self.is_too_old(&current)
    }

    fn is_too_old(&self, current: &Current) -> bool {
        matches!(self.source, Source::Url(_)) && current.refreshed.elapsed() > KEEP_FOR
    }

    /// Reads the file again, and returns whether it changed. Blocks. Logs what changed and what is wrong.
    pub(super) fn reload_file(&self) -> bool {
        let Source::File(file) = &self.source else {
            return false;
        };
        file.reload(|content| {
            self.replace(Keys::parse(content)?, Bytes::new());
            Ok(())
        })
    }

    /// Fetches the URL if that is due; for an unknown key at once, but at most every 30 s. Waits for a fetch that is in
    /// progress. Returns whether this put other keys in use.
    pub(super) async fn refresh(&self, why: Why) -> bool {
        let Source::Url(fetcher) = &self.source else {
            return false;
        };
        let asked = Instant::now();
        let _refreshing = self.refreshing.lock().await;
        if !self.is_due(why, asked) {
            return false;
        }
        let fetched = tokio::time::timeout(FETCH_TIME, fetcher.fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| Err("did not respond in time".to_owned()));
        let parsed = fetched.and_then(|content| Keys::parse(&content).map(|keys| (keys, content)));
        match parsed {
            Ok((keys, content)) => {
                let is_new = self.replace(keys, content);
                if is_new {
                    info!(url = %fetcher.url, "keys of a JWT issuer replaced");
                }
                is_new
            }
            Err(error) => {
                warn!(url = %fetcher.url, error, "keys of a JWT issuer not refreshed");
                false
            }
        }
    }

    /// Whether to fetch now; if so, it counts as tried.
    fn is_due(&self, why: Why, asked: Instant) -> bool {
        let current = self.current.load();
        let mut tried = self.tried.lock();
        let (last, is_wanted) = match why {
            Why::Due => (
                &mut tried.due,
                current.keys.is_none() || current.refreshed.elapsed() >= REFRESH_EVERY,
            ),
            // another call may have fetched the keys in the meantime
            Why::UnknownKey => (
                &mut tried.unknown_key,
                current.keys.is_none() || current.refreshed < asked,
            ),
        };
        let was_just_tried = last.is_some_and(|last| last.elapsed() < RETRY_AFTER);
        if !is_wanted || was_just_tried {
            return false;
        }
        *last = Some(Instant::now());
        true
    }

    /// Puts keys in use. Returns whether they differ from those before.
    fn replace(&self, keys: Keys, content: Bytes) -> bool {
        let before = self.current.load();
        let is_same = before.keys.is_some() && !content.is_empty() && before.content == content;
        self.current.store(Arc::new(Current {
            keys: match is_same {
                true => before.keys.clone(),
                false => Some(Arc::new(keys)),
            },
            content,
            generation: before.generation + u64::from(!is_same),
            refreshed: Instant::now(),
        }));
        !is_same
    }
}

/// Fetches a URL. Follows no redirects.
struct Fetcher {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetcher {
    fn new(issuer: &JwtIssuer) -> Result<Fetcher, SetupError> {
        let invalid = |text: String| SetupError::Url {
            setting: SETTING,
            url: issuer.jwks.clone(),
            text,
        };
        let url: Uri = issuer
            .jwks
            .parse()
            .map_err(|_| invalid("is not a URL".to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(error.to_string()))?
            .with_root_certificates(roots(issuer)?)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .build();
        Ok(Fetcher {
            url,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    async fn fetch(&self) -> Result<Bytes, String> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.url.clone();
        let response = self.client.request(request).await;
        let response = response.map_err(|error| cause(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("responded with {}", response.status()));
        }
        let limit = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
        let body = Limited::new(response.into_body(), limit).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes())
    }
}

/// The authorities of the URL's certificate: those of the settings, else the system's.
fn roots(issuer: &JwtIssuer) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &issuer.jwks_ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let content =
        trusted_file::read(path, Readers::Anyone, MAX_BYTES).map_err(|source| SetupError::File {
            setting: CA_SETTING,
            path: path.clone(),
            source,
        })?;
    let invalid = |text: &str| SetupError::Content {
        setting: CA_SETTING,
        place: path.display().to_string(),
        text: text.to_owned(),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let certificates = certificates.map_err(|_| invalid("is not valid PEM"))?;
    if certificates.is_empty() {
        return Err(invalid("has no certificate in PEM"));
    }
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| invalid(&format!("has an invalid certificate: {error}")))?;
    }
    Ok(roots)
}

/// The innermost cause, which says what happened.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
