//! Which failed calls are sent again, and when. Sends nothing itself.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::Error;

/// How often, and how soon, a failed call is sent again. Only failures that a retry helps are: reads, and writes
/// where it is certain that nothing was changed.
///
/// The wait before attempt *n* is random between zero and `first_wait × 2ⁿ⁻¹` (at most `longest_wait`), and never
/// less than what the server asks for. A stream counts from its last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all; 1 sends every call once.
    pub attempts: u32,
    /// Greatest wait before the second attempt.
    pub first_wait: Duration,
    /// Greatest wait before any attempt, where the server asks for none longer.
    pub longest_wait: Duration,
    /// No attempt starts later than this after the first.
    pub in_all: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: 4,
            first_wait: Duration::from_millis(50),
            longest_wait: Duration::from_secs(2),
            in_all: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// Every call is sent once.
    pub const NONE: Retry = Retry {
        attempts: 1,
        first_wait: Duration::ZERO,
        longest_wait: Duration::ZERO,
        in_all: Duration::ZERO,
    };

    /// The wait after so many failures; `random` is from 0 to 1.
    fn wait(&self, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self
            .first_wait
            .saturating_mul(1 << doublings)
            .min(self.longest_wait);
        ceiling.mul_f64(random).max(asked.unwrap_or(Duration::ZERO))
    }
}

/// Whether a call changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// The attempts of one call so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    retry: Retry,
    effect: Effect,
    deadline: Option<Instant>,
    started: Instant,
    failures: u32,
}

impl Attempts {
    pub(crate) fn new(retry: Retry, effect: Effect, deadline: Option<Instant>) -> Attempts {
        Attempts {
            retry,
            effect,
            deadline,
            started: Instant::now(),
            failures: 0,
        }
    }

    /// The deadline of the whole call.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A page arrived: what comes now fails anew.
    pub(crate) fn progress(&mut self) {
        self.failures = 0;
        self.started = Instant::now();
    }

    /// How long to wait before the next attempt; `None` where the failure is final.
    pub(crate) fn wait_after(&mut self, error: &Error) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.retry.attempts || !helps(error, self.effect) {
            return None;
        }
        let wait = self.retry.wait(self.failures, error.retry_after(), random());
        let next = Instant::now().checked_add(wait)?;
        let last = self.started + self.retry.in_all;
        let is_in_time = next <= last && self.deadline.is_none_or(|deadline| next < deadline);
        is_in_time.then_some(wait)
    }
}

/// Whether the same call may succeed when it is sent again, and does no harm.
fn helps(error: &Error, effect: Effect) -> bool {
    // the caller has to read again before it writes again: the same call fails the same way
    if error.code() == Code::Aborted {
        return false;
    }
    let may_succeed = match error.reason() {
        Some(reason) => reason.retry_helps(),
        None => error.code() == Code::Unavailable || error.connection_broke(),
    };
    may_succeed && (effect == Effect::Read || error.nothing_changed())
}

/// From 0 to 1; the standard library's hasher keys are random enough to spread callers.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use tollgate_proto::Reason;
    use tollgate_proto::reason::DOMAIN;
    use tonic::Status;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn error(reason: Reason, retry_after: Option<Duration>) -> Error {
        let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, HashMap::new());
        if retry_after.is_some() {
            details.set_retry_info(retry_after);
        }
        Status::with_error_details(reason.code(), "refused", details).into()
    }

    fn lost() -> Error {
        Status::unavailable("connection lost").into()
    }

    #[test]
    fn reasons_decide() {
        for reason in Reason::ALL {
            let error = error(*reason, None);
            let read = reason.retry_helps() && reason.code() != Code::Aborted;
            assert_eq!(helps(&error, Effect::Read), read, "{reason:?}");
            assert_eq!(
                helps(&error, Effect::Write),
                read && reason.nothing_changed(),
                "{reason:?}"
            );
        }
        assert!(helps(&error(Reason::OutcomeUnknown, None), Effect::Read));
        assert!(!helps(&error(Reason::OutcomeUnknown, None), Effect::Write));
        assert!(!helps(&error(Reason::VersionMismatch, None), Effect::Write));
    }

    #[test]
    fn a_lost_connection_is_retried_for_reads_and_where_nothing_was_sent() {
        assert!(helps(&lost(), Effect::Read));
        assert!(!helps(&lost(), Effect::Write));
        let refused: Error = Status::from_error(Box::new(tonic::ConnectError("refused".into()))).into();
        assert!(helps(&refused, Effect::Write));
        let internal: Error = Status::internal("no").into();
        assert!(!helps(&internal, Effect::Read));
    }

    #[test]
    fn attempts_are_bounded_and_pages_count_anew() {
        let mut attempts = Attempts::new(
            Retry {
                attempts: 3,
                ..Retry::default()
            },
            Effect::Read,
            None,
        );
        assert!(attempts.wait_after(&lost()).is_some());
        assert!(attempts.wait_after(&lost()).is_some());
        assert!(attempts.wait_after(&lost()).is_none());
        attempts.progress();
        assert!(attempts.wait_after(&lost()).is_some());
        let mut once = Attempts::new(Retry::NONE, Effect::Read, None);
        assert!(once.wait_after(&lost()).is_none());
    }

    #[test]
    fn the_servers_wish_is_honoured_or_final() {
        let asked = Duration::from_secs(7);
        let throttled = error(Reason::Throttled, Some(asked));
        let wait = Attempts::new(Retry::default(), Effect::Write, None).wait_after(&throttled);
        assert!(wait.is_some_and(|wait| wait >= asked));
        let hurried = Retry {
            in_all: Duration::from_secs(5),
            ..Retry::default()
        };
        assert_eq!(
            Attempts::new(hurried, Effect::Write, None).wait_after(&throttled),
            None
        );
        let deadline = Some(Instant::now() + Duration::from_secs(5));
        assert_eq!(
            Attempts::new(Retry::default(), Effect::Write, deadline).wait_after(&throttled),
            None
        );
    }

    proptest! {
        #[test]
        fn waits_stay_in_their_bounds(failures in 1u32.., random in 0.0f64..=1.0, asked_ms in 0u64..10_000) {
            let retry = Retry::default();
            let asked = Duration::from_millis(asked_ms);
            let wait = retry.wait(failures, Some(asked), random);
            prop_assert!(wait >= asked && wait <= retry.longest_wait.max(asked));
            let first = retry.wait(1, None, random);
            prop_assert!(first <= retry.first_wait);
        }
    }
}
