//! The writes of a stream and their results.

use std::pin::Pin;

use futures::stream::Stream;

use super::super::delete::Delete;
use super::super::error::Error;
use super::super::save::{Save, Saved};
use super::super::update::{Update, Updated};
use crate::capacity::Reservation;
use crate::read::Opened;

/// One write.
pub enum BatchWrite {
    /// Writes an item whole.
    Save(Save),
    /// Changes an item in place.
    Update(Update),
    /// Removes an item.
    Delete(Delete),
}

/// A write as it arrived, or why it could not be decoded.
pub struct BatchedWrite {
    /// The write.
    pub write: Result<BatchWrite, Error>,
    /// The size of its message.
    pub message_bytes: usize,
}

/// The result of one write.
pub struct BatchWritten {
    /// Which write: 0 for the first.
    pub index: u64,
    /// What it did.
    pub outcome: Result<Written, Error>,
    /// The memory that it occupies until it is encoded.
    pub memory: Reservation,
}

/// What one write did.
pub enum Written {
    /// Wrote an item.
    Saved(Saved),
    /// Changed an item.
    Updated(Updated),
    /// Removed an item; it is there if it was requested and existed.
    Deleted(Option<Opened>),
}

/// The writes of a stream.
pub type Writes = Pin<Box<dyn Stream<Item = BatchedWrite> + Send>>;
