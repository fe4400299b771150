//! Bounds on what the server remembers of calls.

use std::time::Duration;

/// Bounds on the sessions and finished calls that are kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A session that no call used for this long is forgotten.
    pub session_idle: Duration,
    /// The most sessions; the least recently used is forgotten first.
    pub session_max: usize,
    /// The most bills of finished calls; the oldest is forgotten first.
    pub finished_calls: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            session_idle: Duration::from_secs(3600),
            session_max: 100_000,
            finished_calls: 10_000,
        }
    }
}
