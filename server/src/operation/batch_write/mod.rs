//! BatchWrite: any number of writes from a stream, each with a result. Writes to one item keep their order; the others are
//! made in parallel, plain ones in batches.
//!
//! A task of the server makes the writes, so that it goes on while the caller does not read: up to 10,000 results
//! wait, and no further writes are read while more would. Writes that were read are made even if the caller disconnects.

mod driver;
mod run;
mod writes;

pub use self::run::batch_write;
pub use self::writes::{BatchWrite, BatchWritten, BatchedWrite, Writes, Written};
