//! An operation of a transaction, ready to be sent: encrypted, with pointers to its objects, and conditional on the stored
//! pointers that it replaces.

use std::sync::Arc;

use crate::aws::{PutItem, TransactItem, TransactKey};
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::item::protect::Sealer;
use crate::item::store::{self, is_ciphertext};
use crate::model::size::{stored_bytes, value_bytes};
use crate::model::{ITEM_SEAL, Item, Model, Value};
use crate::object::owner::offloads;
use crate::object::upload::NewObject;

use super::conjunction::conjunction;
use super::error::Error;
use super::kept::{self, KeptObject};
use super::protected::ProtectedItem;
use super::rendered::{Pins, pins};
use super::request::{Condition, ExpectedVersion, ItemUpdate};
use super::save;
use super::transact_request::{Change, Operation};
use super::update;

/// Bytes of one comparison in a condition, ` AND attribute_not_exists(#pin10)`, doubled as a safety margin.
const PIN_BYTES: usize = 66;

/// The most bytes that an operation on an item of the model adds to the text of a condition in a transaction.
pub fn pinned_bytes(model: &Model) -> usize {
    offloads(model).count() * PIN_BYTES
}

/// An operation, ready to be sent.
pub(super) struct Prepared {
    pub(super) model: Arc<Model>,
    pub(super) key: Key,
    write: Write,
    condition: Condition,
    pub(super) version: Option<ExpectedVersion>,
    pub(super) return_old: bool,
    kept: Vec<KeptObject>,
    /// A ciphertext or seal that no other call writes, and the stored name of its attribute.
    pub(super) sealed: Option<(String, Value)>,
    /// Makes the item's seal, if the model protects items and the operation writes one.
    sealer: Option<Sealer>,
}

enum Write {
    Put(Item),
    Update(Box<ItemUpdate>),
    Delete,
    Check,
}

impl Prepared {
    /// Encrypts what the operation writes, with a data key for the item alone. Returns the objects to upload too.
    pub(super) async fn seal(
        operation: Operation,
        keys: &CallKeys,
    ) -> Result<(Prepared, Vec<(String, NewObject)>), Error> {
        let Operation {
            model,
            key,
            change,
            condition,
            version,
            return_old,
            contents,
        } = operation;
        let (mut new, mut kept, mut sealed) = (Vec::new(), Vec::new(), None);
        let sealer = match &change {
            Change::Put(_) | Change::Update(_) => Sealer::new(&model, &key, keys).await?,
            Change::Delete | Change::Check => None,
        };
        let write = match change {
            Change::Put(item) => {
                let mut item = store::seal(&model, item, keys).await?;
                sealed = ciphertext(&model, &item);
                (new, kept) = save::take_objects(&model, &mut item, contents, keys).await?;
                Write::Put(item)
            }
            Change::Update(mut change) => {
                sealed = update::seal(&mut change, keys).await?.into_iter().next();
                new = update::take_objects(&change, contents, keys).await?;
                Write::Update(change)
            }
            Change::Delete => Write::Delete,
            Change::Check => Write::Check,
        };
        let prepared = Prepared {
            model,
            key,
            write,
            condition: condition.unwrap_or_default(),
            version,
            return_old,
            kept,
            sealed,
            sealer,
        };
        Ok((prepared, new))
    }

    /// The bytes that count towards the limit of a transaction.
    pub(super) fn bytes(&self) -> usize {
        let seal = self.sealer.as_ref().map_or(0, Sealer::bytes);
        match &self.write {
            Write::Put(item) => stored_bytes(item) + seal,
            Write::Update(change) => {
                let values = change.update.whole_values();
                let bytes = values.map(|(name, value)| name.len() + value_bytes(value));
                stored_bytes(&change.key.item()) + bytes.sum::<usize>() + seal
            }
            Write::Delete | Write::Check => stored_bytes(&self.key.item()),
        }
    }

