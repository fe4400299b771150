//! Which failed calls are retried, and when. Sends nothing.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::Error;

/// The retry policy. A failure is retried if its [`Reason`](crate::Reason) says that a retry helps. Writes are retried only
/// if it is also certain that nothing was changed, or if they are idempotent: a transaction with a `request_id`, a write with
/// a `request_id` to a model with `idempotency`, or a write whose options say so.
///
/// The wait before attempt *n* is random between zero and `initial_backoff × 2ⁿ⁻¹` (at most `max_backoff`), and never
/// less than the server requests. For a stream, every page starts a new count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Maximum number of attempts. 1 disables retries.
    pub attempts: u32,
    /// Maximum wait before the second attempt.
    pub initial_backoff: Duration,
    /// Maximum wait before any attempt, unless the server requests a longer one.
    pub max_backoff: Duration,
    /// Maximum time between the start of the first attempt and that of the last one.
    pub max_elapsed: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: 4,
            initial_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(2),
            max_elapsed: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// No retries.
    pub const NONE: Retry = Retry {
        attempts: 1,
        initial_backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        max_elapsed: Duration::ZERO,
    };

    /// The wait after a number of failures. `random` is between 0 and 1.
    fn wait(&self, failures: u32, requested: Option<Duration>, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self
            .initial_backoff
            .saturating_mul(1 << doublings)
            .min(self.max_backoff);
        ceiling.mul_f64(random).max(requested.unwrap_or(Duration::ZERO))
    }
}

/// Whether a call changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
    /// A write that can be repeated. A refused repeat may have been refused because of the first attempt.
    IdempotentWrite,
    /// A write whose repeat has the outcome of the first attempt.
    ExactlyOnce,
}

/// What follows a failed attempt.
#[derive(Debug)]
pub(crate) enum Next {
    /// Another attempt, after this time.
    Retry(Duration),
    /// This error.
    Fail(Error),
}

/// The attempts of one call so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    retry: Retry,
    effect: Effect,
    deadline: Option<Instant>,
    started: Instant,
    failures: u32,
    /// The error of the first attempt whose outcome is unknown.
    unknown: Option<Error>,
}

impl Attempts {
    pub(crate) fn new(retry: Retry, effect: Effect, deadline: Option<Instant>) -> Attempts {
        Attempts {
            retry,
            effect,
            deadline,
            started: Instant::now(),
            failures: 0,
            unknown: None,
        }
    }

    /// The deadline of the whole call.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the call failed in a way that is retried only if it is idempotent.
    pub(crate) fn depends_on_idempotency(&self, error: &Error) -> bool {
        self.effect == Effect::Write
            && !is_retryable(error, Effect::Write)
            && is_retryable(error, Effect::IdempotentWrite)
    }

    /// The write turned out to be idempotent.
    pub(crate) fn set_effect(&mut self, effect: Effect) {
        self.effect = effect;
    }

    /// What follows a failed attempt. Once the outcome of an attempt is unknown, that of the call is too: a repeat may be
    /// refused because the attempt succeeded, and that must not look like a lost race.
    pub(crate) fn after(&mut self, error: Error) -> Next {
        let is_final = self.effect == Effect::ExactlyOnce && error.refusal().is_some();
        let is_misleading = self.effect == Effect::IdempotentWrite && error.refusal().is_some();
        match (self.wait_after(&error), self.unknown.take()) {
            (_, Some(unknown)) if is_misleading => Next::Fail(unknown),
            (None, Some(unknown)) if !is_final => Next::Fail(unknown),
            (None, _) => Next::Fail(error),
            (Some(wait), unknown) => {
                let is_unknown = self.effect != Effect::Read && !error.nothing_changed();
                self.unknown = unknown.or(Some(error).filter(|_| is_unknown));
                Next::Retry(wait)
            }
        }
    }

    /// Starts a new count, because a page arrived.
    pub(crate) fn progress(&mut self) {
        self.failures = 0;
        self.started = Instant::now();
    }

    /// How long to wait before the next attempt. `None` if the call must not be retried.
    pub(crate) fn wait_after(&mut self, error: &Error) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.retry.attempts || !is_retryable(error, self.effect) {
            return None;
        }
        let wait = self.retry.wait(self.failures, error.retry_after(), random());
        let next = Instant::now().checked_add(wait)?;
        let last = self.started + self.retry.max_elapsed;
        let is_in_time = next <= last && self.deadline.is_none_or(|deadline| next < deadline);
        is_in_time.then_some(wait)
    }
}

/// Whether a retry may succeed and does no harm.
fn is_retryable(error: &Error, effect: Effect) -> bool {
    let may_succeed = match error.reason() {
        Some(reason) => reason.retry_helps(),
        None => error.code() == Code::Unavailable || error.connection_broke(),
    };
    may_succeed && (effect != Effect::Write || error.nothing_changed())
}

