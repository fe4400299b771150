//! The bill: what every call cost, counted once, when AWS requests are sent, and reported in trailers, sessions and totals.
//! Never calls AWS, and reads no configuration.
//!
//! A [`Ledger`] counts for one RPC; `call` opens and closes it, the interceptor in `aws` feeds it. A closed ledger posts
//! its bill to [`Accounting`]; what is counted later (work that runs to completion after the caller disconnected) is
//! posted as it comes. All figures are integers, so sums are exact.

mod accounting;
mod bounds;
mod cells;
mod charge;
mod decimal;
mod entry;
mod finished;
mod ledger;
mod name;
mod orca;
mod owner;
mod packed_bill;
mod prices;
#[cfg(feature = "telemetry")]
mod process_totals;
mod server_totals;
mod session_totals;
mod sessions;
mod totals;
mod trailers;

#[cfg(test)]
mod exactness;

pub use accounting::Accounting;
pub use bounds::Bounds;
pub use finished::FinishedCall;
pub use ledger::{Attempt, Closed, Ledger, Opening};
pub use name::{MAX_NAME_BYTES, is_valid_name};
pub use owner::Owner;
pub use prices::Prices;
pub use totals::{Scope, Totals};
pub use trailers::{TrailerChoice, TrailerContent, write_request_id, write_trailers};
