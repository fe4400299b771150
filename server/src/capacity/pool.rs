//! The pools that calls in flight are counted in.

/// Calls that compete for the same permits. The calls of one pool never keep out those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Reads and writes of items.
    Data,
    /// Short calls about the server: metrics and schemas.
    Control,
    /// Health checks.
    Health,
    /// Streams without an end: health watches and reflection.
    LongLived,
}

impl Pool {
    pub(super) const COUNT: usize = 4;
}
