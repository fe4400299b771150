//! The item that a write replaced, updated, deleted or was refused by, opened for the caller.

use tracing::warn;

use crate::aws::Stores;
use crate::call::Call;
use crate::crypto::Keyring;
use crate::item::load::{self, Opened};
use crate::item::protect::{Extent, verify};
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
    open(stores, keyring, call, model, old, None, Extent::Whole).await
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
        open(stores, keyring, call, model, item, wanted, Extent::Verified).await
    }
}

/// Opens an item, or the wanted attributes of it. One that cannot be decrypted or verified is logged and left out.
pub(super) async fn open(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    model: &Model,
    mut item: Item,
    wanted: Option<&[String]>,
    extent: Extent,
) -> Option<Opened> {
    let keys = keyring.for_call(call);
    // as it is stored, before the content of its objects is put in place of pointers
    if extent == Extent::Whole
        && let Err(error) = verify(model, &item, &keys).await
    {
        warn!(
            request_id = call.request_id(),
            "cannot verify the item that a write returned: {error}"
        );
        return None;
    }
    let offloaded = Offloaded {
        stores,
        keys: &keys,
        call,
        model,
    };
    offloaded.put(&mut item, wanted).await;
    match load::open(model, item, &keys, wanted, Extent::Verified).await {
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
