//! The steps of an update: encrypt, upload, UpdateItem, then the objects that the item no longer points to.

use std::time::Instant;

use crate::aws::Stores;
use crate::call::now;
use crate::crypto::CallKeys;
use crate::expression::Update;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::item::store;
use crate::model::{Item, Model, ReturnValues, Value};
use crate::object::upload::NewObject;

use super::caller::Caller;
use super::cleanup::remove_new;
use super::error::Error;
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
    let new = take_objects(&item.model, &item.key, &item.update, contents);
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
        is_idempotent: item.update.is_idempotent() && !returned.is_old(),
        item: &item,
        new: &new,
        sealed,
        identity,
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
    let default_names: Vec<_> = defaults.keys().cloned().collect();
    let whole_values = update.whole_values();
    let mut values: Item = whole_values
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    values.extend(defaults);
    let mut values = store::seal_values(model, key, values, keys).await?;
    for name in default_names {
        if let Some(value) = values.remove(&name) {
            update.set_if_not_exists(&name, value);
        }
    }
    let mut sealed = Item::new();
    for attribute in &model.attributes {
        if attribute.encrypted.is_none() && attribute.compressed.is_none() {
            continue;
        }
        let Some(value) = values.remove(&attribute.name) else {
            continue;
        };
        update.set(&attribute.name, value.clone());
        if attribute.encrypted.is_some() && value != Value::Null {
            sealed.insert(attribute.stored_name.clone(), value);
        }
    }
    Ok(sealed)
}

/// The objects to upload.
pub(super) fn take_objects(
    model: &Model,
    key: &Key,
    update: &Update,
    mut contents: Contents,
) -> Vec<(String, NewObject)> {
    let mut new = Vec::new();
    for attribute in &model.attributes {
        let whole_value = update.whole_values().find(|(name, _)| *name == attribute.name);
        if let (Some(offload), Some((_, Value::Object(object)))) = (&attribute.s3, whole_value)
            && let Some(object) = NewObject::new(
                model,
                key,
                offload,
                (**object).clone(),
                contents.remove(&attribute.name),
            )
        {
            new.push((attribute.name.clone(), object));
        }
    }
    new
}
