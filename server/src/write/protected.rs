//! The update of an item that is protected as a whole: what the item is after the update decides its new seal, so it has
//! been read and verified, and the commit is conditional on the seal that it had.

use crate::aws::Misfit;
use crate::expression::{Unfit, Update};
use crate::item::protect::Sealer;
use crate::model::{Attribute, Coverage, ITEM_SEAL, Item, Model, Value};

use super::error::Error;

/// A protected item before its update.
pub(super) struct ProtectedItem<'a> {
    pub(super) sealer: &'a Sealer,
    /// Verified, and its key alone if there is no item.
    pub(super) stored: Item,
}

impl ProtectedItem<'_> {
    /// Adds the new seal to an update that is complete otherwise. If the seal covers all attributes, the update sets what
    /// they are computed to be, so that the store has no part in it. Returns the seal.
    ///
    /// # Errors
    ///
    /// `Misfit` if the update cannot be applied to the item, `ItemTooLarge`.
    pub(super) fn complete(&self, model: &Model, update: &mut Update) -> Result<Value, Error> {
        let after = match self.sealer.coverage() {
            Coverage::All => {
                let after = update.applied(model, &self.stored).map_err(misfit)?;
                let touched: Vec<String> = update.touched().into_iter().map(str::to_owned).collect();
                for name in touched {
                    match after.get(model.stored_name(&name)) {
                        Some(value) => update.set(&name, value.clone()),
                        None => update.remove(&name),
                    }
                }
                self.sealer.check_size(&after)?;
                after
            }
            // encrypted attributes are only set or removed as a whole
            Coverage::Sealed => {
                let is_encrypted = |name: &str| {
                    let attribute = model.attribute(name);
                    attribute.is_some_and(|attribute: &Attribute| attribute.encrypted.is_some())
                };
                let mut of_encrypted = update.clone();
                for name in update.touched().into_iter().filter(|name| !is_encrypted(name)) {
                    of_encrypted.forget(name);
                }
                of_encrypted.applied(model, &self.stored).map_err(misfit)?
            }
        };
        let seal = self.sealer.seal(model, &after)?;
        update.set(ITEM_SEAL, seal.clone());
        Ok(seal)
    }
}

fn misfit(unfit: Unfit) -> Error {
    Error::Misfit(match unfit {
        Unfit::MissingAttribute => Misfit::MissingAttribute,
        Unfit::WrongType => Misfit::WrongType,
        Unfit::MissingPath => Misfit::MissingPath,
        Unfit::Number => Misfit::Number,
    })
}
