//! The rate of deletes.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Spreads deletes evenly over time.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most `rate` deletes a second.
    pub(super) fn new(rate: u32) -> Pace {
        Pace {
            interval: Duration::from_secs(1) / rate.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits until the next delete may be sent.
    pub(super) async fn wait(&self) {
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock();
            let at = next.unwrap_or(now).max(now);
            *next = Some(at + self.interval);
            at
        };
        if at > now {
            tokio::time::sleep_until(at.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn deletes_are_spread_over_time() {
        let pace = Pace::new(10);
        let begun = tokio::time::Instant::now();
        let base = Instant::now();
        for _ in 0..5 {
            pace.wait().await;
        }
        // the real clock moves on too, by less than one interval
        assert!(begun.elapsed() + base.elapsed() >= Duration::from_millis(300));
        assert!(begun.elapsed() <= Duration::from_millis(450));
    }
}
