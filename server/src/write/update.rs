//! The steps of an update: encrypt, upload, UpdateItem, then the objects that the item no longer points to.

use std::time::Instant;

use crate::aws::Stores;
use crate::crypto::CallKeys;
use crate::item::pointer::Pointer;
use crate::item::protect::Sealer;
use crate::item::store::{self, is_ciphertext};
use crate::model::{Item, REMEMBERED_REQUEST, ReturnValues, Value};
use crate::object::upload::NewObject;

use super::caller::Caller;
use super::cleanup::remove_taken_up;
use super::error::Error;
use super::in_flight::InFlight;
use super::new_object::NewObjects;
use super::request::{Contents, ExpectedVersion, ItemUpdate, UpdateRequest};
use super::streamed::{Beginning, at_commit, new_objects, takes_up};
use super::update_commit::{Outcome, UpdateCommit};
use super::uploads::upload;

/// An update that was committed.
pub(super) struct Updated {
    /// What was requested of the item, as stored; `None` if there is nothing to return or it is not known.
    pub(super) item: Option<Item>,
    /// The pointers to new objects, by attribute.
    pub(super) objects: Vec<(String, Pointer)>,
    /// The index keys that were built of the stored item, by the model's names.
    pub(super) index_keys: Item,
    /// The new version, if the model has one and it is known.
    pub(super) version: Option<u64>,
    /// The item that an earlier equal request, or a lost attempt of this one, updated.
    pub(super) repeated: Option<Item>,
}

impl Updated {
    /// An update that changed nothing: an earlier equal request updated this item.
    fn repeated(item: &ItemUpdate, earlier: Item) -> Updated {
        Updated {
            item: None,
            objects: new_objects(item.update.whole_values()),
            index_keys: Item::new(),
            version: next_version(item),
            repeated: Some(earlier),
        }
    }
}

/// Updates an item; the commit and the cleanup must be done by `deadline`.
pub(super) async fn update(
    stores: &Stores,
    in_flight: &InFlight,
    request: UpdateRequest,
    keys: &CallKeys,
    caller: &Caller,
    deadline: Instant,
) -> Result<Updated, Error> {
    let UpdateRequest {
        call,
        mut item,
        returned,
        generated: _,
        mut identity,
        contents,
    } = request;
    let extended = call.with_deadline(deadline);
    let beginning = Beginning {
        stores,
        in_flight,
        call: &call,
    };
    let is_read_first = !contents.is_empty() || takes_up(item.update.whole_values().map(|(_, value)| value));
    let beginning = beginning.begin(&item.model, &item.key, identity.as_ref(), is_read_first);
    let begun = caller.step(beginning).await?;
    if let Some(earlier) = begun.earlier {
        return Ok(Updated::repeated(&item, earlier));
    }
    let is_streamed = !contents.is_empty();
    let sealed = caller.step(seal(&mut item, keys)).await?;
    let sealer = caller.step(Sealer::new(&item.model, &item.key, keys)).await?;
    let new = take_objects(&item, contents, keys).await?;
    let objects = upload(stores, &call, &extended, &new, caller).await?;
    for (name, pointer) in &objects {
        item.update.set(name, pointer.to_value());
    }
    if is_streamed {
        identity = at_commit(identity);
        if let Some(identity) = &identity {
            item.update.set(REMEMBERED_REQUEST, identity.remembered());
        }
    }
    caller.begin_commit();
    let mut commit = UpdateCommit {
        stores,
        call: extended.clone(),
        is_idempotent: new.is_empty() && item.update.is_idempotent() && !returned.is_old(),
        item: &item,
        new: &new,
        sealed,
        sealer: sealer.as_ref(),
        identity,
        keys,
    };
    let Outcome {
        item,
        index_keys,
        version,
        repeated,
    } = commit.run(returned).await?;
    remove_taken_up(stores, &extended, &new).await;
    Ok(Updated {
        item: item.filter(|_| returned != ReturnValues::None),
        objects,
        index_keys,
        version,
        repeated,
    })
}

/// The version that an update sets, if the request says which one the item has.
fn next_version(item: &ItemUpdate) -> Option<u64> {
    item.model.version()?;
    match item.version? {
        ExpectedVersion::Exactly(number) => number.checked_add(1),
        ExpectedVersion::Create => Some(1),
    }
}

/// Encrypts the values of encrypted attributes, and adds the defaults of attributes that the item may lack. Returns the
/// ciphertexts of attributes that are set.
pub(super) async fn seal(item: &mut ItemUpdate, keys: &CallKeys) -> Result<Item, Error> {
    let ItemUpdate {
        model,
        key,
        update,
        defaults,
        ..
    } = item;
    let defaults = std::mem::take(defaults);
    let whole_values = update.whole_values();
    let values = whole_values.map(|(name, value)| (name.to_owned(), value.clone()));
    let mut values = store::seal_values(model, key, values.collect(), keys).await?;
    // of an item that has the attribute, an object would be left behind
    let defaults = store::seal_inline(model, key, defaults, keys).await?;
    for (name, value) in defaults {
        update.set_if_not_exists(&name, value);
    }
    let mut sealed = Item::new();
    for attribute in &model.attributes {
        if attribute.encrypted.is_none() && !attribute.may_shrink() {
            continue;
        }
        let Some(value) = values.remove(&attribute.name) else {
            continue;
        };
        update.set(&attribute.name, value.clone());
        if is_ciphertext(attribute, &value) {
            sealed.insert(attribute.stored_name.clone(), value);
        }
    }
    Ok(sealed)
}

/// The objects to upload.
pub(super) async fn take_objects(
    item: &ItemUpdate,
    mut contents: Contents,
    keys: &CallKeys,
) -> Result<Vec<(String, NewObject)>, Error> {
    let objects = NewObjects {
        model: &item.model,
        key: &item.key,
        keys,
    };
    let mut new = Vec::new();
    for attribute in &item.model.attributes {
        let whole_value = item
            .update
            .whole_values()
            .find(|(name, _)| *name == attribute.name);
        let (Some(offload), Some((_, Value::Object(object)))) = (&attribute.s3, whole_value) else {
            continue;
        };
        let stream = contents.remove(&attribute.name);
        let object = objects.make(attribute, offload, (**object).clone(), stream);
        if let Some(object) = object.await? {
            new.push((attribute.name.clone(), object));
        }
    }
    Ok(new)
}
