//! Bounds the requests of this process to KMS, whose quota all programs of an account share: how many are in progress,
//! how many begin in a second, and a pause after KMS throttled one.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests of this process that are in progress.
const MAX_IN_FLIGHT: usize = 512;
/// How much of a second's requests may begin at once.
const BURST: Duration = Duration::from_millis(100);
/// How long no request begins after KMS throttled one, beyond the backoff of the SDK.
const PAUSE: Duration = Duration::from_millis(100);

/// What every request passes.
pub(super) struct Gate {
    permits: Semaphore,
    /// The time between two requests; zero: no limit.
    interval: Duration,
    /// When the next request may begin, if requests had been spread evenly.
    next: Mutex<Instant>,
}

impl Gate {
    /// A gate for so many requests a second; 0: no limit.
    pub(super) fn new(rate: usize) -> Gate {
        let rate = u32::try_from(rate).unwrap_or(u32::MAX);
        Gate {
            permits: Semaphore::new(MAX_IN_FLIGHT),
            interval: Duration::from_secs(1).checked_div(rate).unwrap_or_default(),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a request's turn, but not beyond its deadline: it then fails before it is sent.
    pub(super) async fn enter(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        let turn = async {
            let permit = self.permits.acquire().await.ok();
            let begins_at = self.turn(Instant::now());
            tokio::time::sleep_until(begins_at.into()).await;
            permit
        };
        tokio::time::timeout_at(deadline.into(), turn)
            .await
            .ok()
            .flatten()
    }

    /// Lets no request begin for a while.
    pub(super) fn pause(&self) {
        let until = Instant::now() + PAUSE;
        let mut next = self.next.lock();
        *next = (*next).max(until + self.burst());
    }

    /// When a request that asks now may begin.
    fn turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock();
        let begins_at = (*next).checked_sub(self.burst()).unwrap_or(now).max(now);
        *next = (*next).max(now) + self.interval;
        begins_at
    }

    fn burst(&self) -> Duration {
        match self.interval.is_zero() {
            true => Duration::ZERO,
            false => BURST.max(self.interval) - self.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_requests_beyond_a_burst() {
        let gate = Gate::new(100);
        let now = Instant::now();
        let waits: Vec<Duration> = (0..20).map(|_| gate.turn(now) - now).collect();
        let at_once = waits.iter().filter(|wait| wait.is_zero()).count();
        assert!((9..=11).contains(&at_once), "{waits:?}");
        let last = waits[19];
        assert!(
            (Duration::from_millis(80)..=Duration::from_millis(110)).contains(&last),
            "{waits:?}"
        );
        // after a while without requests, a burst may begin again
        let later = now + Duration::from_secs(10);
        assert_eq!(gate.turn(later), later);
    }

    #[test]
    fn without_a_rate_nothing_waits_except_after_throttling() {
        let gate = Gate::new(0);
        let now = Instant::now() + Duration::from_millis(1);
        assert!((0..1000).all(|_| gate.turn(now) == now));
        gate.pause();
        let now = Instant::now();
        assert!(gate.turn(now) > now + Duration::from_millis(50));
        let later = now + Duration::from_secs(1);
        assert_eq!(gate.turn(later), later);
    }

    #[tokio::test]
    async fn a_deadline_ends_the_wait() {
        let gate = Gate::new(1);
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(gate.enter(soon()).await.is_some());
        assert!(gate.enter(soon()).await.is_none());
    }
}
