//! The embedded backend: DynamoDB, S3 and KMS engines inside the process, reached by the AWS SDK clients
//! through an HTTP connector. Knows nothing of models, operations or gRPC.

mod connector;
mod contents;
mod dynamodb;
mod folder;
pub mod fsck;
mod kms;
mod modes;
mod s3;

use std::path::PathBuf;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnectorFuture, SharedHttpClient};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use connector::Engine;
use folder::Folder;

/// Where the engines keep what they are given.
#[derive(Clone, Debug)]
pub enum Place {
    /// Nothing survives the process.
    Memory,
    /// Everything lies under this folder and survives restarts and `kill -9`.
    Folder(PathBuf),
}

/// How hard a write is pushed to the disk before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// `fsync` on every commit: survives power loss.
    #[default]
    Full,
    /// No `fsync` on commit: survives `kill -9`, may lose the last writes on power loss.
    Normal,
}

/// The three engines, opened over one place, and the key material that lies beside them.
///
/// The data folder stays locked until the last of the three clients is dropped.
pub struct Engines {
    /// Speaks DynamoDB's JSON protocol.
    pub dynamodb: SharedHttpClient,
    /// Speaks KMS's JSON protocol.
    pub kms: SharedHttpClient,
    /// Speaks S3's REST protocol.
    pub s3: SharedHttpClient,
    /// 32 bytes that seal page tokens, kept in the data folder (random in memory).
    pub token_key: [u8; 32],
}

/// Why the engines could not be opened; each text is one line that says what the operator should do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder's lock.
    #[error(
        "the data folder {path} is in use by another tollgate{holder}: \
         stop that one, or give this one a folder of its own with --data"
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// ` (process N)` where the lock file names one, else empty.
        holder: String,
    },
    /// A newer tollgate has written here.
    #[error(
        "the data folder {path} has format {found}, this tollgate knows up to {known}: use a newer tollgate"
    )]
    NewerFormat {
        /// The data folder.
        path: PathBuf,
        /// What `VERSION` says.
        found: u32,
        /// The newest format of this program.
        known: u32,
    },
    /// A file is there but not as it must be.
    #[error("{path}: {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The file system said no.
    #[error("{path}: {source}: check that the data folder exists, is writable and has room")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite said no.
    #[error("{path}: {source}: check that the file is a database of this program and the disk has room")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The system gave no random bytes or no thread.
    #[error("the system refused what the engines need ({0}): try again, or free resources")]
    System(String),
}

impl Engines {
    /// Opens the three engines over `place`: makes the data folder where it is missing, locks it, and reads or
    /// makes its keys.
    ///
    /// # Errors
    ///
    /// See [`Error`]; nothing stays open or locked after one.
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
            dynamodb: Guarded::client(dynamodb, &folder),
            kms: Guarded::client(kms, &folder),
            s3: Guarded::client(s3, &folder),
            token_key: *folder.token_key,
        })
    }
}

/// An engine that keeps the data folder locked for as long as it lives; dropped before the lock.
struct Guarded {
    engine: Arc<dyn Engine>,
    _folder: Arc<Folder>,
}

impl Guarded {
    fn client(engine: Arc<dyn Engine>, folder: &Arc<Folder>) -> SharedHttpClient {
        connector::http_client(Arc::new(Self {
            engine,
            _folder: Arc::clone(folder),
        }))
    }
}

impl Engine for Guarded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.engine.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_stays_locked_until_the_last_client_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().join("data"));
        let Engines {
            dynamodb,
            kms,
            s3,
            token_key,
        } = Engines::open(&place, Synchronous::Full).await.unwrap();
        drop((dynamodb, kms));
        let refused = Engines::open(&place, Synchronous::Full).await.err().unwrap();
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        drop(s3);
        let again = Engines::open(&place, Synchronous::Normal).await.unwrap();
        assert_eq!(again.token_key, token_key);
    }

    #[tokio::test]
    async fn a_refused_open_leaves_nothing_locked() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_path_buf());
        std::fs::write(folder.path().join("s3"), "a file where the folder must be").unwrap();
        for _ in 0..2 {
            let refused = Engines::open(&place, Synchronous::Full).await.err().unwrap();
            assert!(refused.to_string().contains("s3"), "{refused}");
        }
        std::fs::remove_file(folder.path().join("s3")).unwrap();
        Engines::open(&place, Synchronous::Full).await.unwrap();
    }

    #[tokio::test]
    async fn memory_shares_nothing() {
        let first = Engines::open(&Place::Memory, Synchronous::Full).await.unwrap();
        let second = Engines::open(&Place::Memory, Synchronous::Full).await.unwrap();
        assert_ne!(first.token_key, second.token_key);
    }
}
