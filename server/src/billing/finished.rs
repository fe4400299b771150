//! The bills of the most recently finished calls, by request id, for callers that received no trailers. Calls that were
//! refused before they did anything are kept separately, so that they never evict or replace the bill of a call that
//! passed its checks.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::SystemTime;

use lru::LruCache;
use tonic::Code;

use super::entry::Entry;
use super::owner::{Owned, Owner};
use crate::figure::{Bill, Rpc};

/// One finished call and its bill.
#[derive(Clone, Debug)]
pub struct FinishedCall {
    owner: Owner,
    serial: u64,
    /// As in the `tollgate-request-id` metadata.
    pub request_id: Arc<str>,
    /// The RPC.
    pub rpc: Rpc,
    /// The served model that it named.
    pub model: Option<Arc<str>>,
    /// The session that was billed.
    pub session: Option<Arc<str>>,
    /// Its final status.
    pub code: Code,
    /// When it came in.
    pub started_at: SystemTime,
    /// What it has cost so far: work that continues after the caller disconnected is added as it is done.
    pub bill: Bill,
}

impl FinishedCall {
    pub(super) fn new(entry: &Entry<'_>, bill: &Bill, code: Code) -> FinishedCall {
        FinishedCall {
            owner: entry.owner,
            serial: entry.serial,
            request_id: Arc::from(entry.request_id),
            rpc: entry.rpc,
            model: entry.model.cloned(),
            session: entry.session.cloned(),
            code,
            started_at: entry.started_at,
            bill: bill.clone(),
        }
    }

    fn key(&self) -> Owned {
        Owned {
            owner: self.owner,
            name: Arc::clone(&self.request_id),
        }
    }
}

/// One slot in this many is for calls that were refused.
const REFUSED_PART: usize = 10;

/// A bounded number of finished calls, the oldest forgotten first.
#[derive(Debug)]
pub(super) struct Finished {
    passed: Ring,
    refused: Ring,
}

impl Finished {
    pub(super) fn new(max: usize) -> Finished {
        let refused = max.div_ceil(REFUSED_PART);
        Finished {
            passed: Ring::new(max.saturating_sub(refused).max(max.min(1))),
            refused: Ring::new(refused),
        }
    }

    /// Keeps a call; `passed` if it passed its checks.
    pub(super) fn put(&mut self, call: FinishedCall, passed: bool) {
        if passed {
            self.refused.by_id.pop(&call.key());
            self.passed.put(call);
        } else {
            self.refused.put(call);
        }
    }

    /// The latest call with this id that passed its checks, otherwise the latest that was refused.
    pub(super) fn get(&self, request_id: &Owned) -> Option<&FinishedCall> {
        let passed = self.passed.by_id.peek(request_id);
        passed.or_else(|| self.refused.by_id.peek(request_id))
    }

    /// Adds what was counted after the call was closed, if this call is still kept.
    pub(super) fn add_late(&mut self, entry: &Entry<'_>, late: &Bill) {
        let key = entry.owned_request();
        for ring in [&mut self.passed, &mut self.refused] {
            let call = ring.by_id.peek_mut(&key);
            if let Some(call) = call.filter(|call| call.serial == entry.serial) {
                call.bill += late;
            }
        }
    }

    /// Moves a call from the refused to the passed: it did something after it was closed.
    pub(super) fn promote(&mut self, entry: &Entry<'_>) {
        let key = entry.owned_request();
        let call = self.refused.by_id.peek(&key);
        if call.is_some_and(|call| call.serial == entry.serial)
            && let Some(call) = self.refused.by_id.pop(&key)
        {
            self.passed.put(call);
        }
    }
}

#[derive(Debug)]
struct Ring {
    max: usize,
    /// Never read with `get`, so it stays in the order of finishing.
    by_id: LruCache<Owned, FinishedCall, RandomState>,
}

impl Ring {
    fn new(max: usize) -> Ring {
        Ring {
            max,
            by_id: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    fn put(&mut self, call: FinishedCall) {
        self.by_id.put(call.key(), call);
        if self.by_id.len() > self.max {
            self.by_id.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request_id: &str, serial: u64) -> Entry<'_> {
        let started_at = SystemTime::UNIX_EPOCH;
        Entry {
            owner: Owner::EVERYONE,
            rpc: Rpc::Get,
            serial,
            request_id,
            session: None,
            model: None,
            started_at,
        }
    }

    fn get<'a>(finished: &'a Finished, request_id: &str) -> Option<&'a FinishedCall> {
        finished.get(&Owned::new(Owner::EVERYONE, request_id))
    }

    fn put(finished: &mut Finished, request_id: &str, serial: u64) {
        let bill = Bill {
            calls: 1,
            ..Bill::default()
        };
        finished.put(
            FinishedCall::new(&entry(request_id, serial), &bill, Code::Ok),
            true,
        );
    }

    #[test]
    fn the_oldest_is_removed_first() {
        let mut finished = Finished::new(3);
        put(&mut finished, "a", 0);
        put(&mut finished, "b", 1);
        assert!(get(&finished, "a").is_some());
        put(&mut finished, "c", 2);
        assert!(get(&finished, "a").is_none());
        assert!(get(&finished, "b").is_some());
        let mut none = Finished::new(0);
        put(&mut none, "a", 0);
        assert!(get(&none, "a").is_none());
    }

    #[test]
    fn late_counts_go_to_their_own_call_only() {
        let mut finished = Finished::new(2);
        put(&mut finished, "a", 0);
        let late = Bill {
            kms_calls: 2,
            ..Bill::default()
        };
        finished.add_late(&entry("a", 0), &late);
        assert_eq!(get(&finished, "a").unwrap().bill.kms_calls, 2);
        put(&mut finished, "a", 7);
        finished.add_late(&entry("a", 0), &late);
        assert_eq!(
            get(&finished, "a").unwrap().bill.kms_calls,
            0,
            "of two calls with one id, the last is kept"
        );
    }

    fn refuse(finished: &mut Finished, request_id: &str, serial: u64) {
        let entry = entry(request_id, serial);
        let call = FinishedCall::new(&entry, &Bill::default(), Code::InvalidArgument);
        finished.put(call, false);
    }

    #[test]
    fn refused_calls_never_replace_or_evict_passed_ones() {
        let mut finished = Finished::new(10);
        (0..9).for_each(|serial| put(&mut finished, &serial.to_string(), serial));
        (0..100).for_each(|serial| refuse(&mut finished, &serial.to_string(), 100 + serial));
        for serial in 0..9 {
            assert_eq!(get(&finished, &serial.to_string()).unwrap().code, Code::Ok);
        }
        assert_eq!(get(&finished, "99").unwrap().code, Code::InvalidArgument);
        assert!(get(&finished, "98").is_none());
        put(&mut finished, "99", 300);
        assert_eq!(get(&finished, "99").unwrap().serial, 300);
        refuse(&mut finished, "late", 301);
        finished.promote(&entry("late", 301));
        refuse(&mut finished, "late", 302);
        assert_eq!(get(&finished, "late").unwrap().serial, 301);
    }
}
