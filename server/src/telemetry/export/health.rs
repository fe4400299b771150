//! The health of a collector, for all signals exported to it. Logs when exports begin to fail and when all of them succeed
//! again, each kind of problem at most once in some minutes.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkError;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::TARGET;
use super::signal::{Dropped, Signal};

/// A problem of one kind is not logged again within this time.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

/// The health of one collector.
#[derive(Debug)]
pub(super) struct CollectorHealth {
    /// Host and port.
    collector: String,
    dropped: Arc<Dropped>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    signals: [SignalState; Signal::COUNT],
    failures: RateLimit,
    overflows: RateLimit,
    rejections: RateLimit,
}

#[derive(Clone, Copy, Debug, Default)]
struct SignalState {
    /// The last export failed.
    is_failing: bool,
    /// The failure is part of an outage that was logged.
    is_reported: bool,
    /// Records dropped as of the last export.
    dropped: u64,
}

/// What is to be logged after an export that succeeded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Events {
    /// Exports of all signals succeed again; the number of records dropped by the signals that failed.
    recovery: Option<u64>,
    overflow: bool,
    rejection: bool,
}

/// Allows an event once in [`LOG_INTERVAL`].
#[derive(Debug, Default)]
struct RateLimit(Option<Instant>);

impl CollectorHealth {
    pub(super) fn new(collector: &str, dropped: Arc<Dropped>) -> CollectorHealth {
        CollectorHealth {
            collector: collector.to_owned(),
            dropped,
            state: Mutex::default(),
        }
    }

    /// Records an export that failed; its records are counted as dropped already.
    pub(super) fn failed(&self, signal: Signal, error: &OTelSdkError) {
        let dropped = self.dropped.get(signal);
        let is_logged = self.state.lock().failed(signal, dropped, Instant::now());
        if is_logged {
            let (signal, collector) = (signal.name(), &self.collector);
            warn!(target: TARGET, signal, collector, %error, dropped, "export is failing; calls are unaffected");
        }
    }

    /// Records an export that succeeded except for `rejected` records, which are counted as dropped here.
    pub(super) fn exported(&self, signal: Signal, rejected: usize) {
        self.dropped.add(signal, rejected);
        let dropped = self.dropped.get(signal);
        let events = self
            .state
            .lock()
            .exported(signal, dropped, rejected, Instant::now());
        let (signal, collector) = (signal.name(), &self.collector);
        if let Some(dropped) = events.recovery {
            info!(target: TARGET, collector, dropped, "export has recovered");
        }
        if events.overflow {
            warn!(target: TARGET, signal, collector, dropped, "the collector is too slow; records that do not fit the queue are dropped");
        }
        if events.rejection {
            warn!(target: TARGET, signal, collector, rejected, dropped, "the collector rejected part of a batch");
        }
    }
}

impl State {
    /// Returns whether the failure is to be logged.
    fn failed(&mut self, signal: Signal, dropped: u64, now: Instant) -> bool {
        let is_outage = self.signals.iter().any(|state| state.is_reported);
        let state = &mut self.signals[signal as usize];
        state.is_failing = true;
        state.dropped = dropped;
        if state.is_reported {
            return false;
        }
        let is_logged = self.failures.allows(now);
        state.is_reported = is_logged || is_outage;
        is_logged
    }

    fn exported(&mut self, signal: Signal, dropped: u64, rejected: usize, now: Instant) -> Events {
        let state = &mut self.signals[signal as usize];
        let was_failing = std::mem::take(&mut state.is_failing);
        let before = std::mem::replace(&mut state.dropped, dropped);
        // while exports fail, the queue overflows anyway
        let has_overflowed = !was_failing && dropped > before + rejected as u64;
        Events {
            recovery: self.recover(),
            overflow: has_overflowed && self.overflows.allows(now),
            rejection: rejected > 0 && self.rejections.allows(now),
        }
    }

    /// Ends a logged outage once no signal fails. Returns how many records its signals dropped.
    fn recover(&mut self) -> Option<u64> {
        let is_over = self.signals.iter().all(|state| !state.is_failing);
        let is_outage = self.signals.iter().any(|state| state.is_reported);
        if !is_over || !is_outage {
            return None;
        }
        let reported = self.signals.iter_mut().filter(|state| state.is_reported);
        Some(
            reported
                .map(|state| {
                    state.is_reported = false;
                    state.dropped
                })
                .sum(),
        )
    }
}

impl RateLimit {
    fn allows(&mut self, now: Instant) -> bool {
        let allows = self.0.is_none_or(|last| now >= last + LOG_INTERVAL);
        if allows {
            self.0 = Some(now);
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOVERED: Events = Events {
        recovery: Some(0),
        overflow: false,
        rejection: false,
    };

    fn exported(state: &mut State, signal: Signal, now: Instant) -> Events {
        state.exported(signal, 0, 0, now)
    }

    #[test]
    fn logs_an_outage_once_for_all_signals() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Traces, 0, now));
        for hour in 0..24 {
            let later = now + Duration::from_secs(3600 * hour);
            for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
                assert!(!state.failed(signal, 0, later));
            }
        }
        assert_eq!(exported(&mut state, Signal::Logs, now), Events::default());
        assert_eq!(exported(&mut state, Signal::Traces, now), Events::default());
        assert_eq!(exported(&mut state, Signal::Metrics, now), RECOVERED);
        assert_eq!(exported(&mut state, Signal::Metrics, now), Events::default());
    }

    #[test]
    fn logs_a_flapping_collector_once_per_interval() {
        let (mut state, begun) = (State::default(), Instant::now());
        let (mut failures, mut recoveries) = (0, 0);
        let mut now = begun;
        while now < begun + 3 * LOG_INTERVAL {
            failures += usize::from(state.failed(Signal::Traces, 0, now));
            recoveries += usize::from(exported(&mut state, Signal::Traces, now) == RECOVERED);
            now += Duration::from_secs(1);
        }
        assert_eq!((failures, recoveries), (3, 3));
    }

    #[test]
    fn logs_an_outage_that_begins_within_the_interval_later() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Traces, 0, now));
        assert_eq!(exported(&mut state, Signal::Traces, now), RECOVERED);
        assert!(!state.failed(Signal::Traces, 0, now + LOG_INTERVAL / 2));
        assert!(state.failed(Signal::Traces, 0, now + LOG_INTERVAL));
    }

    #[test]
    fn a_signal_that_always_fails_does_not_hide_the_others() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Logs, 0, now));
        assert_eq!(exported(&mut state, Signal::Traces, now), Events::default());
        assert!(!state.failed(Signal::Logs, 0, now + 2 * LOG_INTERVAL));
        assert!(state.failed(Signal::Traces, 0, now + 2 * LOG_INTERVAL));
    }

    #[test]
    fn distinguishes_overflows_from_failures_and_rejections() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Traces, 10, now));
        let recovered = state.exported(Signal::Traces, 30, 0, now);
        assert_eq!((recovered.recovery, recovered.overflow), (Some(30), false));
        let rejected = state.exported(Signal::Traces, 35, 5, now);
        assert_eq!((rejected.overflow, rejected.rejection), (false, true));
        let overflowed = state.exported(Signal::Traces, 36, 0, now);
        assert_eq!((overflowed.overflow, overflowed.rejection), (true, false));
        let again = state.exported(Signal::Traces, 50, 5, now + LOG_INTERVAL / 2);
        assert_eq!(again, Events::default());
        let much_later = state.exported(Signal::Traces, 70, 5, now + LOG_INTERVAL);
        assert!(much_later.overflow && much_later.rejection);
    }
}
