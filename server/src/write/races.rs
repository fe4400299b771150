//! Commits of an update that failed because the item changed after it was read.

use crate::aws::{self, Doubt, Kind};
use crate::call::{Backoff, Call};
use crate::figure::AwsOperation;

use super::error::Error;

/// UpdateItem requests of one update that expects stored pointers, which the previous one returned.
const MAX_COMMITS: usize = 3;

/// Commits that failed because the item changed after it was read.
#[derive(Default)]
pub(super) struct Races {
    of_objects: usize,
    backoff: Backoff,
}

impl Races {
    /// Waits before the next commit, or returns why there is none.
    pub(super) async fn lose(&mut self, object: Option<&str>, call: &Call) -> Result<(), Error> {
        if let Some(attribute) = object {
            self.of_objects += 1;
            return match self.of_objects < MAX_COMMITS {
                true => Ok(()),
                false => Err(Error::ObjectChanged {
                    attribute: attribute.to_owned(),
                }),
            };
        }
        let Some(backoff) = self.backoff.next(false, call.deadline()) else {
            return Err(Error::Store(aws::Error {
                kind: Kind::Deadline { sent: false },
                operation: AwsOperation::UpdateItem,
                request_id: None,
                doubt: Doubt::None,
                endpoint: None,
                cause: "the item changed before each commit".into(),
            }));
        };
        self.backoff = backoff;
        self.backoff.wait(call).await;
        Ok(())
    }
}
