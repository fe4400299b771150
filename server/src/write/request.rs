//! Requests to write or delete an item, already checked, and the result of a save.

use std::collections::HashMap;
use std::sync::Arc;

use crate::call::Call;
use crate::expression::{Placeholders, Update};
use crate::item::Key;
use crate::item::load::Opened;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, ReturnValues};
use crate::object::content::ContentStream;

use super::identity::Identity;
use super::index_keys::IndexKeys;

/// The contents of objects that are streamed, by attribute.
pub type Contents = HashMap<String, ContentStream>;

/// The version that the stored item must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// There is no item yet.
    Create,
    /// Exactly this one.
    Exactly(u64),
}

/// A request to write a whole item.
pub struct SaveRequest {
    /// The call that is billed.
    pub call: Call,
    /// The item's model.
    pub model: Arc<Model>,
    /// Checked and complete. Object attributes are [`Value::Object`](crate::model::Value::Object), without data if the
    /// item keeps the stored object.
    pub item: Item,
    /// The condition on the stored item, that on its version included.
    pub condition: Option<Condition>,
    /// The version that the condition demands.
    pub version: Option<ExpectedVersion>,
    /// Whether to return the replaced item.
    pub return_old: bool,
    /// What the server set, as callers read it, without references of objects.
    pub generated: Item,
    /// Set if a repeat of the request must change nothing.
    pub identity: Option<Identity>,
    /// The contents of its objects that are streamed.
    pub contents: Contents,
}

/// A request to delete an item.
pub struct DeleteRequest {
    /// The call that is billed.
    pub call: Call,
    /// The item's model.
    pub model: Arc<Model>,
    /// The item's key.
    pub key: Key,
    /// The condition on the stored item, that on its version included.
    pub condition: Option<Condition>,
    /// The version that the condition demands.
    pub version: Option<ExpectedVersion>,
    /// Whether to return the deleted item.
    pub return_old: bool,
    /// Set if a repeat of the request must change nothing.
    pub identity: Option<Identity>,
}

/// A request to change attributes of an item.
pub struct UpdateRequest {
    /// The call that is billed.
    pub call: Call,
    /// What to change of which item.
    pub item: ItemUpdate,
    /// What to return of the item.
    pub returned: ReturnValues,
    /// What the server set, as callers read it, without the version and references of objects.
    pub generated: Item,
    /// Set if a repeat of the request must change nothing.
    pub identity: Option<Identity>,
    /// The contents of its objects that are streamed.
    pub contents: Contents,
}

/// The checked changes to an item, alone or in a transaction.
pub struct ItemUpdate {
    /// The item's model.
    pub model: Arc<Model>,
    /// The item's key.
    pub key: Key,
    /// The checked changes; objects with data.
    pub update: Update,
    /// Values of attributes that the update does not change, set if the item does not have them.
    pub defaults: Item,
    /// The whole condition on the stored item; may be empty.
    pub condition: String,
    /// The names and values of the condition.
    pub placeholders: Placeholders,
    /// The version that the condition demands. The update sets the next one, or increments the stored one.
    pub version: Option<ExpectedVersion>,
    /// Whether the condition holds only for an item that exists.
    pub must_exist: bool,
    /// The index keys that depend on the stored item.
    pub index_keys: IndexKeys,
}

/// A condition expression with its placeholders.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// The expression.
    pub text: String,
    /// Its attribute names.
    pub names: HashMap<String, String>,
    /// Its values.
    pub values: Item,
}

/// The result of an update.
#[derive(Debug, Default)]
pub struct CommittedUpdate {
    /// What was requested of the item, if there is anything and it is known: not old values if the response to the write
    /// was lost.
    pub item: Option<Opened>,
    /// The pointers to new objects, by attribute.
    pub objects: Vec<(String, Pointer)>,
    /// The index keys that were built of the stored item.
    pub index_keys: Item,
    /// The new version, if the model has one and it is known.
    pub version: Option<u64>,
    /// If the request is a repeat, which changed nothing: what the server set in the first one, as callers read it.
    pub first: Option<Item>,
}

/// The result of a save.
#[derive(Debug, Default)]
pub struct Committed {
    /// The replaced item, if it was requested, existed and is known: not if the response to the write was lost.
    pub old: Option<Opened>,
    /// The pointers to new objects, by attribute.
    pub objects: Vec<(String, Pointer)>,
    /// The pointers to kept objects, by attribute.
    pub kept: Vec<(String, Pointer)>,
    /// If the request is a repeat, which changed nothing: what the server set in the first one, as callers read it.
    pub first: Option<Item>,
}
