//! Reads the pointer in an object attribute of a stored item.

use std::collections::HashMap;

use super::error::Error;
use super::reader::Reader;
use super::view::{Match, View};
use crate::aws::GetItem;
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::load::LoadError;
use crate::item::pointer::Pointer;
use crate::item::protect::verify;
use crate::model::{Attribute, Coverage};

/// Where a pointer is.
#[derive(Clone, Copy)]
pub(super) struct StoredPointer<'a> {
    /// The item's key.
    pub(super) key: &'a Key,
    /// The part of the item that is read: the attribute.
    pub(super) view: &'a View,
    /// The placeholder names of the view's projection.
    pub(super) names: &'a HashMap<String, String>,
    /// The object attribute.
    pub(super) attribute: &'a str,
}

impl StoredPointer<'_> {
    /// Reads it: one GetItem. `uncounted`: the item is not one more that the call returns.
    ///
    /// # Errors
    ///
    /// `ItemNotFound`, `ObjectNotFound`, and `DataLoss` if the stored value is not a pointer, or not the one that was
    /// written into a protected item.
    pub(super) async fn read(
        self,
        reader: &Reader,
        call: &Call,
        keys: &CallKeys,
        consistent_read: bool,
        uncounted: bool,
    ) -> Result<Pointer, Error> {
        let StoredPointer {
            key,
            view,
            names,
            attribute,
        } = self;
        let model = &view.model;
        let (projection, names) = view.projection_with(names.clone());
        let read = GetItem {
            table: model.table.clone(),
            key: key.item(),
            projection,
            names,
            consistent_read,
            uncounted,
        };
        let stored = reader.stores.dynamodb.get_item(call, read).await?;
        // neither an item of another model nor one that has expired is there
        let stored = stored.filter(|stored| matches!(view.match_of(stored), Match::Of(_)));
        let stored = stored.ok_or_else(|| Error::ItemNotFound {
            model: model.name.clone(),
        })?;
        let declared = model.attribute(attribute);
        let is_encrypted = declared.is_some_and(|attribute| attribute.encrypted.is_some());
        if let Some(protection) = &model.protection
            && (is_encrypted || protection.coverage == Coverage::All)
        {
            verify(model, &stored, keys).await?;
        }
        let value = stored.get(model.stored_name(attribute));
        let value = value.ok_or_else(|| Error::ObjectNotFound {
            model: model.name.clone(),
            attribute: attribute.to_owned(),
        })?;
        let is_offloaded = declared.is_some_and(Attribute::offloads_values);
        match Pointer::from_value(value) {
            Some(pointer) if pointer.kind.is_some() == is_offloaded => Ok(pointer),
            // the value is short enough to be in the item
            Some(_) | None if is_offloaded => Err(Error::ObjectNotFound {
                model: model.name.clone(),
                attribute: attribute.to_owned(),
            }),
            Some(_) | None => Err(LoadError::Pointer {
                attribute: attribute.to_owned(),
            }
            .into()),
        }
    }
}
