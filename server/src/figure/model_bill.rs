//! The sum of the bills of one model and RPC.

use std::sync::Arc;

use super::rpc::Rpc;
use super::table::Bill;

/// The sum of the bills of one model and RPC.
#[derive(Clone, Debug)]
pub struct ModelBill {
    /// A served model, or [`NO_MODEL`](super::NO_MODEL).
    pub model: Arc<str>,
    /// The RPC.
    pub rpc: Rpc,
    /// The sum.
    pub bill: Bill,
}
