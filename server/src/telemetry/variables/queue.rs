//! The bounds of the export queues.

use std::time::Duration;

use super::reader::Reader;

pub(super) const DEFAULT_BOUNDS: Bounds = Bounds {
    queue: 8192,
    batch: 1024,
    delay: Duration::from_secs(1),
};
/// The most records in a queue, whatever is configured: some hundred megabytes.
const MAX_QUEUE: usize = 262_144;

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Bounds {
    /// The most records that wait; any more are dropped.
    pub(in super::super) queue: usize,
    /// The most records in one export.
    pub(in super::super) batch: usize,
    /// How long a record waits for others before it is exported.
    pub(in super::super) delay: Duration,
}

/// The bounds that the variables with this prefix define.
pub(super) fn bounds(reader: &mut Reader<'_>, prefix: &str) -> Bounds {
    let queue = reader.count(
        &format!("{prefix}_MAX_QUEUE_SIZE"),
        DEFAULT_BOUNDS.queue,
        MAX_QUEUE,
    );
    let batch = reader.count(
        &format!("{prefix}_MAX_EXPORT_BATCH_SIZE"),
        DEFAULT_BOUNDS.batch,
        MAX_QUEUE,
    );
    Bounds {
        queue,
        batch: batch.min(queue),
        delay: reader.millis(&format!("{prefix}_SCHEDULE_DELAY"), DEFAULT_BOUNDS.delay),
    }
}
