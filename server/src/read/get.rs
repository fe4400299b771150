//! Reads one item by its key.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::Error;
use super::opener::Opener;
use super::reader::Reader;
use super::view::{Match, View};
use crate::aws::GetItem;
use crate::call::Call;
use crate::item::Key;
use crate::item::load::Opened;
use crate::item::tenant;

/// One item to read.
pub struct Get {
    /// The item's key.
    pub key: Key,
    /// The parts to read.
    pub view: View,
    /// The placeholder names of the view's projection.
    pub names: HashMap<String, String>,
    /// Whether to see every write that was acknowledged before.
    pub consistent_read: bool,
}

impl Reader {
    /// Reads and opens one item.
    ///
    /// # Errors
    ///
    /// `ItemNotFound` if no item has the key; otherwise see [`Error`].
    pub async fn get(&self, call: &Call, get: Get) -> Result<Opened, Error> {
        let Get {
            key,
            view,
            names,
            consistent_read,
        } = get;
        tenant::check(&view.model, call, &key)?;
        let (projection, names) = view.projection_with(names);
        let request = GetItem {
            table: view.model.table.clone(),
            key: key.item(),
            projection,
            names,
            consistent_read,
            uncounted: false,
        };
        let stored = self.stores.dynamodb.get_item(call, request).await?;
        let model = Arc::clone(&view.model);
        // neither an item of another model nor one that has expired is there
        let stored = stored.filter(|stored| matches!(view.match_of(stored), Match::Of(_)));
        let stored = stored.ok_or_else(|| Error::ItemNotFound {
            model: model.name.clone(),
        })?;
        match view.open_at_once(&model, stored) {
            Ok(opened) => {
                opened.record(call);
                Ok(opened)
            }
            Err(stored) => Opener::new(self, call, view).open(&model, stored, 0).await,
        }
    }
}
