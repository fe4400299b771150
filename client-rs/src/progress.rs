//! How far the content of an object has got.

/// How far the content of an object has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all.
    pub total: u64,
}
