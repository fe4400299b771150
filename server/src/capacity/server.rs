//! The capacity of one server, and its limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::permits::Permits;
use super::pool::Pool;

/// The limits of a [`Capacity`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in total.
    pub memory: usize,
    /// Calls of [`Pool::Data`].
    pub in_flight: usize,
    /// Calls of [`Pool::Data`] on one connection.
    pub in_flight_per_connection: usize,
    /// Whether fewer calls of [`Pool::Data`] are admitted while the processors cannot keep up.
    pub adaptive: bool,
}

/// The capacity of one server.
#[derive(Debug)]
pub struct Capacity {
    pub(super) memory: Memory,
    pub(super) permits: Arc<Permits>,
}

impl Capacity {
    /// Creates a capacity with these limits, nothing of it in use.
    pub fn new(limits: Limits) -> Arc<Capacity> {
        Arc::new(Capacity {
            memory: Memory::new(limits.memory),
            permits: Arc::new(Permits::new(
                limits.in_flight,
                limits.in_flight_per_connection,
                limits.adaptive,
            )),
        })
    }

    /// Bytes in use.
    pub fn reserved_bytes(&self) -> usize {
        self.memory.used()
    }

    /// The limit of [`reserved_bytes`](Capacity::reserved_bytes).
    pub fn memory_bytes(&self) -> usize {
        self.memory.total()
    }

    /// How many calls of [`Pool::Data`] are admitted at one time: the limit, or fewer while the processors cannot keep up.
    pub fn admitted(&self) -> usize {
        self.permits.limit()
    }

    /// Notes how long the work of a call of [`Pool::Data`], which runs `now`, waited since its arrival.
    pub fn observe_delay(&self, delay: Duration, now: Instant) {
        self.permits.observe_delay(delay, now);
    }

    /// Calls of a pool that hold a permit.
    pub fn in_flight(&self, pool: Pool) -> usize {
        self.permits.taken(pool)
    }
}
