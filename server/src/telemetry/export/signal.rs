//! The signals, and how many records of each were dropped.

use std::sync::atomic::{AtomicU64, Ordering};

/// One of the three signals, or the audit log, whose lines are log records that are not dropped before calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Signal {
    Traces,
    Metrics,
    Logs,
    Audit,
}

/// Records that were dropped instead of exported, by signal.
#[derive(Debug, Default)]
pub(in super::super) struct Dropped {
    traces: AtomicU64,
    metrics: AtomicU64,
    logs: AtomicU64,
    audit: AtomicU64,
}

impl Signal {
    pub(super) const COUNT: usize = 4;

    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Audit => "audit",
        }
    }
}

impl Dropped {
    pub(in super::super) fn counts(&self) -> [(&'static str, u64); Signal::COUNT] {
        [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Audit]
            .map(|signal| (signal.name(), self.get(signal)))
    }

    pub(super) fn add(&self, signal: Signal, count: usize) {
        self.counter(signal).fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self, signal: Signal) -> u64 {
        self.counter(signal).load(Ordering::Relaxed)
    }

    fn counter(&self, signal: Signal) -> &AtomicU64 {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
            Signal::Audit => &self.audit,
        }
    }
}
