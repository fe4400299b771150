//! What a connection does: its handshake, its streams, whether it takes what it is sent. Written by its socket and its
//! streams, read by its driver.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Stands for never.
const NEVER: u64 = u64::MAX;

/// What a connection does. Times are milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    has_greeted: AtomicBool,
    streams: AtomicUsize,
    /// When the last stream ended, or the handshake.
    idle_since: AtomicU64,
    /// Since when it takes no bytes.
    stalled_since: AtomicU64,
}

impl Activity {
    pub(super) fn begin() -> Activity {
        Activity {
            opened: Instant::now(),
            has_greeted: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(NEVER),
        }
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// The handshake is over.
    pub(super) fn greeted(&self) {
        self.idle_since.store(self.now(), Ordering::Relaxed);
        self.has_greeted.store(true, Ordering::Release);
    }

    pub(super) fn has_greeted(&self) -> bool {
        self.has_greeted.load(Ordering::Acquire)
    }

    pub(super) fn stream_begins(&self) {
        self.streams.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn stream_ends(&self) {
        // before the count: whoever reads zero then reads this time, or a later one
        self.idle_since.store(self.now(), Ordering::Release);
        self.streams.fetch_sub(1, Ordering::AcqRel);
    }

    /// Since when there is no stream; none where there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.streams.load(Ordering::Acquire) == 0).then(|| self.at(self.idle_since.load(Ordering::Acquire)))
    }

    /// The socket takes no more bytes for now.
    pub(super) fn stalls(&self) {
        if self.stalled_since.load(Ordering::Relaxed) == NEVER {
            self.stalled_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The socket took bytes.
    pub(super) fn flows(&self) {
        if self.stalled_since.load(Ordering::Relaxed) != NEVER {
            self.stalled_since.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Since when the socket takes no bytes, if there are some.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        let since = self.stalled_since.load(Ordering::Relaxed);
        (since != NEVER).then(|| self.at(since))
    }

    fn now(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    fn at(&self, millis: u64) -> Instant {
        self.opened + Duration::from_millis(millis)
    }
}
