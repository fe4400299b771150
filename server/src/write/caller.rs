//! The caller of a write, as seen by the task that does it: whether the caller is still connected, and whether the commit
//! has begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::aws::{self, Doubt, Kind};
use crate::figure::AwsOperation;

use super::error::Error;

/// The caller of one write. Clones share their state.
#[derive(Clone)]
pub(super) struct Caller {
    operation: AwsOperation,
    disconnected: CancellationToken,
    committing: Arc<AtomicBool>,
}

impl Caller {
    /// A connected caller; `operation` is the DynamoDB operation that commits.
    pub(super) fn new(operation: AwsOperation) -> Caller {
        Caller {
            operation,
            disconnected: CancellationToken::new(),
            committing: Arc::default(),
        }
    }

    /// Counts as disconnected when the guard is dropped.
    pub(super) fn disconnect_on_drop(&self) -> DropGuard {
        self.disconnected.clone().drop_guard()
    }

    /// Whether the caller has disconnected.
    pub(super) fn is_disconnected(&self) -> bool {
        self.disconnected.is_cancelled()
    }

    /// Records that the write may be applied from now on.
    pub(super) fn begin_commit(&self) {
        self.committing.store(true, Ordering::Release);
    }

    /// Runs a step before the commit; ends it when the caller disconnects.
    pub(super) async fn step<T, E: Into<Error>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.disconnected.cancelled() => Err(self.gave_up().into()),
            result = step => result.map_err(Into::into),
        }
    }

    /// The error of a write whose caller disconnected or reached its deadline.
    pub(super) fn gave_up(&self) -> aws::Error {
        aws::Error {
            kind: Kind::Deadline {
                sent: self.committing.load(Ordering::Acquire),
            },
            operation: self.operation,
            request_id: None,
            doubt: Doubt::None,
            endpoint: None,
            cause: "the caller disconnected or its deadline passed".into(),
        }
    }
}
