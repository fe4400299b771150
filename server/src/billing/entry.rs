//! Whose bill is posted.

use std::sync::Arc;
use std::time::SystemTime;

use crate::figure::Rpc;

/// The call that a bill is posted for.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) rpc: Rpc,
    /// Distinguishes calls with the same request id.
    pub(super) serial: u64,
    pub(super) request_id: &'a str,
    pub(super) session: Option<&'a Arc<str>>,
    pub(super) model: Option<&'a Arc<str>>,
    pub(super) started_at: SystemTime,
}
