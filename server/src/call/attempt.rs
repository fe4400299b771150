//! An attempt of an AWS request: counted in the ledger, and measured by a histogram.

use crate::billing;
use crate::telemetry::CallTrace;

/// One AWS attempt in progress. Its time is added when it is finished or dropped.
#[derive(Debug)]
pub struct Attempt {
    billed: billing::Attempt,
    trace: CallTrace,
}

impl Attempt {
    pub(super) fn new(billed: billing::Attempt, trace: CallTrace) -> Attempt {
        Attempt { billed, trace }
    }

    /// Ends the attempt: a response arrived, or none is expected any more.
    pub fn finish(self) {}

    /// Ends the attempt as never sent (no connection): it is not counted.
    pub fn unsent(mut self) {
        self.billed.end_unsent();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(took) = self.billed.end() {
            let model = self.billed.ledger().model();
            self.trace.attempt_ended(self.billed.operation(), model, took);
        }
    }
}
