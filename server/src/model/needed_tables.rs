//! The tables that a set of models needs: those of their items, and those that remember request ids.

use std::collections::BTreeMap;

use super::model_options::Idempotency;
use super::models::Models;
use super::schema::Model;

/// The key of a table that remembers request ids, a string.
pub const MARKER_KEY: &str = "id";

/// The attribute by which the items of such a table expire, a time to live.
pub const MARKER_EXPIRES: &str = "expires";

/// A table that models need.
#[derive(Clone, Debug)]
pub enum NeededTable<'a> {
    /// It holds items of these models, which agree on its keys and indexes; at least one.
    Items {
        /// Its name.
        name: &'a str,
        /// The models.
        models: Vec<&'a Model>,
    },
    /// It remembers request ids: its only key is [`MARKER_KEY`], and its items expire by [`MARKER_EXPIRES`].
    Markers {
        /// Its name.
        name: &'a str,
    },
}

impl<'a> NeededTable<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        match self {
            NeededTable::Items { name, .. } | NeededTable::Markers { name } => name,
        }
    }
}

impl Models {
    /// The tables that the models need, sorted by name, each once.
    pub fn tables(&self) -> Vec<NeededTable<'_>> {
        let mut tables: BTreeMap<&str, NeededTable<'_>> = BTreeMap::new();
        for model in self.iter() {
            let name = model.table.as_str();
            let table = tables.entry(name).or_insert_with(|| NeededTable::Items {
                name,
                models: Vec::new(),
            });
            if let NeededTable::Items { models, .. } = table {
                models.push(model);
            }
        }
        for model in self.iter() {
            if let Some(Idempotency::Table(name)) = &model.idempotency {
                tables.entry(name).or_insert(NeededTable::Markers { name });
            }
        }
        tables.into_values().collect()
    }
}
