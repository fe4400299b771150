//! The item that a write replaced, deleted or was refused by, opened for the caller.

use tracing::warn;

use crate::call::Call;
use crate::crypto::Keyring;
use crate::item::load::{self, Opened};
use crate::model::{Item, Model};

/// Opens the previous item. The write has its outcome already: an item that cannot be decrypted is logged and left out.
pub(super) async fn open_old(keyring: &Keyring, call: &Call, model: &Model, old: Item) -> Option<Opened> {
    let keys = keyring.for_call(call);
    match load::open(model, old, &keys, None).await {
        Ok(opened) => Some(opened),
        Err(error) => {
            warn!(
                request_id = call.request_id(),
                "cannot decrypt the replaced item: {error}"
            );
            None
        }
    }
}
