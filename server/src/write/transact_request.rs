//! The operations of a transaction, already checked, and what they did.

use std::sync::Arc;

use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model};

use super::request::{Condition, ExpectedVersion, ItemUpdate};

/// One operation of a transaction, already checked.
pub struct Operation {
    /// The item's model.
    pub model: Arc<Model>,
    /// The item's key.
    pub key: Key,
    /// What happens to the item.
    pub change: Change,
    /// The condition on the stored item; that of an update is in its change.
    pub condition: Option<Condition>,
    /// The version that the condition demands.
    pub version: Option<ExpectedVersion>,
    /// Whether a refusal has the current item.
    pub return_old: bool,
}

/// What an operation does to its item.
pub enum Change {
    /// Writes this whole item. Objects without data are those that the stored item has.
    Put(Item),
    /// Changes attributes of the item.
    Update(Box<ItemUpdate>),
    /// Deletes it.
    Delete,
    /// Nothing.
    Check,
}

/// What an operation of an applied transaction did.
#[derive(Debug, Default)]
pub struct AppliedOperation {
    /// The pointers to new objects, by attribute.
    pub objects: Vec<(String, Pointer)>,
}
