//! The activity of a connection: its handshake, its streams, and whether it accepts bytes. Written by its socket and its
//! streams, read by the task that serves it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Marks a time that has not come.
const NEVER: u64 = u64::MAX;

/// The activity of a connection. Times are milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    is_established: AtomicBool,
    streams: AtomicUsize,
    /// When the last stream or the handshake ended.
    idle_since: AtomicU64,
    /// Since when it accepts no bytes.
    stalled_since: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Activity {
        Activity {
            opened: Instant::now(),
            is_established: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(NEVER),
        }
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Records that the handshake is complete.
    pub(super) fn established(&self) {
        self.idle_since.store(self.now(), Ordering::Relaxed);
        self.is_established.store(true, Ordering::Release);
    }

    pub(super) fn is_established(&self) -> bool {
        self.is_established.load(Ordering::Acquire)
    }

    pub(super) fn stream_started(&self) {
        self.streams.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn stream_ended(&self) {
        // before the count: a reader that sees zero then sees this time or a later one
        self.idle_since.store(self.now(), Ordering::Release);
        self.streams.fetch_sub(1, Ordering::AcqRel);
    }

    /// Since when there is no stream; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.streams.load(Ordering::Acquire) == 0).then(|| self.at(self.idle_since.load(Ordering::Acquire)))
    }

    /// Records that the socket accepts no more bytes for now.
    pub(super) fn stalled(&self) {
        if self.stalled_since.load(Ordering::Relaxed) == NEVER {
            self.stalled_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Records that the socket accepted bytes.
    pub(super) fn resumed(&self) {
        if self.stalled_since.load(Ordering::Relaxed) != NEVER {
            self.stalled_since.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Since when the socket has accepted none of the bytes that wait; `None` if it is not stalled.
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
