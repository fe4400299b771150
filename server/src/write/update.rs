//! The steps of an update: encrypt, upload, UpdateItem, then the objects that the item no longer points to.

use std::time::Instant;

use crate::aws::Stores;
use crate::call::now;
use crate::crypto::CallKeys;
use crate::item::pointer::Pointer;
use crate::item::store::{self, is_ciphertext};
use crate::model::{Item, ReturnValues, Value};
use crate::object::upload::NewObject;

use super::caller::Caller;
use super::cleanup::remove_new;
use super::error::Error;
use super::new_object::NewObjects;
use super::request::{Contents, ItemUpdate, UpdateRequest};
use super::update_commit::{Outcome, UpdateCommit};
use super::uploads::upload_all;

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

/// Updates an item; the commit and the cleanup must be done by `deadline`.
pub(super) async fn update(
    stores: &Stores,
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
        identity,
        contents,
    } = request;
    let extended = call.with_deadline(deadline);
    let sealed = caller.step(seal(&mut item, keys)).await?;
    let new = take_objects(&item, contents, keys).await?;
    let uploaded = caller.step(upload_all(stores, &call, &new)).await;
    let may_commit = !caller.is_disconnected() && now() < call.deadline();
    let objects = match uploaded {
        Ok(objects) if may_commit => objects,
        Ok(_) => {
            remove_new(stores, &extended, &new).await;
            return Err(caller.gave_up().into());
        }
        Err(error) => {
            remove_new(stores, &extended, &new).await;
            return Err(error);
        }
    };
    for (name, pointer) in &objects {
        item.update.set(name, pointer.to_value());
    }
    caller.begin_commit();
    let commit = UpdateCommit {
        stores,
        call: extended,
        is_idempotent: new.is_empty() && item.update.is_idempotent() && !returned.is_old(),
        item: &item,
        new: &new,
        sealed,
        identity,
        keys,
    };
    let Outcome {
        item,
        index_keys,
        version,
        repeated,
    } = commit.run(returned).await?;
    Ok(Updated {
        item: item.filter(|_| returned != ReturnValues::None),
        objects,
        index_keys,
        version,
        repeated,
    })
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