/// A number between 0 and 1. The standard library's hasher keys are random enough to spread callers.
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
    fn the_reason_decides() {
        for reason in Reason::ALL {
            let error = error(*reason, None);
            let helps = reason.retry_helps();
            assert_eq!(is_retryable(&error, Effect::Read), helps, "{reason:?}");
            assert_eq!(is_retryable(&error, Effect::IdempotentWrite), helps, "{reason:?}");
            assert_eq!(
                is_retryable(&error, Effect::Write),
                helps && reason.nothing_changed(),
                "{reason:?}"
            );
        }
        assert!(is_retryable(
            &error(Reason::TransactionConflict, None),
            Effect::Write
        ));
        assert!(is_retryable(&error(Reason::OutcomeUnknown, None), Effect::Read));
        assert!(!is_retryable(&error(Reason::OutcomeUnknown, None), Effect::Write));
        assert!(!is_retryable(
            &error(Reason::VersionMismatch, None),
            Effect::Write
        ));
    }

    #[test]
    fn a_lost_connection_is_retried_for_reads_and_if_nothing_was_sent() {
        assert!(is_retryable(&lost(), Effect::Read));
        assert!(!is_retryable(&lost(), Effect::Write));
        let refused: Error = Status::from_error(Box::new(tonic::ConnectError("refused".into()))).into();
        assert!(is_retryable(&refused, Effect::Write));
        let internal: Error = Status::internal("no").into();
        assert!(!is_retryable(&internal, Effect::Read));
    }

    #[test]
    fn an_unknown_outcome_is_retried_once_the_write_is_known_to_be_idempotent() {
        let unknown = error(Reason::OutcomeUnknown, None);
        let mut attempts = Attempts::new(Retry::default(), Effect::Write, None);
        assert!(attempts.depends_on_idempotency(&unknown) && attempts.depends_on_idempotency(&lost()));
        assert!(!attempts.depends_on_idempotency(&error(Reason::Throttled, None)));
        assert!(!attempts.depends_on_idempotency(&error(Reason::VersionMismatch, None)));
        attempts.set_effect(Effect::IdempotentWrite);
        assert!(!attempts.depends_on_idempotency(&unknown));
        assert!(attempts.wait_after(&unknown).is_some());
    }

    /// The reason of the error that ends a call, after attempts that failed in this way.
    fn outcome(effect: Effect, reasons: &[Reason]) -> Option<Reason> {
        let mut attempts = Attempts::new(Retry::default(), effect, None);
        let ends = reasons.iter().map(|reason| attempts.after(error(*reason, None)));
        let last = ends.last().expect("a failure");
        match last {
            Next::Fail(error) => error.reason(),
            Next::Retry(_) => None,
        }
    }

    #[test]
    fn a_refused_repeat_does_not_look_like_a_lost_race() {
        use Reason::{ConditionFailed, InvalidField, OutcomeUnknown, Throttled, VersionMismatch};
        let unknown = Some(OutcomeUnknown);
        let repeated = |reason| outcome(Effect::IdempotentWrite, &[OutcomeUnknown, reason]);
        assert_eq!(
            (repeated(VersionMismatch), repeated(ConditionFailed)),
            (unknown, unknown)
        );
        assert_eq!((repeated(InvalidField), repeated(Throttled)), (unknown, None));
        let late = [OutcomeUnknown, Throttled, Throttled, Throttled];
        assert_eq!(outcome(Effect::IdempotentWrite, &late), unknown);
        assert_eq!(outcome(Effect::ExactlyOnce, &late), unknown);
        let exact = outcome(Effect::ExactlyOnce, &[OutcomeUnknown, ConditionFailed]);
        assert_eq!(exact, Some(ConditionFailed));
        let first = outcome(Effect::IdempotentWrite, &[Throttled, VersionMismatch]);
        assert_eq!(first, Some(VersionMismatch));
        assert_eq!(outcome(Effect::Read, &[OutcomeUnknown; 4]), unknown);
    }

    #[test]
    fn attempts_are_limited_and_restart_with_each_page() {
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
    fn waits_as_long_as_the_server_requests_or_gives_up() {
        let asked = Duration::from_secs(7);
        let throttled = error(Reason::Throttled, Some(asked));
        let wait = Attempts::new(Retry::default(), Effect::Write, None).wait_after(&throttled);
        assert!(wait.is_some_and(|wait| wait >= asked));
        let impatient = Retry {
            max_elapsed: Duration::from_secs(5),
            ..Retry::default()
        };
        assert_eq!(
            Attempts::new(impatient, Effect::Write, None).wait_after(&throttled),
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
        fn waits_stay_within_bounds(failures in 1u32.., random in 0.0f64..=1.0, asked_ms in 0u64..10_000) {
            let retry = Retry::default();
            let asked = Duration::from_millis(asked_ms);
            let wait = retry.wait(failures, Some(asked), random);
            prop_assert!(wait >= asked && wait <= retry.max_backoff.max(asked));
            let first = retry.wait(1, None, random);
            prop_assert!(first <= retry.initial_backoff);
        }
    }
}
