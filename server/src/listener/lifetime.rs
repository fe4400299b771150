//! When a connection ends: decides from what it does and from the clock alone, touches nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::activity::Activity;
use super::{GRACE, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Limits};

/// After a GOAWAY to an idle connection: a stream that its caller began before it saw that arrives in this time.
const LAST_STREAMS: Duration = Duration::from_secs(1);
/// A connection that takes no bytes for this long is gone: it could not acknowledge a ping either.
const STALL_TIME: Duration = KEEPALIVE_INTERVAL.saturating_add(KEEPALIVE_TIMEOUT);

/// The times of one connection.
#[derive(Debug)]
pub(super) struct Lifetime {
    handshake: Instant,
    idle: Duration,
    age: Instant,
    leaving: Option<Leaving>,
}

/// A GOAWAY was sent.
#[derive(Debug)]
struct Leaving {
    /// From when on it is closed where it has no streams. Not because of its age: responses may still be on their way.
    idle: Option<Instant>,
    /// When it is closed whatever it does.
    at_last: Instant,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing until then.
    Nothing(Instant),
    /// A GOAWAY; then ask again.
    GoAway,
    /// The end.
    Close(Cause),
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Handshake,
    Idle,
    Age,
    Stall,
}

impl Lifetime {
    /// `jitter` is from 0 to 1.
    pub(super) fn new(limits: &Limits, opened: Instant, jitter: f64) -> Lifetime {
        let age = limits.age.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0));
        Lifetime {
            handshake: opened + limits.handshake,
            idle: limits.idle,
            age: opened + age,
            leaving: None,
        }
    }

    pub(super) fn due(&mut self, activity: &Activity, now: Instant) -> Due {
        if !activity.has_greeted() {
            return match now >= self.handshake {
                true => Due::Close(Cause::Handshake),
                false => Due::Nothing(self.handshake),
            };
        }
        let stalled_until = activity.stalled_since().map(|since| since + STALL_TIME);
        if stalled_until.is_some_and(|until| now >= until) {
            return Due::Close(Cause::Stall);
        }
        let idle_since = activity.idle_since();
        let next = match &self.leaving {
            Some(leaving) => match leaving.due(idle_since, now) {
                Due::Nothing(next) => next,
                due @ (Due::GoAway | Due::Close(_)) => return due,
            },
            None => {
                // with streams: no earlier than this, should they end now
                let idle = idle_since.unwrap_or(now) + self.idle;
                if now >= self.age {
                    return self.leave(None, now);
                }
                if now >= idle {
                    return self.leave(Some(now + LAST_STREAMS), now);
                }
                idle.min(self.age)
            }
        };
        // a stall begins at any time
        Due::Nothing(next.min(stalled_until.unwrap_or(now + STALL_TIME)))
    }

    fn leave(&mut self, idle: Option<Instant>, now: Instant) -> Due {
        self.leaving = Some(Leaving {
            idle,
            at_last: now + GRACE,
        });
        Due::GoAway
    }
}

impl Leaving {
    fn due(&self, idle_since: Option<Instant>, now: Instant) -> Due {
        if now >= self.at_last {
            return Due::Close(Cause::Age);
        }
        let Some(idle) = self.idle else {
            return Due::Nothing(self.at_last);
        };
        // a stream came in after all: it has its time, and its response has some to arrive
        let idle = idle_since.map_or(now + LAST_STREAMS, |since| idle.max(since + LAST_STREAMS));
        match now >= idle {
            true => Due::Close(Cause::Idle),
            false => Due::Nothing(idle.min(self.at_last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits {
            connections: 1,
            connections_per_peer: 1,
            streams_per_connection: 1,
            handshake: 10 * SECOND,
            idle: 100 * SECOND,
            age: 1000 * SECOND,
        }
    }

    fn begin() -> (Activity, Lifetime) {
        let activity = Activity::begin();
        let lifetime = Lifetime::new(&limits(), activity.opened(), 0.5);
        (activity, lifetime)
    }

    /// Asks until something other than waiting is due: what, and when in seconds.
    fn next(activity: &Activity, lifetime: &mut Lifetime, mut now: Instant) -> (Due, u64) {
        loop {
            match lifetime.due(activity, now) {
                Due::Nothing(next) => {
                    assert!(next > now, "no busy loop");
                    now = next;
                }
                due @ (Due::GoAway | Due::Close(_)) => {
                    return (due, (now - activity.opened()).as_secs());
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_its_time() {
        let (activity, mut lifetime) = begin();
        let opened = activity.opened();
        let due = next(&activity, &mut lifetime, opened);
        assert_eq!(due, (Due::Close(Cause::Handshake), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_goes_and_one_with_a_stream_does_not() {
        let (activity, mut lifetime) = begin();
        tokio::time::advance(5 * SECOND).await;
        activity.greeted();
        activity.stream_begins();
        let now = Instant::now();
        let due = next(&activity, &mut lifetime, now);
        assert_eq!(due, (Due::GoAway, 1000), "only its age ends it");
        let (activity, mut lifetime) = begin();
        activity.greeted();
        activity.stream_begins();
        tokio::time::advance(70 * SECOND).await;
        activity.stream_ends();
        let now = Instant::now();
        assert_eq!(next(&activity, &mut lifetime, now), (Due::GoAway, 170));
        tokio::time::advance(100 * SECOND).await;
        let now = Instant::now();
        assert_eq!(
            next(&activity, &mut lifetime, now),
            (Due::Close(Cause::Idle), 171)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_crossed_the_goaway_may_end() {
        let (activity, mut lifetime) = begin();
        activity.greeted();
        tokio::time::advance(100 * SECOND).await;
        assert_eq!(lifetime.due(&activity, Instant::now()), Due::GoAway);
        activity.stream_begins();
        let now = Instant::now();
        let due = next(&activity, &mut lifetime, now);
        assert_eq!(due, (Due::Close(Cause::Age), 160), "and has the grace");
    }

    #[tokio::test(start_paused = true)]
    async fn age_has_a_tenth_of_jitter_and_then_the_grace() {
        for (jitter, age) in [(0.0, 900), (0.5, 1000), (1.0, 1100)] {
            let (activity, _) = begin();
            let opened = activity.opened();
            let mut lifetime = Lifetime::new(&limits(), opened, jitter);
            activity.greeted();
            activity.stream_begins();
            assert_eq!(next(&activity, &mut lifetime, opened), (Due::GoAway, age));
            let now = opened + Duration::from_secs(age);
            let due = next(&activity, &mut lifetime, now);
            assert_eq!(due, (Due::Close(Cause::Age), age + 60));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_bytes_is_gone() {
        let (activity, mut lifetime) = begin();
        activity.greeted();
        activity.stream_begins();
        activity.stalls();
        tokio::time::advance(20 * SECOND).await;
        activity.flows();
        activity.stalls();
        let now = Instant::now();
        let due = next(&activity, &mut lifetime, now);
        assert_eq!(due, (Due::Close(Cause::Stall), 70));
    }
}
