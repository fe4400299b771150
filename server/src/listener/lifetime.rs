//! Decides when a connection ends, from its activity and the time alone. Performs no I/O.

use std::time::Duration;

use tokio::time::Instant;

use super::activity::Activity;
use super::limits::{GRACE, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Limits};

/// How long a stream that crosses the GOAWAY of an idle connection may take to arrive.
const LAST_STREAMS: Duration = Duration::from_secs(1);
/// A connection that accepts no bytes for this long is closed: it could not acknowledge a ping either.
const STALL_TIME: Duration = KEEPALIVE_INTERVAL.saturating_add(KEEPALIVE_TIMEOUT);

/// The deadlines of one connection.
#[derive(Debug)]
pub(super) struct Lifetime {
    handshake: Instant,
    idle: Duration,
    age: Instant,
    closing: Option<Closing>,
}

/// The state after a GOAWAY.
#[derive(Debug)]
struct Closing {
    /// When it may be closed if it has no streams. `None` if it is closing because of its age: responses may still be in
    /// transit.
    idle: Option<Instant>,
    /// When it is closed, unless calls that stream have more time.
    deadline: Instant,
    /// Whether calls that stream have no more time than others: the caller may no longer be trusted.
    is_distrusted: bool,
}

/// The next step of a connection's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before this time.
    Wait(Instant),
    /// Send a GOAWAY, then check again.
    GoAway,
    /// Close the connection.
    Close(Cause),
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Handshake,
    Idle,
    Age,
    Stall,
    /// The authorities of client certificates were replaced.
    Distrust,
}

impl Lifetime {
    /// `jitter` is from 0 to 1.
    pub(super) fn new(limits: &Limits, opened: Instant, jitter: f64) -> Lifetime {
        let age = limits.age.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0));
        Lifetime {
            handshake: opened + limits.handshake,
            idle: limits.idle,
            age: opened + age,
            closing: None,
        }
    }

    /// `streams_until` is the latest deadline of the calls that stream: they may go on until then.
    pub(super) fn due(&mut self, activity: &Activity, streams_until: Option<Instant>, now: Instant) -> Due {
        if !activity.is_established() {
            return match now >= self.handshake {
                true => Due::Close(Cause::Handshake),
                false => Due::Wait(self.handshake),
            };
        }
        let stalled_until = activity.stalled_since().map(|since| since + STALL_TIME);
        if stalled_until.is_some_and(|until| now >= until) {
            return Due::Close(Cause::Stall);
        }
        let idle_since = activity.idle_since();
        let next = match &self.closing {
            Some(closing) => match closing.due(idle_since, streams_until, now) {
                Due::Wait(next) => next,
                due @ (Due::GoAway | Due::Close(_)) => return due,
            },
            None => {
                // while there are streams, the earliest time if they ended now
                let idle = idle_since.unwrap_or(now) + self.idle;
                if now >= self.age {
                    return self.go_away(None, now);
                }
                if now >= idle {
                    return self.go_away(Some(now + LAST_STREAMS), now);
                }
                idle.min(self.age)
            }
        };
        // a stall may begin at any time
        Due::Wait(next.min(stalled_until.unwrap_or(now + STALL_TIME)))
    }

    /// Closes the connection after the grace period, also if its calls stream: its caller authenticated itself by
    /// authorities that were replaced. Follow with a GOAWAY.
    pub(super) fn distrust(&mut self, now: Instant) {
        self.closing = Some(Closing {
            idle: Some(now + LAST_STREAMS),
            deadline: now + GRACE,
            is_distrusted: true,
        });
    }

    fn go_away(&mut self, idle: Option<Instant>, now: Instant) -> Due {
        self.closing = Some(Closing {
            idle,
            deadline: now + GRACE,
            is_distrusted: false,
        });
        Due::GoAway
    }
}

