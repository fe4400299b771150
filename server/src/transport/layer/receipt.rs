//! The receipt of a request: how much of it has arrived, shared by the request body and the timer of the call. The timer
//! applies the deadline, and the time limit for the request message until that is complete. Time that the caller spends
//! waiting for the server does not count.

use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tollgate_proto::Reason;

use crate::call;

/// Marks that the caller is not waiting.
const NEVER: u64 = u64::MAX;
/// How long a timer without a limit sleeps.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// How much of a request has arrived.
#[derive(Debug)]
pub(super) struct Receipt {
    started: Instant,
    /// When the limit starts, in milliseconds since the start.
    counts_from_ms: AtomicU64,
    /// Since when the caller waits for the server.
    our_turn_from_ms: AtomicU64,
    /// The request message is complete; of a request that streams, the first one.
    complete: AtomicBool,
    /// The limit applies to what follows the first message too.
    limits_all: bool,
    /// All messages have arrived.
    ended: AtomicBool,
    broken: AtomicBool,
    refused: OnceLock<Reason>,
}

/// The limit that a call exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    /// The call's deadline.
    Deadline,
    /// The time for the request message.
    Receive,
}

impl Receipt {
    /// The receipt of a request whose head just arrived. `limits_all`: the limit applies to all messages, not only to the
    /// first one.
    pub(super) fn new(limits_all: bool) -> Receipt {
        Receipt {
            started: call::now(),
            counts_from_ms: AtomicU64::new(0),
            our_turn_from_ms: AtomicU64::new(NEVER),
            complete: AtomicBool::new(false),
            limits_all,
            ended: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            refused: OnceLock::new(),
        }
    }

    /// From now on the caller waits for the server.
    pub(super) fn our_turn(&self) {
        // if it is our turn already, keep its start
        let _ = self.our_turn_from_ms.compare_exchange(
            NEVER,
            self.now_ms(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// From now on the server waits for the caller again.
    pub(super) fn callers_turn(&self) {
        let from = self.our_turn_from_ms.swap(NEVER, Ordering::Relaxed);
        if from != NEVER {
            let waited_ms = self.now_ms().saturating_sub(from);
            self.counts_from_ms.fetch_add(waited_ms, Ordering::Relaxed);
        }
    }

    /// The caller made progress: restarts the limit.
    pub(super) fn renew(&self) {
        self.counts_from_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The request message is complete.
    pub(super) fn set_complete(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    /// All messages have arrived.
    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// The caller reset the stream, or the connection closed.
    pub(super) fn set_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// The request was refused while it arrived.
    pub(super) fn set_refused(&self, reason: Reason) {
        self.refused.get_or_init(|| reason);
    }

    pub(super) fn refused(&self) -> Option<Reason> {
        self.refused.get().copied()
    }

    /// Runs a future until a limit is exceeded.
    pub(super) async fn within<F: Future>(
        &self,
        receive: Duration,
        deadline: Option<Instant>,
        future: F,
    ) -> Result<F::Output, Timeout> {
        let mut future = pin!(future);
        let mut timer = pin!(sleep_until(self.next(receive, deadline, self.started).into()));
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Ok(output),
                () = &mut timer => {}
            }
            let now = call::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(Timeout::Deadline);
            }
            if self.due(receive, now).is_some_and(|due| due <= now) {
                return Err(Timeout::Receive);
            }
            timer.as_mut().reset(self.next(receive, deadline, now).into());
        }
    }

    fn next(&self, receive: Duration, deadline: Option<Instant>, now: Instant) -> Instant {
        let due = self.due(receive, now);
        let next = due.into_iter().chain(deadline).min();
        next.unwrap_or_else(|| now + FAR)
    }

    /// When the next message must be complete; `None` if none is awaited.
    fn due(&self, receive: Duration, now: Instant) -> Option<Instant> {
        let has_arrived = match self.limits_all {
            true => self.ended.load(Ordering::Relaxed),
            false => self.is_complete(),
        };
        if has_arrived {
            return None;
        }
        if self.our_turn_from_ms.load(Ordering::Relaxed) != NEVER {
            return Some(now + receive);
        }
        let counts_from = Duration::from_millis(self.counts_from_ms.load(Ordering::Relaxed));
        Some(self.started + counts_from + receive)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from((call::now() - self.started).as_millis()).unwrap_or(NEVER - 1)
    }
}
