//! The bytes in use, and the queue of calls that wait for bytes. Reserving and releasing take a few atomic operations
//! while nothing waits; a release with waiters grants what fits, in the order of arrival. A waiter that only its own
//! connection's share holds back is skipped, so that it does not hold up others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::share::Share;

/// One connection may hold this part of the total: a half.
const SHARE_DIVISOR: usize = 2;
/// The part that is kept back for connections that hold little: a quarter.
const KEPT_DIVISOR: usize = 4;
/// A connection that holds at most this part of the total holds little: 1/32.
const LITTLE_DIVISOR: usize = 32;
/// A call that holds no more than this is small: it may exceed its connection's share by the little part, so that small
/// calls proceed beside a large one on the same connection.
const SMALL_CALL_BYTES: usize = 64 * 1024;
/// Waiters at one time; each may keep a frame of its request in memory. Any more are refused at once.
const MAX_WAITING: usize = 4096;

/// The bytes do not fit, and waiting did not or cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's memory for requests and responses is in use")]
pub struct OutOfMemory;

#[derive(Debug)]
pub(super) struct Memory {
    total: usize,
    used: AtomicUsize,
    /// The length of the queue; read without the lock.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
}

/// A request for `bytes` by a call that already holds `own`.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub(super) share: Arc<Share>,
    pub(super) own: usize,
    pub(super) bytes: usize,
}

/// A demand in the queue.
#[derive(Debug)]
pub(super) struct Waiter {
    demand: Demand,
    state: Mutex<WaiterState>,
}

#[derive(Debug, Default)]
struct WaiterState {
    granted: bool,
    waker: Option<Waker>,
}

/// The limit that a demand does not fit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// The connection's share.
    Share,
    /// What connections that hold more than little may use together.
    Unreserved,
    /// The total.
    Total,
}

impl Memory {
    pub(super) fn new(total: usize) -> Memory {
        Memory {
            total,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// The share of one connection.
    pub(super) fn per_connection(&self) -> usize {
        self.total / SHARE_DIVISOR
    }

    /// The most that connections which hold more than little can use together.
    fn unreserved(&self) -> usize {
        self.total - self.total / KEPT_DIVISOR
    }

    /// Takes the bytes if they fit and no demand for more than little waits.
    pub(super) fn try_take(&self, demand: &Demand) -> bool {
        let first = self.waiting.load(Ordering::SeqCst) == 0 || self.is_little(demand);
        first && self.take(demand).is_ok()
    }

    /// Takes the bytes whether they fit or not: they are in memory already.
    pub(super) fn force(&self, share: &Share, bytes: usize) {
        share.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Releases bytes, and grants them to waiters.
    pub(super) fn release(&self, share: &Share, bytes: usize) {
        if bytes == 0 {
            return;
        }
        share.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.grant(&mut self.queue.lock());
        }
    }

    /// Puts a demand at the end of the queue.
    pub(super) fn enqueue(&self, demand: Demand) -> Result<Arc<Waiter>, OutOfMemory> {
        let mut queue = self.queue.lock();
        if queue.len() >= MAX_WAITING || demand.own.saturating_add(demand.bytes) > self.unreserved() {
            return Err(OutOfMemory);
        }
        let waiter = Arc::new(Waiter {
            demand,
            state: Mutex::default(),
        });
        queue.push_back(Arc::clone(&waiter));
        self.waiting.store(queue.len(), Ordering::SeqCst);
        // for bytes that were released before the new length was visible
        self.grant(&mut queue);
        Ok(waiter)
    }

    /// Ends a wait. Returns whether the bytes had been granted: the caller owns them then.
    pub(super) fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut queue = self.queue.lock();
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        self.waiting.store(queue.len(), Ordering::SeqCst);
        // the waiter that left may have held up others
        self.grant(&mut queue);
        drop(queue);
        waiter.state.lock().granted
    }

    fn grant(&self, queue: &mut VecDeque<Arc<Waiter>>) {
        let mut held_up = false;
        let mut is_full = false;
        queue.retain(|waiter| {
            let skipped = is_full || (held_up && !self.is_little(&waiter.demand));
            if skipped {
                return true;
            }
            match self.take(&waiter.demand) {
                Ok(()) => {
                    waiter.grant();
                    return false;
                }
                Err(Full::Share) => {}
                Err(Full::Unreserved) => held_up = true,
                Err(Full::Total) => is_full = true,
            }
            true
        });
        self.waiting.store(queue.len(), Ordering::SeqCst);
    }

    fn take(&self, demand: &Demand) -> Result<(), Full> {
        let &Demand {
            ref share,
            own,
            bytes,
        } = demand;
        let little = self.total / LITTLE_DIVISOR;
        let is_small = own.saturating_add(bytes) <= SMALL_CALL_BYTES;
        let share_limit = self.per_connection() + if is_small { little } else { 0 };
        let may_hold = |held: usize| {
            let is_alone = held <= own;
            let sum = held.checked_add(bytes)?;
            (is_alone || sum <= share_limit).then_some(sum)
        };
        let held = share
            .bytes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, may_hold)
            .map_err(|_| Full::Share)?;
        let holds_little = held + bytes <= little;
        let limit = match holds_little {
            true => self.total,
            false => self.unreserved(),
        };
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits);
        if taken.is_err() {
            share.bytes.fetch_sub(bytes, Ordering::SeqCst);
            return Err(match holds_little {
                true => Full::Total,
                false => Full::Unreserved,
            });
        }
        Ok(())
    }

    fn is_little(&self, demand: &Demand) -> bool {
        demand.share.reserved_bytes().saturating_add(demand.bytes) <= self.total / LITTLE_DIVISOR
    }
}

impl Waiter {
    pub(super) fn bytes(&self) -> usize {
        self.demand.bytes
    }

    pub(super) fn poll_granted(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.granted {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn grant(&self) {
        let mut state = self.state.lock();
        state.granted = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
