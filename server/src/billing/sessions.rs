//! Sessions and their totals, bounded in number and idle time; the least recently used is forgotten first. A session is
//! used when a call that passes its checks names it; reading or resetting does not count as use, and neither does a call
//! that is refused. The caller holds the lock.

use std::hash::RandomState;
use std::time::{Duration, Instant, SystemTime};

use lru::LruCache;

use super::owner::Owned;
use super::session_totals::SessionTotals;

/// The most idle sessions that one call removes, so that no call pays for all of them.
const FORGOTTEN_AT_ONCE: usize = 16;

/// The sessions of the server by name.
#[derive(Debug)]
pub(super) struct Sessions {
    idle: Duration,
    max: usize,
    /// Hashed with random keys, because callers choose the names.
    by_name: LruCache<Owned, Session, RandomState>,
}

#[derive(Debug)]
struct Session {
    used: Instant,
    totals: SessionTotals,
}

impl Sessions {
    pub(super) fn new(idle: Duration, max: usize) -> Sessions {
        // unbounded, since a bounded cache allocates for all entries at once
        Sessions {
            idle,
            max: max.max(1),
            by_name: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    /// The totals of a session that is used now, created if missing.
    pub(super) fn use_session(&mut self, name: &Owned, now: Instant) -> &mut SessionTotals {
        self.forget_idle(now);
        if !self.by_name.contains(name) && self.by_name.len() >= self.max {
            self.by_name.pop_lru();
        }
        let new = || Session {
            used: now,
            totals: SessionTotals::new(SystemTime::now()),
        };
        let session = self.by_name.get_or_insert_mut(name.clone(), new);
        if now.saturating_duration_since(session.used) > self.idle {
            session.totals = SessionTotals::new(SystemTime::now());
        }
        session.used = now;
        &mut session.totals
    }

    /// The totals of a session that was used within the idle time.
    pub(super) fn peek(&self, name: &Owned, now: Instant) -> Option<&SessionTotals> {
        let session = self.by_name.peek(name)?;
        (now.saturating_duration_since(session.used) <= self.idle).then_some(&session.totals)
    }

    /// Like `peek`, but mutable.
    pub(super) fn peek_mut(&mut self, name: &Owned, now: Instant) -> Option<&mut SessionTotals> {
        let session = self.by_name.peek_mut(name)?;
        (now.saturating_duration_since(session.used) <= self.idle).then_some(&mut session.totals)
    }

    fn forget_idle(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let oldest = self.by_name.peek_lru().map(|(_, session)| session.used);
            match oldest {
                Some(used) if now.saturating_duration_since(used) > self.idle => self.by_name.pop_lru(),
                _ => return,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::Owner;
    use super::*;
    use crate::figure::{Bill, Rpc};

    const HOUR: Duration = Duration::from_secs(3600);

    fn owned(name: &str) -> Owned {
        Owned::new(Owner::EVERYONE, name)
    }

    fn bill_one(sessions: &mut Sessions, name: &str, now: Instant) {
        let name = owned(name);
        let bill = Bill {
            calls: 1,
            ..Bill::default()
        };
        sessions
            .use_session(&name, now)
            .add(&"User".into(), Rpc::Get, SystemTime::now(), &bill);
    }

    fn calls(sessions: &Sessions, name: &str, now: Instant) -> Option<u64> {
        sessions
            .peek(&owned(name), now)
            .map(|totals| totals.total().calls)
    }

    #[test]
    fn the_least_recently_used_is_removed_first() {
        let mut sessions = Sessions::new(HOUR, 2);
        let now = Instant::now();
        bill_one(&mut sessions, "a", now);
        bill_one(&mut sessions, "b", now);
        bill_one(&mut sessions, "a", now);
        bill_one(&mut sessions, "c", now);
        assert_eq!(calls(&sessions, "a", now), Some(2));
        assert_eq!(calls(&sessions, "b", now), None);
        assert_eq!(calls(&sessions, "c", now), Some(1));
    }

    #[test]
    fn reading_does_not_count_as_use() {
        let mut sessions = Sessions::new(HOUR, 2);
        let now = Instant::now();
        bill_one(&mut sessions, "a", now);
        bill_one(&mut sessions, "b", now);
        assert_eq!(calls(&sessions, "a", now), Some(1));
        bill_one(&mut sessions, "c", now);
        assert_eq!(calls(&sessions, "a", now), None);
    }

    #[test]
    fn an_idle_session_is_forgotten_and_starts_over() {
        let mut sessions = Sessions::new(HOUR, 10);
        let now = Instant::now();
        bill_one(&mut sessions, "a", now);
        assert_eq!(calls(&sessions, "a", now + HOUR), Some(1));
        let later = now + HOUR + Duration::from_secs(1);
        assert_eq!(calls(&sessions, "a", later), None);
        assert!(sessions.peek_mut(&owned("a"), later).is_none());
        bill_one(&mut sessions, "a", later);
        assert_eq!(calls(&sessions, "a", later), Some(1));
    }

    #[test]
    fn idle_sessions_are_removed() {
        let mut sessions = Sessions::new(HOUR, 1000);
        let now = Instant::now();
        for number in 0..100 {
            bill_one(&mut sessions, &format!("s{number}"), now);
        }
        for _ in 0..100 {
            bill_one(&mut sessions, "new", now + 2 * HOUR);
        }
        assert_eq!(sessions.by_name.len(), 1);
    }
}
