//! What one call holds, as guards. Everything is released when the last clone of the call is dropped, including the
//! clones of work that was spawned for it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use super::account::Place;
use super::memory::{Demand, OutOfMemory, Waiter};
use super::permits::{LimitReached, Permit};
use super::pool::Pool;
use super::server::Capacity;
use super::share::Share;

/// What a call holds: bytes, a permit once it has taken one, and its place among the calls of its caller.
#[derive(Debug)]
pub struct Hold {
    capacity: Arc<Capacity>,
    share: Arc<Share>,
    /// Bytes that the call keeps.
    bytes: AtomicUsize,
    /// How many of them it keeps until it is over.
    base: AtomicUsize,
    /// Demands that wait in the queue.
    waiting: AtomicUsize,
    permit: OnceLock<Permit>,
    place: OnceLock<Place>,
}

/// Bytes that are released when this is dropped.
#[derive(Debug, Default)]
pub struct Reservation(Option<Reserved>);

#[derive(Debug)]
struct Reserved {
    capacity: Arc<Capacity>,
    share: Arc<Share>,
    bytes: usize,
}

/// A request for bytes. Resolves to a [`Reservation`], or to [`OutOfMemory`] if the bytes can never fit or too many
/// requests wait already. Has no timeout; the caller must apply its deadline.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Waiting(State);

#[derive(Debug)]
enum State {
    Ready(Result<Reservation, OutOfMemory>),
    Queued { hold: Arc<Hold>, waiter: Arc<Waiter> },
    Done,
}

impl Hold {
    /// Opens the hold of a call, with `base` bytes for the call itself.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] immediately if they do not fit.
    pub fn open(capacity: &Arc<Capacity>, share: &Arc<Share>, base: usize) -> Result<Arc<Hold>, OutOfMemory> {
        let demand = Demand {
            share: Arc::clone(share),
            own: 0,
            bytes: base,
        };
        if !capacity.memory.try_take(&demand) {
            return Err(OutOfMemory);
        }
        Ok(Arc::new(Hold {
            capacity: Arc::clone(capacity),
            share: demand.share,
            bytes: AtomicUsize::new(base),
            base: AtomicUsize::new(base),
            waiting: AtomicUsize::new(0),
            permit: OnceLock::new(),
            place: OnceLock::new(),
        }))
    }

    /// Takes a permit for a call in flight, unless the call already has one.
    ///
    /// # Errors
    ///
    /// The limit that is reached.
    pub fn take_permit(&self, pool: Pool) -> Result<(), LimitReached> {
        if self.permit.get().is_some() {
            return Ok(());
        }
        let permit = Permit::take(&self.capacity.permits, &self.share, pool)?;
        self.permit.get_or_init(|| permit);
        Ok(())
    }

    /// Keeps the place of the call among those of its caller.
    pub fn keep_place(&self, place: Place) {
        self.place.get_or_init(|| place);
    }

    /// Requests bytes.
    pub fn reserve(self: &Arc<Hold>, bytes: usize) -> Waiting {
        self.reserve_beside(0, bytes)
    }