    /// Stored names of the attributes that must be read: objects that the operation replaces or removes, and parts of the
    /// index keys that an update changes.
    pub(super) fn replaced(&self) -> Vec<&str> {
        let touched = match &self.write {
            Write::Put(_) | Write::Delete => None,
            Write::Update(change) => Some(change.update.touched()),
            Write::Check => return Vec::new(),
        };
        let repaired = self.update().into_iter().flat_map(ItemUpdate::repaired);
        let repaired = repaired.map(|attribute| attribute.stored_name.as_str());
        offloads(&self.model)
            .filter(|(attribute, _)| {
                touched
                    .as_ref()
                    .is_none_or(|touched| touched.contains(attribute.name.as_str()))
            })
            .map(|(attribute, _)| attribute.stored_name.as_str())
            .chain(self.update().into_iter().flat_map(ItemUpdate::read_names))
            .chain(repaired)
            .collect()
    }

    /// The values of a stored item that the operation is conditional on.
    pub(super) fn pins(&self, stored: Option<&Item>) -> Pins {
        let Some(change) = self.update() else {
            return pins(self.replaced().into_iter(), stored);
        };
        let mut all = change.pins(stored);
        let objects = offloads(&self.model).map(|(attribute, _)| attribute.stored_name.as_str());
        let replaced = self.replaced();
        all.extend(pins(objects.filter(|name| replaced.contains(name)), stored));
        all
    }

    /// The index keys that an update built of the stored item, by the model's names.
    pub(super) fn index_keys(&self, pins: &Pins) -> Item {
        let built = self
            .update()
            .map(|change| change.complete_index_keys(&mut change.update.clone(), pins));
        match built {
            Some(Ok(index_keys)) => index_keys,
            Some(Err(_)) | None => Item::new(),
        }
    }

    /// Points an attribute to its uploaded object.
    pub(super) fn set_pointer(&mut self, attribute: &str, pointer: &Pointer) {
        match &mut self.write {
            Write::Put(item) => {
                let stored_name = self.model.stored_name(attribute).to_owned();
                item.insert(stored_name, pointer.to_value());
            }
            Write::Update(change) => change.update.set(attribute, pointer.to_value()),
            Write::Delete | Write::Check => {}
        }
    }

    /// Takes over the stored pointers of the objects that a whole item keeps, and seals it.
    ///
    /// # Errors
    ///
    /// `ObjectChanged` if an attribute points to another object, `Invalid` if the caller changed fields of one,
    /// `ItemTooLarge`.
    pub(super) fn adopt(&mut self, pins: &Pins) -> Result<(), Error> {
        if !self.kept.is_empty() {
            kept::adopt(&mut self.kept, Some(&pointers(pins)))?;
        }
        let Write::Put(item) = &mut self.write else {
            return Ok(());
        };
        let kept = self.kept.iter();
        item.extend(kept.map(|kept| (kept.stored_name.clone(), kept.pointer.clone())));
        if let Some(sealer) = &self.sealer {
            item.remove(ITEM_SEAL);
            sealer.check_size(item)?;
            let seal = sealer.seal(&self.model, item)?;
            item.insert(ITEM_SEAL.to_owned(), seal.clone());
            self.sealed = Some((ITEM_SEAL.to_owned(), seal));
        }
        Ok(())
    }

    /// Whether the whole stored item is read and verified before the operation: the update of a protected one.
    pub(super) fn is_read_whole(&self) -> bool {
        self.sealer.is_some() && self.update().is_some()
    }

    /// The pointers to the objects that the item keeps, by attribute.
    pub(super) fn kept(&self) -> Vec<(String, Pointer)> {
        self.kept
            .iter()
            .filter_map(|kept| Some((kept.attribute.clone(), Pointer::from_value(&kept.pointer)?)))
            .collect()
    }

