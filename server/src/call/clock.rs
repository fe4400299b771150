//! The clock of deadlines.

use std::time::Instant;

/// The time on the clock of the runtime, which drives the timers. A test may stop it and move it, so deadlines are never
/// compared with the system's clock.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