    /// Requests bytes for a call that has `reserved` bytes which it does not keep.
    fn reserve_beside(self: &Arc<Hold>, reserved: usize, bytes: usize) -> Waiting {
        let demand = self.demand(reserved, bytes);
        let memory = &self.capacity.memory;
        if memory.try_take(&demand) {
            return Waiting(State::Ready(Ok(self.reserved(bytes))));
        }
        Waiting(match memory.enqueue(demand) {
            Ok(waiter) => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                State::Queued {
                    hold: Arc::clone(self),
                    waiter,
                }
            }
            Err(error) => State::Ready(Err(error)),
        })
    }

    /// Requests `estimate` bytes, reduced to what is left of the connection's share so that the request can be granted
    /// while other calls are in progress, but at least `least` bytes.
    pub fn reserve_estimate(self: &Arc<Hold>, least: usize, estimate: usize) -> Waiting {
        self.reserve_estimate_beside(0, least, estimate)
    }

    /// Like [`reserve_estimate`](Hold::reserve_estimate), but for a call that has `reserved` bytes which it does not
    /// keep: they do not count as another call's.
    pub fn reserve_estimate_beside(
        self: &Arc<Hold>,
        reserved: usize,
        least: usize,
        estimate: usize,
    ) -> Waiting {
        self.reserve_beside(reserved, self.within_share(reserved, estimate).max(least))
    }

    /// Reserves an estimate only if its bytes are free now. Never waits.
    pub fn try_reserve_estimate(&self, estimate: usize) -> Option<Reservation> {
        let bytes = self.within_share(0, estimate);
        let demand = self.demand(0, bytes);
        self.capacity
            .memory
            .try_take(&demand)
            .then(|| self.reserved(bytes))
    }

    fn within_share(&self, reserved: usize, estimate: usize) -> usize {
        let own = self.bytes.load(Ordering::Relaxed).saturating_add(reserved);
        let share = self.capacity.memory.per_connection();
        estimate.min(share.saturating_sub(own))
    }

    fn demand(&self, reserved: usize, bytes: usize) -> Demand {
        Demand {
            share: Arc::clone(&self.share),
            own: self.bytes.load(Ordering::Relaxed).saturating_add(reserved),
            bytes,
        }
    }

    /// Whether the call is waiting for bytes.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Counts bytes that are in memory already, whether they fit or not.
    pub fn count(&self, bytes: usize) -> Reservation {
        self.capacity.memory.force(&self.share, bytes);
        self.reserved(bytes)
    }

    /// Keeps reserved bytes until the call is over or [`Hold::release_kept`] is called.
    pub fn keep(&self, reservation: Reservation) {
        let bytes = reservation.forget();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Keeps everything that is kept now until the call is over: [`Hold::release_kept`] then releases only later bytes.
    pub fn keep_to_the_end(&self) {
        self.base
            .store(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Releases the bytes that are kept, except those kept to the end.
    pub fn release_kept(&self) {
        let base = self.base.load(Ordering::Relaxed);
        let kept = self.bytes.swap(base, Ordering::Relaxed).saturating_sub(base);
        self.capacity.memory.release(&self.share, kept);
    }

    fn reserved(&self, bytes: usize) -> Reservation {
        if bytes == 0 {
            return Reservation(None);
        }
        Reservation(Some(Reserved {
            capacity: Arc::clone(&self.capacity),
            share: Arc::clone(&self.share),
            bytes,
        }))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let held = self.bytes.load(Ordering::Relaxed);
        self.capacity.memory.release(&self.share, held);
    }
}

impl Reservation {
    /// Releases all but `bytes` bytes; does nothing if it holds fewer.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(reserved) = &mut self.0
            && reserved.bytes > bytes
        {
            let surplus = reserved.bytes - bytes;
            reserved.bytes = bytes;
            reserved.capacity.memory.release(&reserved.share, surplus);
        }
    }

    /// Splits off `bytes` bytes, or all that it holds if it holds fewer.
    pub fn split(&mut self, bytes: usize) -> Reservation {
        let Some(reserved) = &mut self.0 else {
            return Reservation(None);
        };
        let bytes = bytes.min(reserved.bytes);
        reserved.bytes -= bytes;
        Reservation(Some(Reserved {
            capacity: Arc::clone(&reserved.capacity),
            share: Arc::clone(&reserved.share),
            bytes,
        }))
    }

    /// The number of bytes held.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |reserved| reserved.bytes)
    }

    /// Forgets the bytes without releasing them: the caller counts them from now on.
    fn forget(mut self) -> usize {
        self.0
            .as_mut()
            .map_or(0, |reserved| std::mem::take(&mut reserved.bytes))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.capacity.memory.release(&self.share, self.bytes);
    }
}

impl Future for Waiting {
    type Output = Result<Reservation, OutOfMemory>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Queued { waiter, .. } = &self.0
            && waiter.poll_granted(context).is_pending()
        {
            return Poll::Pending;
        }
        match std::mem::replace(&mut self.0, State::Done) {
            State::Ready(result) => Poll::Ready(result),
            State::Queued { hold, waiter } => {
                hold.waiting.fetch_sub(1, Ordering::Relaxed);
                Poll::Ready(Ok(hold.reserved(waiter.bytes())))
            }
            State::Done => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let State::Queued { hold, waiter } = &self.0 else {
            return;
        };
        hold.waiting.fetch_sub(1, Ordering::Relaxed);
        let memory = &hold.capacity.memory;
        if memory.leave(waiter) {
            memory.release(&hold.share, waiter.bytes());
        }
    }
}
