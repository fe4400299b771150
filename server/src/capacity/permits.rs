//! Permits for calls in flight, counted per pool, in total and per connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::overload::Overload;
use super::pool::Pool;
use super::share::Share;

/// The fewest permits of [`Pool::Control`].
const MIN_CONTROL: usize = 16;
/// The fewest permits of [`Pool::Control`] per connection.
const MIN_CONTROL_PER_CONNECTION: usize = 4;
/// [`Pool::Control`] has one permit for this many of [`Pool::Data`].
const DATA_PER_CONTROL: usize = 8;
/// A connection may hold one in this many permits of [`Pool::Control`].
const CONTROL_PER_CONNECTION_DIVISOR: usize = 4;
const HEALTH: usize = 64;
const HEALTH_PER_CONNECTION: usize = 8;
const LONG_LIVED_PER_CONNECTION: usize = 8;

/// The limit that kept a call from getting a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReached {
    /// All permits of the pool are taken.
    Server {
        /// How many the pool has.
        limit: usize,
    },
    /// The processors cannot keep up, and as many calls as they can serve are in flight.
    Overload {
        /// How many they can serve.
        limit: usize,
    },
    /// The connection holds as many as one connection may.
    Connection {
        /// How many one connection may hold.
        limit: usize,
    },
}

/// The permits of all pools.
#[derive(Debug)]
pub(super) struct Permits {
    pools: [Counter; Pool::COUNT],
    /// A lower limit of [`Pool::Data`], if it adapts.
    overload: Option<Overload>,
}

#[derive(Debug)]
struct Counter {
    taken: AtomicUsize,
    limit: usize,
    per_connection: usize,
}

impl Permits {
    pub(super) fn new(in_flight: usize, in_flight_per_connection: usize, adaptive: bool) -> Permits {
        let control = (in_flight / DATA_PER_CONTROL).max(MIN_CONTROL);
        let control_per_connection =
            (control / CONTROL_PER_CONNECTION_DIVISOR).max(MIN_CONTROL_PER_CONNECTION);
        Permits {
            pools: [
                Counter::new(in_flight, in_flight_per_connection.min(in_flight)),
                Counter::new(control, control_per_connection),
                Counter::new(HEALTH, HEALTH_PER_CONNECTION),
                // bounded by the connections, which have a limit
                Counter::new(usize::MAX, LONG_LIVED_PER_CONNECTION),
            ],
            overload: adaptive.then(|| Overload::new(in_flight, Instant::now())),
        }
    }

    /// How many calls of [`Pool::Data`] are admitted now.
    pub(super) fn limit(&self) -> usize {
        let limit = self.pools[Pool::Data as usize].limit;
        self.overload.as_ref().map_or(limit, Overload::limit)
    }

    /// Notes how long the work of a call of [`Pool::Data`] waited to run.
    pub(super) fn observe_delay(&self, delay: Duration, now: Instant) {
        if let Some(overload) = &self.overload {
            overload.observe(delay, self.taken(Pool::Data), now);
        }
    }

    pub(super) fn taken(&self, pool: Pool) -> usize {
        self.pools[pool as usize].taken.load(Ordering::SeqCst)
    }
}

impl Counter {
    fn new(limit: usize, per_connection: usize) -> Counter {
        Counter {
            taken: AtomicUsize::new(0),
            limit,
            per_connection,
        }
    }
}

/// A permit for one call, returned when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    share: Arc<Share>,
    pool: Pool,
}

impl Permit {
    pub(super) fn take(
        permits: &Arc<Permits>,
        share: &Arc<Share>,
        pool: Pool,
    ) -> Result<Permit, LimitReached> {
        let counter = &permits.pools[pool as usize];
        let of_connection = &share.calls[pool as usize];
        if !increment(of_connection, counter.per_connection) {
            let limit = counter.per_connection;
            return Err(match limit < counter.limit {
                true => LimitReached::Connection { limit },
                false => LimitReached::Server { limit },
            });
        }
        let overload = permits.overload.as_ref().filter(|_| pool == Pool::Data);
        let limit = overload.map_or(counter.limit, Overload::limit);
        if !increment(&counter.taken, limit) {
            of_connection.fetch_sub(1, Ordering::SeqCst);
            return Err(match overload.filter(|overload| overload.is_reduced()) {
                Some(overload) => {
                    overload.refuse();
                    LimitReached::Overload { limit }
                }
                None => LimitReached::Server { limit },
            });
        }
        Ok(Permit {
            permits: Arc::clone(permits),
            share: Arc::clone(share),
            pool,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let counter = &self.permits.pools[self.pool as usize];
        self.share.calls[self.pool as usize].fetch_sub(1, Ordering::SeqCst);
        counter.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

fn increment(count: &AtomicUsize, limit: usize) -> bool {
    let next = |count| (count < limit).then_some(count + 1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        .is_ok()
}
