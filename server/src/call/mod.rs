//! One RPC from its arrival to its trailers: its ledger, trace, deadline, and what it holds of the server's capacity.
//! Never calls AWS and makes no decisions.

mod attempt;
mod backoff;
mod clock;
mod handle;

pub use attempt::Attempt;
pub use backoff::Backoff;
pub use clock::now;
pub use handle::Call;

// what `aws` reports about its requests
pub use crate::telemetry::names::CONNECTION as NO_RESPONSE;
pub use crate::telemetry::{RequestFacts, RequestSpan, ResponseFacts};
