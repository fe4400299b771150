//! The item that a write replaced, updated, deleted or was refused by, opened for the caller.

use tracing::warn;

use crate::aws::Stores;
use crate::call::Call;
use crate::crypto::{CallKeys, Keyring};
use crate::item::load::{self, Opened};
use crate::item::protect::{Extent, verify};
use crate::model::{Item, Model, ReturnValues};

use super::offloaded::Offloaded;
use super::request::UpdateRequest;

/// Opens the item that refused a write, after it was verified. An item that cannot be decrypted is logged and left out.
pub(super) async fn open_current(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    model: &Model,
    current: Item,
) -> Option<Opened> {
    let is_as_written = is_as_written(call, model, &current, &keyring.for_call(call)).await;
    match is_as_written {
        true => open_old(stores, keyring, call, model, current).await,
        false => None,
    }
}

/// Opens the previous item, which [`is_as_written`]. The write has its outcome already: an item that cannot be decrypted is
/// logged and left out.
pub(super) async fn open_old(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    model: &Model,
    old: Item,
) -> Option<Opened> {
    open(stores, keyring, call, model, old, None).await
}

/// Whether a stored item is the one that was written, as far as the model protects items. The write has its outcome
/// already: an item that is not is logged. The content of its objects must not be in place of their pointers yet.
pub(super) async fn is_as_written(call: &Call, model: &Model, stored: &Item, keys: &CallKeys) -> bool {
    match verify(model, stored, keys).await {
        Ok(_) => true,
        Err(error) => {
            warn!(
                request_id = call.request_id(),
                "cannot verify the item that a write returned: {error}"
            );
            false
        }
    }
}

/// What an update returns of an item.
pub(super) struct UpdateView {
    key: Item,
    /// The attributes; `None`: all.
    attributes: Option<Vec<String>>,
}

impl UpdateView {
    pub(super) fn new(request: &UpdateRequest) -> UpdateView {
        let touched = || {
            request
                .item
                .update
                .touched()
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        UpdateView {
            key: request.item.key.item(),
            attributes: match request.returned {
                ReturnValues::UpdatedOld | ReturnValues::UpdatedNew => Some(touched()),
                ReturnValues::None | ReturnValues::AllOld | ReturnValues::AllNew => None,
            },
        }
    }

    /// Opens what the store returned, which may lack the key that ciphertexts are bound to.
    pub(super) async fn open(
        self,
        stores: &Stores,
        keyring: &Keyring,
        call: &Call,
        model: &Model,
        mut item: Item,
    ) -> Option<Opened> {
        item.extend(self.key);
        let wanted = self.attributes.as_deref();
        open(stores, keyring, call, model, item, wanted).await
    }
}

/// Opens a verified item, or the wanted attributes of it. One that cannot be decrypted is logged and left out.
pub(super) async fn open(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    model: &Model,
    mut item: Item,
    wanted: Option<&[String]>,
) -> Option<Opened> {
    let keys = keyring.for_call(call);
    let offloaded = Offloaded {
        stores,
        keys: &keys,
        call,
        model,
    };
    offloaded.put(&mut item, wanted).await;
    match load::open(model, item, &keys, wanted, Extent::Verified).await {
        Ok(opened) => {
            opened.record(call);
            Some(opened)
        }
        Err(error) => {
            warn!(
                request_id = call.request_id(),
                "cannot decrypt the item that a write returned: {error}"
            );
            None
        }
    }
}
