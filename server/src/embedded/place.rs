//! Where the engines store their data, and how durable a write is.

use std::path::PathBuf;

/// Where the engines store their data.
#[derive(Clone, Debug)]
pub enum Place {
    /// In memory: nothing survives the process.
    Memory,
    /// In this folder: everything survives restarts and `kill -9`.
    Folder(PathBuf),
}

/// What a write is flushed to before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// `fsync` on every commit: survives power loss.
    #[default]
    Full,
    /// No `fsync` on commit: survives `kill -9`, but power loss may lose the last writes.
    Normal,
}
