//! The waits before items that DynamoDB left unprocessed are requested again: exponential, with jitter, and within the
//! deadline of the call.

use std::time::{Duration, Instant};

use super::clock::now;
use super::handle::Call;

/// The wait before the first repetition.
const FIRST: Duration = Duration::from_millis(25);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// The wait before a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    /// Repetitions in a row that made no progress.
    fruitless: u32,
    /// When the request may be sent; `None`: at once.
    until: Option<Instant>,
}

impl Backoff {
    /// The wait before the next repetition. Begins anew after progress; `None` if it would exceed the deadline.
    pub fn next(&self, made_progress: bool, deadline: Instant) -> Option<Backoff> {
        let fruitless = match made_progress {
            true => 0,
            false => self.fruitless.saturating_add(1),
        };
        let whole = FIRST.saturating_mul(1 << fruitless.min(10)).min(LONGEST);
        // between a half and the whole
        let wait = whole / 2 + whole.mul_f64(random_part() / 2.0);
        let until = now() + wait;
        (until < deadline).then_some(Backoff {
            fruitless,
            until: Some(until),
        })
    }

    /// Waits, and adds the time to the bill.
    pub async fn wait(&self, call: &Call) {
        let Some(until) = self.until else { return };
        let since = now();
        tokio::time::sleep_until(until.into()).await;
        call.add_backoff(now() - since);
    }
}

/// A random number from 0 to 1; a half if the system has none.
fn random_part() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_without_progress_and_end_at_the_deadline() {
        let far = Instant::now() + Duration::from_secs(3600);
        let mut backoff = Backoff::default();
        for repetition in 0..20 {
            backoff = backoff.next(repetition == 0, far).unwrap();
            let wait = backoff.until.unwrap() - Instant::now();
            let whole = FIRST.saturating_mul(1 << repetition.min(10)).min(LONGEST);
            assert!(wait <= whole && wait > whole / 3, "{repetition}: {wait:?}");
        }
        assert!(backoff.next(false, Instant::now()).is_none());
        assert_eq!(backoff.next(true, far).unwrap().fruitless, 0);
    }
}
