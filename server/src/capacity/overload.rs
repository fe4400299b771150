//! How many calls of [`Pool::Data`](super::Pool::Data) are admitted while the processors cannot keep up.
//!
//! The signal is the delay between the arrival of a call and the moment its work first runs: the length of the queue for
//! the processors, whatever the calls are and however slow AWS is. While its mean stays below [`TARGET`], the limit is
//! the configured one. Above, the limit follows the gradient `TARGET / mean`: by Little's law, as many calls as keep the
//! delay at the target. Calls beyond it are refused immediately, which costs little, so that those admitted are served
//! in time.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The delay that is accepted, as by CoDel (RFC 8289, 4.3).
const TARGET: Duration = Duration::from_millis(5);
/// How long delays are collected before the limit changes.
const WINDOW: Duration = Duration::from_millis(20);
/// How many are collected at least.
const MIN_SAMPLES: u64 = 8;
/// The strongest reduction by one window.
const MAX_REDUCTION: f64 = 0.5;
/// The limit grows by this part of itself per window without overload.
const GROWTH_DIVISOR: usize = 16;
/// The lowest limit per processor, which is enough to keep it busy.
const MIN_PER_PROCESSOR: usize = 16;

/// The limit of calls, and the delays of the present window.
#[derive(Debug)]
pub(super) struct Overload {
    limit: AtomicUsize,
    bounds: (usize, usize),
    start: Instant,
    /// When the window ends, in microseconds after `start`.
    ends_us: AtomicU64,
    delays: AtomicU64,
    sum_us: AtomicU64,
    /// The most calls in flight in the window.
    peak: AtomicUsize,
    /// Whether the window refused a call.
    refused: AtomicBool,
}

impl Overload {
    /// A limit that starts at `max`, its highest value.
    pub(super) fn new(max: usize, now: Instant) -> Overload {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Overload::within(processors.saturating_mul(MIN_PER_PROCESSOR), max, now)
    }

    fn within(min: usize, max: usize, now: Instant) -> Overload {
        Overload {
            limit: AtomicUsize::new(max),
            bounds: (min.min(max), max),
            start: now,
            ends_us: AtomicU64::new(micros(WINDOW)),
            delays: AtomicU64::new(0),
            sum_us: AtomicU64::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
        }
    }

    /// How many calls are admitted now.
    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether it is below its highest value.
    pub(super) fn is_reduced(&self) -> bool {
        self.limit() < self.bounds.1
    }

    /// Notes that a call was refused because of the limit.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Notes how long the work of a call waited to run, while `in_flight` calls were admitted.
    pub(super) fn observe(&self, delay: Duration, in_flight: usize, now: Instant) {
        self.sum_us.fetch_add(micros(delay), Ordering::Relaxed);
        self.peak.fetch_max(in_flight, Ordering::Relaxed);
        let delays = self.delays.fetch_add(1, Ordering::Relaxed) + 1;
        let now_us = micros(now.saturating_duration_since(self.start));
        let ends_us = self.ends_us.load(Ordering::Relaxed);
        if now_us < ends_us || delays < MIN_SAMPLES {
            return;
        }
        let next_us = now_us + micros(WINDOW);
        let ended = self
            .ends_us
            .compare_exchange(ends_us, next_us, Ordering::AcqRel, Ordering::Relaxed);
        if ended.is_ok() {
            self.end_window();
        }
    }

    /// Sets the limit by the window that ends. Only one thread is here at a time; what others add meanwhile counts in one
    /// of the two windows.
    fn end_window(&self) {
        let delays = self.delays.swap(0, Ordering::Relaxed).max(1);
        let mean_us = self.sum_us.swap(0, Ordering::Relaxed) / delays;
        let peak = self.peak.swap(0, Ordering::Relaxed);
        let refused = self.refused.swap(false, Ordering::Relaxed);
        let limit = self.limit();
        let next = match mean_us > micros(TARGET) {
            true => {
                let gradient = micros(TARGET) as f64 / mean_us as f64;
                (limit.min(peak) as f64 * gradient.max(MAX_REDUCTION)) as usize
            }
            // a limit that nothing reaches returns faster
            false if refused => limit + (limit / GROWTH_DIVISOR).max(1),
            false => limit.saturating_mul(2),
        };
        let (min, max) = self.bounds;
        self.limit.store(next.clamp(min, max), Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows in each of which `delay` is observed, and calls are refused if `refuses`.
    fn run(overload: &Overload, windows: u64, delay: Duration, in_flight: usize, refuses: bool) {
        let start = overload.start + Duration::from_micros(overload.ends_us.load(Ordering::Relaxed));
        for window in 0..windows {
            if refuses {
                overload.refuse();
            }
            for _ in 0..MIN_SAMPLES {
                let now = start + WINDOW * u32::try_from(window).unwrap();
                overload.observe(delay, in_flight.min(overload.limit()), now);
            }
        }
    }

    #[test]
    fn the_limit_follows_the_delay() {
        let overload = Overload::within(16, 1024, Instant::now());
        run(&overload, 9, TARGET, 1000, false);
        assert!(!overload.is_reduced());
        run(&overload, 1, TARGET * 2, 1000, true);
        assert_eq!(overload.limit(), 500);
        run(&overload, 1, TARGET * 100, 500, true);
        assert_eq!(overload.limit(), 250, "at most halved at once");
        run(&overload, 1, TARGET / 2, 250, true);
        assert_eq!(overload.limit(), 265, "grows slowly while calls are refused");
        run(&overload, 2, TARGET / 2, 10, false);
        assert_eq!(overload.limit(), 1024, "returns fast once none are");
    }

    #[test]
    fn it_never_leaves_its_bounds() {
        for max in [1, 20, 1024] {
            let overload = Overload::within(16, max, Instant::now());
            run(&overload, 40, TARGET * 9, max, true);
            assert!((1..=max).contains(&overload.limit()));
            assert_eq!(overload.limit(), overload.bounds.0);
            run(&overload, 400, Duration::ZERO, 1, true);
            assert_eq!(overload.limit(), max);
        }
    }

    #[test]
    fn it_finds_the_load_that_keeps_the_delay_at_the_target() {
        let overload = Overload::within(16, 1024, Instant::now());
        // each admitted call waits for those before it
        let service = Duration::from_micros(100);
        let mut limits = Vec::new();
        for _ in 0..200 {
            let in_flight = overload.limit();
            run(
                &overload,
                1,
                service * u32::try_from(in_flight).unwrap(),
                in_flight,
                true,
            );
            limits.push(overload.limit());
        }
        let expected = TARGET.as_micros() / service.as_micros();
        for limit in &limits[100..] {
            assert!(
                (expected * 9 / 10..=expected * 11 / 10).contains(&(*limit as u128)),
                "{limit}"
            );
        }
    }
}
