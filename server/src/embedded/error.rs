//! Why the engines cannot be opened, and the constructors of these errors. Never contains stored data.

use std::path::{Path, PathBuf};

/// Why the engines could not be opened. Each text is one line that says what the operator should do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder's lock.
    #[error(
        "the data folder {path} is in use by another tollgate{holder}: \
         stop that process, or choose a different data folder with --data"
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// ` (process N)` if the lock file names a process, otherwise empty.
        holder: String,
    },
    /// The folder was written by a newer tollgate.
    #[error(
        "the data folder {path} has format {found}, but this tollgate supports formats up to {known}: \
         use a newer tollgate"
    )]
    NewerFormat {
        /// The data folder.
        path: PathBuf,
        /// The format in `VERSION`.
        found: u32,
        /// The newest format that this program supports.
        known: u32,
    },
    /// A file has the wrong content, type or permissions.
    #[error("{path}: {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file system operation failed.
    #[error("{path}: {source}: check that the data folder exists, is writable and has free space")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("{path}: {source}: check that the file is a tollgate database and that the disk has free space")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The system random source failed, or a thread could not be started.
    #[error("the system could not provide a resource ({0}): try again, or free resources")]
    System(String),
}

impl Error {
    /// Converts I/O errors on `path`; for `map_err`.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// An [`Error::Unusable`].
    pub(super) fn unusable(path: &Path, problem: impl Into<String>) -> Self {
        Self::Unusable {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }
}
