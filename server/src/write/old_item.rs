//! The item that a write replaced, updated, deleted or was refused by, opened for the caller.

use tracing::warn;

use crate::aws::Stores;
use crate::call::Call;
use crate::crypto::Keyring;
use crate::item::load::{self, Opened};
use crate::model::{Item, Model, ReturnValues};

use super::offloaded::Offloaded;
use super::request::UpdateRequest;

/// Opens the previous item. The write has its outcome already: an item that cannot be decrypted is logged and left out.
pub(super) async fn open_old(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    model: &Model,
    old: Item,
) -> Option<Opened> {
    open(stores, keyring, call, model, old, None).await
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
        open(stores, keyring, call, model, item, self.attributes.as_deref()).await
    }
}

/// Opens an item, or the wanted attributes of it. One that cannot be decrypted is logged and left out.
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
    match load::open(model, item, &keys, wanted).await {
        Ok(opened) => Some(opened),
        Err(error) => {
            warn!(
                request_id = call.request_id(),
                "cannot decrypt the item that a write returned: {error}"
            );
            None
        }
    }
}
