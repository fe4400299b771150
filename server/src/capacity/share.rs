//! The part of the capacity that one connection holds.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::pool::Pool;

/// The part of the capacity that one connection holds.
#[derive(Debug, Default)]
pub struct Share {
    pub(super) bytes: AtomicUsize,
    pub(super) calls: [AtomicUsize; Pool::COUNT],
}

impl Share {
    /// Bytes that the connection holds.
    pub fn reserved_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}
