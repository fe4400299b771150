//! Tells the log how it goes with one collector, for all signals that are sent there: an outage once, by the signal that
//! fails first, and its end once, when all of them are taken again. A collector that cannot make up its mind is told
//! about as seldom: no trouble of one kind is told twice within some minutes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkError;
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::TARGET;
use super::{Lost, Signal};

/// For so long no trouble of the same kind is told again.
const QUIET: Duration = Duration::from_secs(300);

/// What the log is told of one collector.
#[derive(Debug)]
pub(super) struct Teller {
    /// Host and port.
    collector: String,
    lost: Arc<Lost>,
    state: Mutex<State>,
}

/// What is known of the collector.
#[derive(Debug, Default)]
struct State {
    /// Signals whose last export failed.
    failing: Vec<Signal>,
    /// Signals of the outage that the log knows of; none where it knows of none.
    told: Vec<Signal>,
    /// Whether anything was taken since the outage was told: then it is not the whole collector.
    taken: bool,
    /// What each signal had lost when it was last looked at.
    dropped: [u64; 3],
    outages: Quiet,
    overflows: Quiet,
    rejections: Quiet,
}

/// What is worth a line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Worth {
    /// All signals are taken again; the number is what they lost.
    recovery: Option<u64>,
    overflow: bool,
    rejection: bool,
}

/// When a kind of trouble may be told again.
#[derive(Debug, Default)]
struct Quiet {
    until: Option<Instant>,
}

impl Teller {
    pub(super) fn new(collector: &str, lost: Arc<Lost>) -> Teller {
        Teller {
            collector: collector.to_owned(),
            lost,
            state: Mutex::default(),
        }
    }

    /// An export failed, and what it had is counted as lost.
    pub(super) fn failed(&self, signal: Signal, error: &OTelSdkError) {
        let dropped = self.lost.get(signal);
        let worth_telling = self.state(|state| state.failed(signal, dropped, Instant::now()));
        if worth_telling {
            let (signal, collector) = (signal.name(), &self.collector);
            warn!(target: TARGET, signal, collector, %error, dropped, "the collector does not take what is sent; calls go on");
        }
    }

    /// An export was taken, but for the records that the collector rejected; these are counted here.
    pub(super) fn taken(&self, signal: Signal, rejected: usize) {
        self.lost.add(signal, rejected);
        let dropped = self.lost.get(signal);
        let worth = self.state(|state| state.taken(signal, dropped, rejected, Instant::now()));
        let (signal, collector) = (signal.name(), &self.collector);
        if let Some(dropped) = worth.recovery {
            info!(target: TARGET, collector, dropped, "the collector takes what is sent again");
        }
        if worth.overflow {
            warn!(target: TARGET, signal, collector, dropped, "the collector is too slow: what does not fit the queue is dropped");
        }
        if worth.rejection {
            warn!(target: TARGET, signal, collector, rejected, dropped, "the collector rejects some of what it takes");
        }
    }

    fn state<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Whether that is news.
    fn failed(&mut self, signal: Signal, dropped: u64, now: Instant) -> bool {
        self.dropped[signal as usize] = dropped;
        insert(&mut self.failing, signal);
        if self.told.contains(&signal) {
            return false;
        }
        let is_same_outage = !self.told.is_empty() && (!self.taken || self.outages.is_on(now));
        let is_news = !is_same_outage && self.outages.begin(now);
        if is_news {
            self.taken = false;
        }
        if is_same_outage || is_news {
            insert(&mut self.told, signal);
        }
        is_news
    }

    fn taken(&mut self, signal: Signal, dropped: u64, rejected: usize, now: Instant) -> Worth {
        self.taken = true;
        let was_failing = self.failing.contains(&signal);
        self.failing.retain(|failing| *failing != signal);
        let before = std::mem::replace(&mut self.dropped[signal as usize], dropped);
        // the queue of a signal that failed was bound to run over
        let overflowed = !was_failing && dropped > before + rejected as u64;
        let recovered = self.failing.is_empty() && !self.told.is_empty();
        Worth {
            recovery: recovered.then(|| self.recover()),
            overflow: overflowed && self.overflows.begin(now),
            rejection: rejected > 0 && self.rejections.begin(now),
        }
    }

