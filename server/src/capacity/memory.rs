//! The bytes that are held, and the queue of those who wait for some. Reserving and releasing are a few atomic
//! operations as long as nobody waits; a release with waiters grants what fits, in the order of arrival. A waiter that
//! only its own connection's share holds back is passed over, so that it does not hold up others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{OutOfMemory, Share};

/// One connection may hold this part of all.
const SHARE_PART: usize = 2;
/// This part is kept for connections that hold little.
const KEPT_PART: usize = 4;
/// And this part of all is little.
const LITTLE_PART: usize = 32;
/// A call that holds no more than this is small: it may go past its connection's share by what is little, so that small
/// calls go on beside a large one of the same connection.
const SMALL_CALL_BYTES: usize = 64 * 1024;
/// Waiters at one time; each may keep a frame of its request in hand. Those past it are refused at once.
const MOST_WAITING: usize = 4096;

#[derive(Debug)]
pub(super) struct Memory {
    most: usize,
    used: AtomicUsize,
    /// The length of the queue; read without the lock.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
}

/// What is asked for: `bytes` for a call that holds `own` already.
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

/// Why a demand does not fit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// The connection's own share.
    Share,
    /// What those who hold more than little may have in all.
    Most,
    /// Everything.
    All,
}

impl Memory {
    pub(super) fn new(most: usize) -> Memory {
        Memory {
            most,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// The share of one connection.
    pub(super) fn most_per_connection(&self) -> usize {
        self.most / SHARE_PART
    }

    /// The most that those who hold more than little can be granted together.
    fn most_but_kept(&self) -> usize {
        self.most - self.most / KEPT_PART
    }

    /// Takes the bytes if they fit and nobody who asks for more than little waits for theirs.
    pub(super) fn try_take(&self, demand: &Demand) -> bool {
        let first = self.waiting.load(Ordering::SeqCst) == 0 || self.is_little(demand);
        first && self.take(demand).is_ok()
    }

    /// Takes the bytes whether they fit or not: they are in memory already.
    pub(super) fn force(&self, share: &Share, bytes: usize) {
        share.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Gives bytes back, to those who wait first.
    pub(super) fn release(&self, share: &Share, bytes: usize) {
        if bytes == 0 {
            return;
        }
        share.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.grant(&mut self.queue());
        }
    }

    /// Waits for the bytes at the end of the queue.
    pub(super) fn enqueue(&self, demand: Demand) -> Result<Arc<Waiter>, OutOfMemory> {
        let mut queue = self.queue();
        if queue.len() >= MOST_WAITING || demand.own.saturating_add(demand.bytes) > self.most_but_kept() {
            return Err(OutOfMemory);
        }
        let waiter = Arc::new(Waiter {
            demand,
            state: Mutex::default(),
        });
        queue.push_back(Arc::clone(&waiter));
        self.waiting.store(queue.len(), Ordering::SeqCst);
        // what was released before the length was seen
        self.grant(&mut queue);
        Ok(waiter)
    }

    /// Ends a wait. Whether the bytes had been granted: they are the caller's then.
    pub(super) fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut queue = self.queue();
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        self.waiting.store(queue.len(), Ordering::SeqCst);
        // the one who left may have held up others
        self.grant(&mut queue);
        drop(queue);
        waiter.state().granted
    }

    fn grant(&self, queue: &mut VecDeque<Arc<Waiter>>) {
        let mut held_up = false;
        let mut everything_full = false;
        queue.retain(|waiter| {
            let passed_over = everything_full || (held_up && !self.is_little(&waiter.demand));
            if passed_over {
                return true;
            }
            match self.take(&waiter.demand) {
                Ok(()) => {
                    waiter.grant();
                    return false;
                }
                Err(Full::Share) => {}
                Err(Full::Most) => held_up = true,
                Err(Full::All) => everything_full = true,
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
        let little = self.most / LITTLE_PART;
        let is_small = own.saturating_add(bytes) <= SMALL_CALL_BYTES;
        let most = self.most_per_connection() + if is_small { little } else { 0 };
        let may_have = |held: usize| {
            let alone = held <= own;
            let sum = held.checked_add(bytes)?;
            (alone || sum <= most).then_some(sum)
        };
        let held = share
            .bytes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, may_have)
            .map_err(|_| Full::Share)?;
        let holds_little = held + bytes <= little;
        let most = match holds_little {
            true => self.most,
            false => self.most_but_kept(),
        };
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= most);
        let taken = self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits);
        if taken.is_err() {
            share.bytes.fetch_sub(bytes, Ordering::SeqCst);
            return Err(if holds_little { Full::All } else { Full::Most });
        }
        Ok(())
    }

    fn is_little(&self, demand: &Demand) -> bool {
        demand.share.reserved_bytes().saturating_add(demand.bytes) <= self.most / LITTLE_PART
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Waiter>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    pub(super) fn bytes(&self) -> usize {
        self.demand.bytes
    }

    pub(super) fn poll_granted(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.granted {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn grant(&self) {
        let mut state = self.state();
        state.granted = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, WaiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
