//! Whose bill is posted.

use std::sync::Arc;
use std::time::SystemTime;

use super::owner::{Owned, Owner};
use crate::figure::Rpc;

/// The call that a bill is posted for.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) owner: Owner,
    pub(super) rpc: Rpc,
    /// Distinguishes calls with the same request id.
    pub(super) serial: u64,
    pub(super) request_id: &'a str,
    pub(super) session: Option<&'a Arc<str>>,
    pub(super) model: Option<&'a Arc<str>>,
    pub(super) started_at: SystemTime,
}

impl Entry<'_> {
    /// The session that is billed, if there is one.
    pub(super) fn owned_session(&self) -> Option<Owned> {
        Some(Owned {
            owner: self.owner,
            name: Arc::clone(self.session?),
        })
    }

    /// The request.
    pub(super) fn owned_request(&self) -> Owned {
        Owned::new(self.owner, self.request_id)
    }
}
