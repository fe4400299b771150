//! The bills of the calls that finished last, by request id: what a caller asks for who got no trailers.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::SystemTime;

use lru::LruCache;
use tonic::Code;

use super::Bill;
use super::books::Entry;

/// One finished call and its bill.
#[derive(Clone, Debug)]
pub struct FinishedCall {
    serial: u64,
    /// As in the `tollgate-request-id` metadata.
    pub request_id: Arc<str>,
    /// The RPC's name.
    pub operation: &'static str,
    /// The served model that it was about.
    pub model: Option<Arc<str>>,
    /// The session that was billed.
    pub session: Option<Arc<str>>,
    /// The status that it ended with.
    pub code: Code,
    /// When it came in.
    pub started_at: SystemTime,
    /// What it cost so far: work that goes on after the caller left is added as it is done.
    pub bill: Bill,
}

impl FinishedCall {
    pub(super) fn new(entry: &Entry<'_>, bill: &Bill, code: Code) -> FinishedCall {
        FinishedCall {
            serial: entry.serial,
            request_id: Arc::from(entry.request_id),
            operation: entry.operation,
            model: entry.model.cloned(),
            session: entry.session.cloned(),
            code,
            started_at: entry.started_at,
            bill: bill.clone(),
        }
    }
}

/// A bounded number of finished calls, the oldest forgotten first.
#[derive(Debug)]
pub(super) struct Finished {
    max: usize,
    /// Never asked with `get`, so its order is that of finishing.
    by_id: LruCache<Arc<str>, FinishedCall, RandomState>,
}

impl Finished {
    pub(super) fn new(max: usize) -> Finished {
        Finished {
            max,
            by_id: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    pub(super) fn put(&mut self, call: FinishedCall) {
        self.by_id.put(Arc::clone(&call.request_id), call);
        if self.by_id.len() > self.max {
            self.by_id.pop_lru();
        }
    }

    pub(super) fn get(&self, request_id: &str) -> Option<&FinishedCall> {
        self.by_id.peek(request_id)
    }

    /// Adds what was counted after the call was closed, if this very call is still there.
    pub(super) fn add_late(&mut self, entry: &Entry<'_>, late: &Bill) {
        let call = self.by_id.peek_mut(entry.request_id);
        if let Some(call) = call.filter(|call| call.serial == entry.serial) {
            call.bill += late;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request_id: &str, serial: u64) -> Entry<'_> {
        let started_at = SystemTime::UNIX_EPOCH;
        Entry {
            operation: "Get",
            serial,
            request_id,
            session: None,
            model: None,
            started_at,
        }
    }

    fn put(finished: &mut Finished, request_id: &str, serial: u64) {
        let bill = Bill {
            calls: 1,
            ..Bill::default()
        };
        finished.put(FinishedCall::new(&entry(request_id, serial), &bill, Code::Ok));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut finished = Finished::new(2);
        put(&mut finished, "a", 0);
        put(&mut finished, "b", 1);
        assert!(finished.get("a").is_some());
        put(&mut finished, "c", 2);
        assert!(finished.get("a").is_none());
        assert!(finished.get("b").is_some());
        let mut none = Finished::new(0);
        put(&mut none, "a", 0);
        assert!(none.get("a").is_none());
    }

    #[test]
    fn late_counts_reach_their_own_call_only() {
        let mut finished = Finished::new(2);
        put(&mut finished, "a", 0);
        let late = Bill {
            kms_calls: 2,
            ..Bill::default()
        };
        finished.add_late(&entry("a", 0), &late);
        assert_eq!(finished.get("a").unwrap().bill.kms_calls, 2);
        put(&mut finished, "a", 7);
        finished.add_late(&entry("a", 0), &late);
        assert_eq!(
            finished.get("a").unwrap().bill.kms_calls,
            0,
            "the same id twice: the last wins"
        );
    }
}
