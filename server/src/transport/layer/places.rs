//! The calls in flight: at most so many, each in a place of its own, so that those which a shutdown cuts off can be
//! found and closed. A place is taken and left under a short lock, and costs an allocation only where there were never
//! so many calls before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::billing::Call;

/// The places of calls in flight.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// As many as are taken; read without the lock.
    count: AtomicUsize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
}

impl Places {
    /// So many, all free.
    pub(super) fn new(most: usize) -> Places {
        Places {
            most,
            count: AtomicUsize::new(0),
            taken: Mutex::default(),
        }
    }

    /// How many are taken.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Takes a place for a call; none where all are taken. It is the call's until it is left.
    pub(super) fn take(&self, call: &Call) -> Option<usize> {
        let mut taken = self.lock();
        let place = match taken.free.pop() {
            Some(place) => place,
            None if taken.calls.len() < self.most => {
                taken.calls.push(None);
                taken.calls.len() - 1
            }
            None => return None,
        };
        taken.calls[place] = Some(call.clone());
        self.count.store(taken.count(), Ordering::SeqCst);
        Some(place)
    }

    /// Leaves a place that was taken.
    pub(super) fn leave(&self, place: usize) {
        let mut taken = self.lock();
        let left = taken.calls[place].take();
        taken.free.push(place);
        self.count.store(taken.count(), Ordering::SeqCst);
        drop(taken);
        drop(left); // outside of the lock, should it be the last of its ledger
    }

    /// The calls in flight, as of now.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn count(&self) -> usize {
        self.calls.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let (places, call) = (Places::new(2), Call::for_test());
        let first = places.take(&call).unwrap();
        let second = places.take(&call).unwrap();
        assert_ne!(first, second);
        assert_eq!((places.take(&call), places.count()), (None, 2));
        places.leave(first);
        assert_eq!((places.count(), places.calls().len()), (1, 1));
        assert_eq!(places.take(&call), Some(first));
        places.leave(second);
        places.leave(first);
        assert_eq!((places.count(), places.calls().len()), (0, 0));
    }
}
