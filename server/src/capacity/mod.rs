//! What the server can hold at one time: bytes of memory and calls in flight, in all and per connection. Everything
//! here is a guard that gives back what it holds when it is dropped. Knows nothing of what the bytes and calls are for.
//!
//! | what | bound |
//! |---|---|
//! | bytes, in all | `limits.memory` |
//! | bytes of one connection | half of it, unless a single call needs more than that; a 32nd more for small calls |
//! | the last quarter of the bytes | only for connections that hold little: at most a 32nd of `limits.memory` |
//! | calls of a pool | the pool's places, and the pool's places per connection |

mod hold;
mod memory;
mod places;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use hold::{Hold, Reservation, Waiting};
use memory::Memory;
use places::Places;
pub use places::{NoPlace, Pool};

/// The bounds of a [`Capacity`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in all.
    pub memory: usize,
    /// Calls of [`Pool::Data`].
    pub in_flight: usize,
    /// Calls of [`Pool::Data`] on one connection.
    pub in_flight_per_connection: usize,
}

/// The capacity of one server.
#[derive(Debug)]
pub struct Capacity {
    memory: Memory,
    places: Places,
}

/// What one connection holds of the capacity.
#[derive(Debug, Default)]
pub struct Share {
    bytes: AtomicUsize,
    calls: [AtomicUsize; Pool::COUNT],
}

/// The bytes do not fit, and waiting did not or cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's memory for requests and responses is in use")]
pub struct OutOfMemory;

impl Capacity {
    /// With these bounds, all free.
    pub fn new(limits: Limits) -> Arc<Capacity> {
        Arc::new(Capacity {
            memory: Memory::new(limits.memory),
            places: Places::new(limits.in_flight, limits.in_flight_per_connection),
        })
    }

    /// Bytes that are held.
    pub fn reserved_bytes(&self) -> usize {
        self.memory.used()
    }

    /// Bytes that may be held.
    pub fn memory_bytes(&self) -> usize {
        self.memory.most()
    }

    /// Calls that hold a place.
    pub fn in_flight(&self, pool: Pool) -> usize {
        self.places.taken(pool)
    }
}

impl Share {
    /// Bytes that the connection holds.
    pub fn reserved_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}