    /// Forgets the outage; how much its signals have lost.
    fn recover(&mut self) -> u64 {
        let told = std::mem::take(&mut self.told);
        told.iter().map(|signal| self.dropped[*signal as usize]).sum()
    }
}

impl Quiet {
    fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether it was not on; it is from now.
    fn begin(&mut self, now: Instant) -> bool {
        let begins = !self.is_on(now);
        if begins {
            self.until = Some(now + QUIET);
        }
        begins
    }
}

fn insert(signals: &mut Vec<Signal>, signal: Signal) {
    if !signals.contains(&signal) {
        signals.push(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOVERED: Worth = Worth {
        recovery: Some(0),
        overflow: false,
        rejection: false,
    };

    fn taken(state: &mut State, signal: Signal, now: Instant) -> Worth {
        state.taken(signal, 0, 0, now)
    }

    #[test]
    fn an_outage_is_told_once_for_all_signals() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Traces, 0, now));
        for hour in 0..24 {
            let later = now + Duration::from_secs(3600 * hour);
            for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
                assert!(!state.failed(signal, 0, later));
            }
        }
        assert_eq!(taken(&mut state, Signal::Logs, now), Worth::default());
        assert_eq!(taken(&mut state, Signal::Traces, now), Worth::default());
        assert_eq!(taken(&mut state, Signal::Metrics, now), RECOVERED);
        assert_eq!(taken(&mut state, Signal::Metrics, now), Worth::default());
    }

    #[test]
    fn a_collector_that_flaps_is_told_of_once_in_some_minutes() {
        let (mut state, begun) = (State::default(), Instant::now());
        let (mut failures, mut recoveries) = (0, 0);
        let mut now = begun;
        while now < begun + 3 * QUIET {
            failures += usize::from(state.failed(Signal::Traces, 0, now));
            recoveries += usize::from(taken(&mut state, Signal::Traces, now) == RECOVERED);
            now += Duration::from_secs(1);
        }
        assert_eq!((failures, recoveries), (3, 3));
    }

    #[test]
    fn an_outage_that_begins_while_it_is_quiet_is_told_later() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Traces, 0, now));
        assert_eq!(taken(&mut state, Signal::Traces, now), RECOVERED);
        assert!(!state.failed(Signal::Traces, 0, now + QUIET / 2));
        assert!(state.failed(Signal::Traces, 0, now + QUIET));
    }

    #[test]
    fn a_signal_that_is_never_taken_does_not_hide_the_others() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Logs, 0, now));
        assert_eq!(taken(&mut state, Signal::Traces, now), Worth::default());
        assert!(!state.failed(Signal::Logs, 0, now + 2 * QUIET));
        assert!(state.failed(Signal::Traces, 0, now + 2 * QUIET));
    }

    #[test]
    fn what_runs_over_is_told_and_what_failures_and_rejections_cost_is_not_taken_for_it() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.failed(Signal::Traces, 10, now));
        let recovered = state.taken(Signal::Traces, 30, 0, now);
        assert_eq!((recovered.recovery, recovered.overflow), (Some(30), false));
        let rejected = state.taken(Signal::Traces, 35, 5, now);
        assert_eq!((rejected.overflow, rejected.rejection), (false, true));
        let overflowed = state.taken(Signal::Traces, 36, 0, now);
        assert_eq!((overflowed.overflow, overflowed.rejection), (true, false));
        let again = state.taken(Signal::Traces, 50, 5, now + QUIET / 2);
        assert_eq!(again, Worth::default());
        let much_later = state.taken(Signal::Traces, 70, 5, now + QUIET);
        assert!(much_later.overflow && much_later.rejection);
    }
}
