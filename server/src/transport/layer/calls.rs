//! The calls that are open, so that a drain can wait for them and those which a shutdown cuts off can be found and
//! closed. Entering and leaving takes a short lock, and allocates only if there were never so many calls before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::Call;

/// The open calls.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    /// How many there are; read without the lock.
    count: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
}

impl OpenCalls {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Enters a call; the entry is the call's until it leaves. Holds nothing of the server's capacity.
    pub(super) fn enter(&self, call: &Call) -> usize {
        let mut entries = self.lock();
        let entry = entries.free.pop().unwrap_or_else(|| {
            entries.calls.push(None);
            entries.calls.len() - 1
        });
        entries.calls[entry] = Some(call.without_hold());
        self.count.store(entries.count(), Ordering::SeqCst);
        entry
    }

    /// Removes a call that was entered.
    pub(super) fn leave(&self, entry: usize) {
        let mut entries = self.lock();
        let left = entries.calls[entry].take();
        entries.free.push(entry);
        self.count.store(entries.count(), Ordering::SeqCst);
        drop(entries);
        drop(left); // outside of the lock, should it be the last of its ledger
    }

    /// The open calls, as of now.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn entries_are_used_again() {
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
