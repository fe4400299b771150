//! A file that is read again when its content changes.

use std::path::PathBuf;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tracing::{error, info};
use zeroize::Zeroizing;

use super::refused::SetupError;
use crate::trusted_file::{self, Readers};

/// A file, and the content that was read last.
pub(super) struct WatchedFile {
    setting: &'static str,
    path: PathBuf,
    readers: Readers,
    max_bytes: u64,
    seen: Mutex<Seen>,
}

struct Seen {
    digest: [u8; 32],
    /// The last error that was logged, so that each is logged once.
    logged: Option<String>,
}

impl WatchedFile {
    /// Reads the file for the first time.
    pub(super) fn open(
        setting: &'static str,
        path: PathBuf,
        readers: Readers,
        max_bytes: u64,
    ) -> Result<(WatchedFile, Zeroizing<Vec<u8>>), SetupError> {
        let content = trusted_file::read(&path, readers, max_bytes).map_err(|source| SetupError::File {
            setting,
            path: path.clone(),
            source,
        })?;
        let seen = Seen {
            digest: Sha256::digest(&*content).into(),
            logged: None,
        };
        let file = WatchedFile {
            setting,
            path,
            readers,
            max_bytes,
            seen: Mutex::new(seen),
        };
        Ok((file, content))
    }

    /// The name of the file, for errors.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The error of invalid content.
    pub(super) fn invalid(&self, text: String) -> SetupError {
        SetupError::Content {
            setting: self.setting,
            place: self.name(),
            text,
        }
    }

    /// Puts the content in use if it changed and is valid, and returns whether it did. Logs both outcomes. Blocks. `apply` runs under a lock, so that
    /// of two reloads the content that was read later stays in use.
    pub(super) fn reload(&self, apply: impl FnOnce(&[u8]) -> Result<(), String>) -> bool {
        let mut seen = self.seen.lock();
        let read = trusted_file::read(&self.path, self.readers, self.max_bytes);
        let applied = match read {
            Ok(content) => {
                let digest: [u8; 32] = Sha256::digest(&*content).into();
                if digest == seen.digest {
                    seen.logged = None;
                    return false;
                }
                apply(&content).map(|()| digest)
            }
            Err(error) => Err(error.to_string()),
        };
        match applied {
            Ok(digest) => {
                seen.digest = digest;
                seen.logged = None;
                info!(file = %self.path.display(), setting = self.setting, "file reloaded");
                true
            }
            Err(text) => {
                if seen.logged.as_ref() != Some(&text) {
                    error!(
                        file = %self.path.display(),
                        setting = self.setting,
                        error = text,
                        "file not reloaded; the previous content stays in use"
                    );
                    seen.logged = Some(text);
                }
                false
            }
        }
    }
}
