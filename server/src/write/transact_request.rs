//! The operations of a transaction, already checked, and what they did.

use std::sync::Arc;

use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, Value};

use super::identity::Identity;
use super::request::{Condition, Contents, ExpectedVersion, ItemUpdate};

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
    /// The streamed contents of its objects.
    pub contents: Contents,
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

impl Operation {
    /// Whether it uploads objects.
    pub(super) fn uploads(&self) -> bool {
        let is_new = |value: &Value| matches!(value, Value::Object(object) if object.is_new());
        match &self.change {
            Change::Put(item) => item.values().any(is_new),
            Change::Update(change) => change.update.whole_values().any(|(_, value)| is_new(value)),
            Change::Delete | Change::Check => false,
        }
    }
}

/// How a repeat of a transaction is recognised.
pub enum Recognition {
    /// It is not.
    None,
    /// By DynamoDB, from this token; a repeat must be the same for it.
    Token(String),
    /// By a marker.
    Marker(Marking),
}

/// The marker that remembers a transaction.
pub struct Marking {
    /// The table of markers.
    pub table: String,
    /// The identity of the request.
    pub identity: Identity,
    /// What the server sets in each operation, as callers read it, without references of objects.
    pub generated: Vec<Item>,
}

/// What a transaction did.
#[derive(Debug)]
pub enum TransactOutcome {
    /// It was applied.
    Applied(Vec<AppliedOperation>),
    /// Nothing: an earlier equal request was applied, in which the server set this in each operation, as callers read it.
    Repeated(Vec<Item>),
}

impl Change {
    /// The field of the request that has the operation.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Change::Put(_) => "save",
            Change::Update(_) => "update",
            Change::Delete => "delete",
            Change::Check => "check",
        }
    }
}

/// What an operation of an applied transaction did.
#[derive(Debug, Default)]
pub struct AppliedOperation {
    /// The pointers to new objects, by attribute.
    pub objects: Vec<(String, Pointer)>,
    /// The pointers to kept objects, by attribute.
    pub kept: Vec<(String, Pointer)>,
    /// The index keys that an update built of the stored item, by the model's names.
    pub index_keys: Item,
}
