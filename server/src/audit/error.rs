//! Why the log cannot be opened.

use std::io;
use std::path::PathBuf;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be opened or read.
    #[error("audit.file: {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("audit.file: {} is in use by another process; give each process a file", .0.display())]
    InUse(PathBuf),
    /// The last line is not one that could be continued.
    #[error(
        "audit.file: {} cannot be continued: {text}; check it with `tollgate audit verify` and move it away",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with its last line.
        text: &'static str,
    },
}
