//! Options of a model that concern whole items: how models share a table, and how writes are made idempotent.

/// What distinguishes the items of a model from those of other models in its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discriminator {
    /// The attribute that holds the value, which is one of the model's.
    pub attribute: String,
    /// The value of this model's items.
    pub value: String,
}

/// Where a write's `request_id` is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// In the item: only an item's newest write is recognised.
    Item,
    /// In a table for this purpose: exact.
    Table(String),
}
