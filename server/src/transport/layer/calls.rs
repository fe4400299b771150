//! The calls that are open, so that a drain can wait for them and shutdown can close those that it interrupts. Entering
//! and leaving takes a short lock, and allocates only for a new maximum of open calls.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::call::Call;

/// The open calls.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    /// The number of calls; read without the lock.
    count: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
}

impl OpenCalls {
    /// The number of calls.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Adds a call and returns its entry. Holds none of the server's capacity.
    pub(super) fn enter(&self, call: &Call) -> usize {
        let mut entries = self.entries.lock();
        let entry = entries.free.pop().unwrap_or_else(|| {
            entries.calls.push(None);
            entries.calls.len() - 1
        });
        entries.calls[entry] = Some(call.without_hold());
        self.count.store(entries.count(), Ordering::SeqCst);
        entry
    }

    /// Removes the call of an entry.
    pub(super) fn leave(&self, entry: usize) {
        let mut entries = self.entries.lock();
        let left = entries.calls[entry].take();
        entries.free.push(entry);
        self.count.store(entries.count(), Ordering::SeqCst);
        drop(entries);
        drop(left); // after the lock is released: it may be the last clone of its ledger
    }

    /// The calls that are open now.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.entries.lock().calls.iter().flatten().cloned().collect()
    }
}

impl Entries {
    fn count(&self) -> usize {
        self.calls.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reuses_entries() {
        let (open, call) = (OpenCalls::default(), Call::for_test());
        let first = open.enter(&call);
        let second = open.enter(&call);
        assert_ne!(first, second);
        assert_eq!((open.count(), open.calls().len()), (2, 2));
        open.leave(first);
        assert_eq!((open.count(), open.calls().len()), (1, 1));
        assert_eq!(open.enter(&call), first);
        open.leave(second);
        open.leave(first);
        assert_eq!((open.count(), open.calls().len()), (0, 0));
    }
}
