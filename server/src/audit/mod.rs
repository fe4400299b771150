//! The audit log: one JSON line per call and per change of what decides about calls, in a file, to an outlet, or both. Knows
//! nothing of gRPC, and never writes an item value, a token or the bytes of a key: the key of an item is an HMAC.
//!
//! | part | what |
//! |---|---|
//! | [`Audit`] | opens the log, and decides whether calls may begin |
//! | [`Outlet`] | takes lines besides the file, such as an exporter |
//! | [`Record`] | what one call did, until its line is written |
//! | [`Verifier`] | finds the first line of a chain that was changed, cut out or inserted |
//!
//! A line is written when its call ends, before the response does, under one lock: the order of the lines is that of their
//! `seq`. If a line cannot be written, a file of zeros beside the log is emptied, so that calls in flight find space;
//! no new call begins until there is space for both again.

mod chain;
mod disk;
mod error;
mod file;
mod key;
mod line;
mod log;
mod record;
mod state;
#[cfg(test)]
mod tests;
mod verify;

pub use chain::{Head, NotAHead};
pub use error::Error;
pub use key::AuditKey;
pub use line::Decision;
pub use log::{Audit, OnFailure, Outlet, Settings, Unavailable};
pub use record::{Ended, Record};
pub use verify::{Finding, Verified, Verifier};
