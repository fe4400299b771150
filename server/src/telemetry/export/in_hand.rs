//! Records that are being exported.

use super::signal::{Dropped, Signal};

/// Records that are being exported. They count as dropped unless the export succeeds, even if its task is aborted.
pub(super) struct InHand<'a> {
    dropped: &'a Dropped,
    signal: Signal,
    count: usize,
}

impl<'a> InHand<'a> {
    pub(super) fn new(dropped: &'a Dropped, signal: Signal, count: usize) -> InHand<'a> {
        InHand {
            dropped,
            signal,
            count,
        }
    }

    pub(super) fn settle(mut self, exported: bool) {
        if exported {
            self.count = 0;
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.dropped.add(self.signal, self.count);
    }
}
