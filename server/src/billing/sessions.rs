//! Sessions: an account each, bounded by number and by idle time, the least recently used forgotten first. A session
//! is used when a call names it that passes its checks; reading or resetting it does not count, and neither does a call
//! that is refused. Knows nothing of locks and reads no clock.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lru::LruCache;

use super::account::Account;

/// Idle sessions forgotten per call at most, so that no call pays for all of them.
const FORGOTTEN_AT_ONCE: usize = 16;

/// The sessions of the server by name.
#[derive(Debug)]
pub(super) struct Sessions {
    idle: Duration,
    max: usize,
    /// Hashed with keys of this process: the names are the callers'.
    by_name: LruCache<Arc<str>, Session, RandomState>,
}

#[derive(Debug)]
struct Session {
    used: Instant,
    account: Account,
}

impl Sessions {
    pub(super) fn new(idle: Duration, max: usize) -> Sessions {
        // without a bound of its own: it would allocate for all of them at once
        Sessions {
            idle,
            max: max.max(1),
            by_name: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    /// The account of a session that is used now, made if there is none.
    pub(super) fn of(&mut self, name: &Arc<str>, now: Instant) -> &mut Account {
        self.forget_idle(now);
        if !self.by_name.contains(&**name) && self.by_name.len() >= self.max {
            self.by_name.pop_lru();
        }
        let new = || Session {
            used: now,
            account: Account::new(SystemTime::now()),
        };
        let session = self.by_name.get_or_insert_mut(Arc::clone(name), new);
        if now.saturating_duration_since(session.used) > self.idle {
            session.account = Account::new(SystemTime::now());
        }
        session.used = now;
        &mut session.account
    }

    /// The account of a session, if anybody used it lately.
    pub(super) fn peek(&self, name: &str, now: Instant) -> Option<&Account> {
        let session = self.by_name.peek(name)?;
        (now.saturating_duration_since(session.used) <= self.idle).then_some(&session.account)
    }

    /// The same, to be changed.
    pub(super) fn peek_mut(&mut self, name: &str, now: Instant) -> Option<&mut Account> {
        let session = self.by_name.peek_mut(name)?;
        (now.saturating_duration_since(session.used) <= self.idle).then_some(&mut session.account)
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
    use super::*;
    use crate::billing::Bill;
    use crate::figure::Rpc;

    const HOUR: Duration = Duration::from_secs(3600);

    fn bill_one(sessions: &mut Sessions, name: &str, now: Instant) {
        let name = Arc::from(name);
        let bill = Bill {
            calls: 1,
            ..Bill::default()
        };
        sessions
            .of(&name, now)
            .add(&"User".into(), Rpc::Get, SystemTime::now(), &bill);
    }

    fn calls(sessions: &Sessions, name: &str, now: Instant) -> Option<u64> {
        sessions.peek(name, now).map(|account| account.total().calls)
    }

    #[test]
    fn the_least_recently_used_goes_first() {
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
    fn reading_does_not_keep_a_session() {
        let mut sessions = Sessions::new(HOUR, 2);
        let now = Instant::now();
        bill_one(&mut sessions, "a", now);
        bill_one(&mut sessions, "b", now);
        assert_eq!(calls(&sessions, "a", now), Some(1));
        bill_one(&mut sessions, "c", now);
        assert_eq!(calls(&sessions, "a", now), None);
    }

    #[test]
    fn an_idle_session_is_forgotten_and_starts_anew() {
        let mut sessions = Sessions::new(HOUR, 10);
        let now = Instant::now();
        bill_one(&mut sessions, "a", now);
        assert_eq!(calls(&sessions, "a", now + HOUR), Some(1));
        let later = now + HOUR + Duration::from_secs(1);
        assert_eq!(calls(&sessions, "a", later), None);
        assert!(sessions.peek_mut("a", later).is_none());
        bill_one(&mut sessions, "a", later);
        assert_eq!(calls(&sessions, "a", later), Some(1));
    }

    #[test]
    fn idle_sessions_leave_the_memory() {
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
