//! What the server set in a write that was repeated.

use crate::aws::Stores;
use crate::call::Call;
use crate::crypto::Keyring;
use crate::model::{Item, Model};

use super::old_item::open;

/// What the first of several equal requests set, as callers read it, taken from the item that it wrote. `generated` is what
/// the repeat would have set, whose version is that of the first request; `objects` are the attributes that it uploaded.
pub(super) async fn of_first<'a>(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    model: &Model,
    stored: Item,
    mut generated: Item,
    objects: impl Iterator<Item = &'a str>,
) -> Item {
    let version = model
        .version()
        .and_then(|version| generated.remove_entry(&version.name));
    let names: Vec<String> = generated.into_keys().chain(objects.map(str::to_owned)).collect();
    let mut first = match names.is_empty() {
        true => Item::new(),
        false => open(stores, keyring, call, model, stored, Some(&names))
            .await
            .map_or_else(Item::new, |opened| opened.item),
    };
    first.extend(version);
    first
}
