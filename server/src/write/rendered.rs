//! An update as DynamoDB takes it, alone or in a transaction.

use std::collections::{BTreeMap, HashMap};

use crate::expression::Update;
use crate::model::{Attribute, ITEM_SEAL, Item, Value};

use super::conjunction::conjunction;
use super::error::Error;
use super::protected::ProtectedItem;
use super::request::ItemUpdate;

/// Values of the stored item that the commit expects, by stored name; `None`: the item does not have the attribute.
pub(super) type Pins = BTreeMap<String, Option<Value>>;

/// The values of these attributes in a stored item, if there is one.
pub(super) fn pins<'a>(names: impl Iterator<Item = &'a str>, item: Option<&Item>) -> Pins {
    let value = |name: &str| item.and_then(|item| item.get(name)).cloned();
    names.map(|name| (name.to_owned(), value(name))).collect()
}

/// The expressions of an update.
pub(super) struct Rendered {
    /// `None` if there is nothing to change.
    pub(super) update: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
    /// The index keys that depend on the stored item and are set, by the model's names.
    pub(super) index_keys: Item,
    /// The new seal of a protected item.
    pub(super) seal: Option<Value>,
}

impl ItemUpdate {
    /// Stored names of the attributes that must be read before the update is rendered.
    pub(super) fn read_names(&self) -> impl Iterator<Item = &str> {
        self.index_keys.read_names(&self.model)
    }

    /// The sets in which NULL counts as absent, where that makes a difference to the update.
    pub(super) fn repaired(&self) -> impl Iterator<Item = &Attribute> {
        let attributes = self.model.attributes.iter();
        attributes.filter(|attribute| attribute.null_sets_repair && self.update.completes(&attribute.name))
    }

    /// Whether the stored item must be read before the update is rendered.
    pub(super) fn is_read_first(&self) -> bool {
        self.model.protection.is_some() || self.read_names().next().is_some()
    }

    /// The values of a stored item that the commit depends on: those of `read_names`, the seal, and sets that are NULL.
    pub(super) fn pins(&self, stored: Option<&Item>) -> Pins {
        let mut pinned = pins(self.read_names(), stored);
        if self.model.protection.is_some() {
            pinned.extend(pins(std::iter::once(ITEM_SEAL), stored));
        }
        for attribute in self.repaired() {
            if let Some(Value::Null) = stored.and_then(|item| item.get(&attribute.stored_name)) {
                pinned.insert(attribute.stored_name.clone(), Some(Value::Null));
            }
        }
        pinned
    }

    /// Renders the update, on the condition that the stored item has the pinned values, among them all of `read_names`.
    /// Sets in which NULL counts as absent are expected not to be NULL unless they are pinned. `protected` is the stored
    /// item, if it is protected.
    pub(super) fn render(
        &self,
        pinned: &Pins,
        protected: Option<&ProtectedItem<'_>>,
    ) -> Result<Rendered, Error> {
        let mut update = self.update.clone();
        let mut repaired = Vec::new();
        for attribute in self.repaired() {
            match pinned.contains_key(&attribute.stored_name) {
                true => update.assume_absent(&attribute.name),
                false => repaired.push(attribute.stored_name.as_str()),
            }
        }
        let index_keys = self.complete_index_keys(&mut update, pinned)?;
        let seal = match protected {
            Some(item) => Some(item.complete(&self.model, &mut update)?),
            None => None,
        };
        let mut placeholders = self.placeholders.clone();
        let text = update
            .render(&self.model, "update", &mut placeholders)
            .map_err(|_| Error::Internal("the completed update is longer than the checked one"))?;
        let mut comparisons = Vec::new();
        for name in repaired {
            let null = placeholders.value(Value::S("NULL".to_owned()));
            comparisons.push(format!(
                "(NOT attribute_type({},{null}))",
                placeholders.name(name)
            ));
        }
        for (name, value) in pinned {
            let name = placeholders.name(name);
            comparisons.push(match value {
                Some(value) => format!("{name}={}", placeholders.value(value.clone())),
                None => format!("attribute_not_exists({name})"),
            });
        }
        let condition = conjunction(&self.condition, &comparisons);
        let (names, values) = placeholders.into_parts();
        Ok(Rendered {
            update: Some(text).filter(|text| !text.is_empty()),
            condition: Some(condition).filter(|text| !text.is_empty()),
            names,
            values,
            index_keys,
            seal,
        })
    }

    /// Sets the index keys that depend on the stored item, and returns them by the model's names.
    pub(super) fn complete_index_keys(&self, update: &mut Update, pinned: &Pins) -> Result<Item, Error> {
        if self.index_keys.is_empty() {
            return Ok(Item::new());
        }
        let stored = pinned
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect();
        let keys = &self.index_keys;
        Ok(keys.complete(&self.model, &self.key, update, &self.defaults, &stored)?)
    }
}
