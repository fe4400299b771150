//! Places of calls in flight, counted per pool, in all and per connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Capacity, Share};

/// Places of [`Pool::Control`] at least, and at least per connection.
const CONTROL: (usize, usize) = (16, 4);
/// Its part of the places of [`Pool::Data`].
const CONTROL_PART: usize = 8;
/// Places of [`Pool::Health`], and per connection.
const HEALTH: (usize, usize) = (64, 8);
/// Places of [`Pool::LongLived`] per connection.
const LONG_LIVED_PER_CONNECTION: usize = 8;

/// Calls that compete for the same places. What one pool's calls hold does not keep out another's.
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

/// Why a call got no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// All of the pool are taken.
    Server { most: usize },
    /// The connection has all that one may have.
    Connection { most: usize },
}

impl Pool {
    pub(super) const COUNT: usize = 4;
}

#[derive(Debug)]
pub(super) struct Places {
    pools: [Counter; Pool::COUNT],
}

#[derive(Debug)]
struct Counter {
    taken: AtomicUsize,
    most: usize,
    most_per_connection: usize,
}

impl Places {
    pub(super) fn new(in_flight: usize, in_flight_per_connection: usize) -> Places {
        let control = (in_flight / CONTROL_PART).max(CONTROL.0);
        Places {
            pools: [
                Counter::new(in_flight, in_flight_per_connection.min(in_flight)),
                Counter::new(control, (control / 4).max(CONTROL.1)),
                Counter::new(HEALTH.0, HEALTH.1),
                // bounded by the connections, which have a limit
                Counter::new(usize::MAX, LONG_LIVED_PER_CONNECTION),
            ],
        }
    }

    pub(super) fn taken(&self, pool: Pool) -> usize {
        self.pools[pool as usize].taken.load(Ordering::SeqCst)
    }
}

impl Counter {
    fn new(most: usize, most_per_connection: usize) -> Counter {
        Counter {
            taken: AtomicUsize::new(0),
            most,
            most_per_connection,
        }
    }
}

/// A place among the calls in flight, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    capacity: Arc<Capacity>,
    share: Arc<Share>,
    pool: Pool,
}

impl Place {
    pub(super) fn take(capacity: &Arc<Capacity>, share: &Arc<Share>, pool: Pool) -> Result<Place, NoPlace> {
        let counter = &capacity.places.pools[pool as usize];
        let own = &share.calls[pool as usize];
        if !increment(own, counter.most_per_connection) {
            let most = counter.most_per_connection;
            return Err(match most < counter.most {
                true => NoPlace::Connection { most },
                false => NoPlace::Server { most },
            });
        }
        if !increment(&counter.taken, counter.most) {
            own.fetch_sub(1, Ordering::SeqCst);
            return Err(NoPlace::Server { most: counter.most });
        }
        Ok(Place {
            capacity: Arc::clone(capacity),
            share: Arc::clone(share),
            pool,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counter = &self.capacity.places.pools[self.pool as usize];
        self.share.calls[self.pool as usize].fetch_sub(1, Ordering::SeqCst);
        counter.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

fn increment(count: &AtomicUsize, most: usize) -> bool {
    let next = |count| (count < most).then_some(count + 1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        .is_ok()
}