    /// The pointers that the item has after the operation, by stored name, as far as the operation sets them.
    pub(super) fn written(&self) -> Item {
        let pointers: Vec<(&str, &Value)> = match &self.write {
            Write::Put(item) => item.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            Write::Update(change) => change
                .update
                .whole_values()
                .map(|(name, value)| (self.model.stored_name(name), value))
                .collect(),
            Write::Delete | Write::Check => Vec::new(),
        };
        let is_object =
            |stored_name: &str| offloads(&self.model).any(|(object, _)| object.stored_name == stored_name);
        pointers
            .into_iter()
            .filter(|(name, _)| is_object(name))
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    /// The update, if it is one.
    pub(super) fn update(&self) -> Option<&ItemUpdate> {
        match &self.write {
            Write::Update(change) => Some(change),
            Write::Put(_) | Write::Delete | Write::Check => None,
        }
    }

    /// The operation as it is sent, conditional on the stored pointers. `stored` is the item of an operation that
    /// [`is_read_whole`](Self::is_read_whole).
    pub(super) fn request(&mut self, pins: &Pins, stored: Option<&Item>) -> Result<TransactItem, Error> {
        if let Write::Update(change) = &self.write {
            let protected = self.sealer.as_ref().map(|sealer| ProtectedItem {
                sealer,
                stored: stored.cloned().unwrap_or_else(|| change.key.item()),
            });
            let (request, seal) = update_request(change, pins, protected.as_ref())?;
            if let Some(seal) = seal {
                self.sealed = Some((ITEM_SEAL.to_owned(), seal));
            }
            return Ok(request);
        }
        let Condition { text, names, values } = pinned(self.condition.clone(), pins);
        let condition = Some(text).filter(|text| !text.is_empty());
        if let Write::Put(item) = &self.write {
            return Ok(TransactItem::Put(PutItem {
                table: self.model.table.clone(),
                item: item.clone(),
                condition,
                names,
                values,
                return_old: false,
                once: false,
            }));
        }
        let on = TransactKey {
            table: self.model.table.clone(),
            key: self.key.item(),
            update: None,
            condition,
            names,
            values,
        };
        Ok(match &self.write {
            Write::Check => TransactItem::Check(on),
            Write::Put(_) | Write::Update(_) | Write::Delete => TransactItem::Delete(on),
        })
    }
}

/// The pointers among the pinned values, as parts of an item.
pub(super) fn pointers(pins: &Pins) -> Item {
    pins.iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
        .collect()
}

/// One of the ciphertexts of an encrypted item.
fn ciphertext(model: &Model, item: &Item) -> Option<(String, Value)> {
    model.attributes.iter().find_map(|attribute| {
        let value = item.get(&attribute.stored_name)?;
        is_ciphertext(attribute, value).then(|| (attribute.stored_name.clone(), value.clone()))
    })
}

/// The condition, and that the stored pointers are these.
fn pinned(mut condition: Condition, pins: &Pins) -> Condition {
    let mut comparisons = Vec::with_capacity(pins.len());
    for (index, (stored_name, value)) in pins.iter().enumerate() {
        let (name, placeholder) = (format!("#pin{index}"), format!(":pin{index}"));
        comparisons.push(match value {
            Some(value) => {
                condition.values.insert(placeholder.clone(), value.clone());
                format!("{name} = {placeholder}")
            }
            None => format!("attribute_not_exists({name})"),
        });
        condition.names.insert(name, stored_name.clone());
    }
    condition.text = conjunction(&condition.text, &comparisons);
    condition
}

/// The request of an update, and the new seal of a protected item.
fn update_request(
    change: &ItemUpdate,
    pins: &Pins,
    protected: Option<&ProtectedItem<'_>>,
) -> Result<(TransactItem, Option<Value>), Error> {
    let rendered = change.render(pins, protected)?;
    let request = TransactItem::Update(TransactKey {
        table: change.model.table.clone(),
        key: change.key.item(),
        update: rendered.update,
        condition: rendered.condition,
        names: rendered.names,
        values: rendered.values,
    });
    Ok((request, rendered.seal))
}
