//! The embedded backend: DynamoDB, S3 and KMS engines inside the process, reached by the AWS SDK clients
//! through an HTTP connector. Knows nothing of models, operations or gRPC.

mod connector;
mod contents;
mod dynamodb;
mod error;
mod folder;
pub mod fsck;
mod keys;
mod kms;
mod layout;
mod lock;
mod permissions;
mod place;
mod private_file;
mod report;
mod s3;
mod sqlite;
mod version;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnectorFuture, SharedHttpClient};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hkdf::Hkdf;
use sha2::Sha256;

use connector::Engine;
pub use error::Error;
use folder::Folder;
pub use place::{Place, Synchronous};
pub use s3::UrlBody;

/// What the key of presigned URLs is derived for.
const URL_KEY: &[u8] = b"tollgate presigned urls v1";

/// The three engines, opened over one place, and the key for page tokens that is stored with their data.
///
/// The data folder stays locked until the last of the three clients and the URLs are dropped.
pub struct Engines {
    /// Implements DynamoDB's JSON protocol.
    pub dynamodb: SharedHttpClient,
    /// Implements KMS's JSON protocol.
    pub kms: SharedHttpClient,
    /// Implements S3's REST protocol.
    pub s3: SharedHttpClient,
    /// The 32-byte key that encrypts page tokens: stored in the data folder, random in memory.
    pub token_key: [u8; 32],
    /// Responds to requests by presigned URL.
    pub urls: Urls,
}

/// Responds to requests by presigned URLs of the S3 engine. Cheap to clone.
#[derive(Clone)]
pub struct Urls {
    service: s3::SignedService,
    /// The id of the key that signs them.
    pub access_key: &'static str,
    /// The key: stored in the data folder, random in memory.
    pub secret: String,
    _folder: Arc<Folder>,
}

impl Urls {
    fn new(engine: &s3::S3, folder: &Arc<Folder>) -> Urls {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, &*folder.token_key)
            .expand(URL_KEY, &mut key)
            .expect("32 bytes are one block of SHA-256");
        let secret = URL_SAFE_NO_PAD.encode(key);
        Urls {
            service: s3::SignedService::new(engine, &secret),
            access_key: s3::ACCESS_KEY,
            secret,
            _folder: Arc::clone(folder),
        }
    }

    /// Responds to a request. One that is not valid gets an error in S3's format.
    pub async fn respond<B>(&self, request: http::Request<B>) -> http::Response<UrlBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        Box<dyn std::error::Error + Send + Sync>: From<B::Error>,
    {
        self.service.respond(request).await
    }
}

impl Engines {
    /// Opens the three engines over `place`: creates the data folder if it is missing, locks it, and reads or creates
    /// its keys.
    ///
    /// # Errors
    ///
    /// See [`Error`]; after an error nothing stays open or locked.
    pub async fn open(place: &Place, synchronous: Synchronous) -> Result<Self, Error> {
        let place = place.clone();
        tokio::task::spawn_blocking(move || Self::open_blocking(&place, synchronous))
            .await
            .map_err(|failure| Error::System(failure.to_string()))?
    }

    fn open_blocking(place: &Place, synchronous: Synchronous) -> Result<Self, Error> {
        let folder = Arc::new(Folder::open(place)?);
        let dynamodb = dynamodb::open(place, synchronous)?;
        let kms = kms::open(place, &folder.root_key)?;
        let s3 = s3::open(place, synchronous)?;
        folder.complete()?;
        Ok(Self {
            urls: Urls::new(&s3, &folder),
            dynamodb: LockedEngine::client(dynamodb, &folder),
            kms: LockedEngine::client(kms, &folder),
            s3: LockedEngine::client(s3, &folder),
            token_key: *folder.token_key,
        })
    }
}

/// An engine that keeps the data folder locked as long as it exists. The engine is dropped before the lock.
struct LockedEngine {
    engine: Arc<dyn Engine>,
    _folder: Arc<Folder>,
}

impl LockedEngine {
    fn client(engine: Arc<dyn Engine>, folder: &Arc<Folder>) -> SharedHttpClient {
        connector::http_client(Arc::new(Self {
            engine,
            _folder: Arc::clone(folder),
        }))
    }
}

impl Engine for LockedEngine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.engine.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_stays_locked_until_the_last_client_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().join("data"));
        let Engines {
            dynamodb,
            kms,
            s3,
            token_key,
            urls,
        } = Engines::open(&place, Synchronous::Full).await.unwrap();
        let secret = urls.secret.clone();
        drop((dynamodb, kms, urls));
        let refused = Engines::open(&place, Synchronous::Full).await.err().unwrap();
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        drop(s3);
        let again = Engines::open(&place, Synchronous::Normal).await.unwrap();
        assert_eq!(again.token_key, token_key);
        assert_eq!(again.urls.secret, secret, "URLs outlive the process");
    }

    #[tokio::test]
    async fn a_failed_open_leaves_nothing_locked() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_path_buf());
        std::fs::write(folder.path().join("s3"), "a file instead of the folder").unwrap();
        for _ in 0..2 {
            let refused = Engines::open(&place, Synchronous::Full).await.err().unwrap();
            assert!(refused.to_string().contains("s3"), "{refused}");
        }
        std::fs::remove_file(folder.path().join("s3")).unwrap();
        Engines::open(&place, Synchronous::Full).await.unwrap();
    }

    #[tokio::test]
    async fn engines_in_memory_share_nothing() {
        let first = Engines::open(&Place::Memory, Synchronous::Full).await.unwrap();
        let second = Engines::open(&Place::Memory, Synchronous::Full).await.unwrap();
        assert_ne!(first.token_key, second.token_key);
    }
}
