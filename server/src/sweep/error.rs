//! Why a sweep ended early.

use std::time::Duration;

use crate::aws;

/// Why a sweep ended early. What it did before is done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The grace period would include objects of calls in progress.
    #[error("grace: must be at least {}, twice limits.stream_deadline_max, to delete", humantime::format_duration(*.least))]
    Grace {
        /// The shortest grace period.
        least: Duration,
    },
    /// A table is being created, restored or deleted, so that items may be missing.
    #[error(
        "table {table} is {status}, not ACTIVE: its items may be incomplete; nothing was deleted. Force the sweep to delete anyway"
    )]
    NotActive {
        /// The table.
        table: String,
        /// Its status.
        status: String,
    },
    /// So many orphans that it may be the items that are missing.
    #[error(
        "{orphans} of {objects} objects are orphans, more than a tenth: their items may have been lost; nothing was deleted. Force the sweep to delete anyway"
    )]
    TooManyOrphans {
        /// The orphans.
        orphans: u64,
        /// The objects of the served prefixes.
        objects: u64,
    },
    /// The position belongs to a sweep of other buckets or tables, or with other options.
    #[error("the position is of another sweep: of other models or options")]
    OtherSweep,
    /// The receiver of the events is gone.
    #[error("the sweep was stopped")]
    Stopped,
    /// A request to a store failed.
    #[error(transparent)]
    Store(#[from] aws::Error),
}