impl Closing {
    fn due(&self, idle_since: Option<Instant>, streams_until: Option<Instant>, now: Instant) -> Due {
        let streams_until = streams_until.filter(|_| !self.is_distrusted);
        let deadline = streams_until.map_or(self.deadline, |until| until.max(self.deadline));
        let (late, idle_cause) = match self.is_distrusted {
            true => (Cause::Distrust, Cause::Distrust),
            false => (Cause::Age, Cause::Idle),
        };
        if now >= deadline {
            return Due::Close(late);
        }
        let Some(idle) = self.idle else {
            return Due::Wait(deadline);
        };
        // a stream arrived after all: it may finish, and its response gets time to arrive
        let idle = idle_since.map_or(now + LAST_STREAMS, |since| idle.max(since + LAST_STREAMS));
        match now >= idle {
            true => Due::Close(idle_cause),
            false => Due::Wait(idle.min(deadline)),
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
        let activity = Activity::new();
        let lifetime = Lifetime::new(&limits(), activity.opened(), 0.5);
        (activity, lifetime)
    }

    /// Advances until something other than waiting is due. Returns it with its time in seconds.
    fn next(activity: &Activity, lifetime: &mut Lifetime, mut now: Instant) -> (Due, u64) {
        loop {
            match lifetime.due(activity, None, now) {
                Due::Wait(next) => {
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
    async fn closes_a_connection_without_a_handshake() {
        let (activity, mut lifetime) = begin();
        let opened = activity.opened();
        let due = next(&activity, &mut lifetime, opened);
        assert_eq!(due, (Due::Close(Cause::Handshake), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn closes_an_idle_connection_but_not_one_with_a_stream() {
        let (activity, mut lifetime) = begin();
        tokio::time::advance(5 * SECOND).await;
        activity.established();
        activity.stream_started();
        let now = Instant::now();
        let due = next(&activity, &mut lifetime, now);
        assert_eq!(due, (Due::GoAway, 1000), "only its age ends it");
        let (activity, mut lifetime) = begin();
        activity.established();
        activity.stream_started();
        tokio::time::advance(70 * SECOND).await;
        activity.stream_ended();
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
    async fn a_stream_that_crosses_the_goaway_may_end() {
        let (activity, mut lifetime) = begin();
        activity.established();
        tokio::time::advance(100 * SECOND).await;
        assert_eq!(lifetime.due(&activity, None, Instant::now()), Due::GoAway);
        activity.stream_started();
        let now = Instant::now();
        let due = next(&activity, &mut lifetime, now);
        assert_eq!(due, (Due::Close(Cause::Age), 160), "it gets the grace period");
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_period_of_streams_is_their_deadline() {
        for (until, closed) in [(500, 1060), (1030, 1060), (4000, 4000)] {
            let (activity, mut lifetime) = begin();
            activity.established();
            activity.stream_started();
            let opened = activity.opened();
            let until = Some(opened + Duration::from_secs(until));
            let mut now = opened;
            loop {
                match lifetime.due(&activity, until, now) {
                    Due::Wait(next) => now = next,
                    Due::GoAway => {}
                    Due::Close(cause) => {
                        assert_eq!((cause, (now - opened).as_secs()), (Cause::Age, closed));
                        break;
                    }
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_of_a_distrusted_caller_get_the_grace_period_only() {
        for (has_stream, closed) in [(true, 60), (false, 1)] {
            let (activity, mut lifetime) = begin();
            activity.established();
            if has_stream {
                activity.stream_started();
            }
            let opened = activity.opened();
            lifetime.distrust(opened);
            let until = Some(opened + Duration::from_secs(4000));
            let mut now = opened;
            while let Due::Wait(next) = lifetime.due(&activity, until, now) {
                now = next;
            }
            assert_eq!(lifetime.due(&activity, until, now), Due::Close(Cause::Distrust));
            assert_eq!((now - opened).as_secs(), closed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_varies_by_a_tenth_and_is_followed_by_the_grace_period() {
        for (jitter, age) in [(0.0, 900), (0.5, 1000), (1.0, 1100)] {
            let (activity, _) = begin();
            let opened = activity.opened();
            let mut lifetime = Lifetime::new(&limits(), opened, jitter);
            activity.established();
            activity.stream_started();
            assert_eq!(next(&activity, &mut lifetime, opened), (Due::GoAway, age));
            let now = opened + Duration::from_secs(age);
            let due = next(&activity, &mut lifetime, now);
            assert_eq!(due, (Due::Close(Cause::Age), age + 60));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn closes_a_connection_that_accepts_no_bytes() {
        let (activity, mut lifetime) = begin();
        activity.established();
        activity.stream_started();
        activity.stalled();
        tokio::time::advance(20 * SECOND).await;
        activity.resumed();
        activity.stalled();
        let now = Instant::now();
        let due = next(&activity, &mut lifetime, now);
        assert_eq!(due, (Due::Close(Cause::Stall), 70));
    }
}
