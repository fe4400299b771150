//! The steps of a save: encrypt, upload, commit.

use std::time::Instant;

use crate::aws::Stores;
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::item::protect::Sealer;
use crate::item::store::{StoreError, seal};
use crate::model::{Generate, Item, Model, REMEMBERED_REQUEST, Value};
use crate::object::owner::offloads;
use crate::object::upload::NewObject;

use super::caller::Caller;
use super::cleanup::remove_taken_up;
use super::commit::{Commit, Put};
use super::error::Error;
use super::identity::Identity;
use super::in_flight::InFlight;
use super::kept::KeptObject;
use super::new_object::NewObjects;
use super::request::{Contents, ExpectedVersion, SaveRequest};
use super::streamed::{Beginning, at_commit, new_objects, takes_up};
use super::uploads::upload;

/// A save that was committed; the old item is as stored.
pub(super) struct Saved {
    pub(super) old: Option<Item>,
    pub(super) objects: Vec<(String, Pointer)>,
    pub(super) kept: Vec<(String, Pointer)>,
    /// The item that an earlier equal request wrote, in which case this one changed nothing.
    pub(super) repeated: Option<Item>,
}

impl Saved {
    /// A save that changed nothing: an earlier equal request wrote this item.
    fn repeated(item: &Item, earlier: Item) -> Saved {
        Saved {
            old: None,
            objects: new_objects(item.iter()),
            kept: Vec::new(),
            repeated: Some(earlier),
        }
    }
}

/// Saves an item; the commit and the cleanup must be done by `deadline`.
pub(super) async fn save(
    stores: &Stores,
    in_flight: &InFlight,
    request: SaveRequest,
    keys: &CallKeys,
    caller: &Caller,
    deadline: Instant,
) -> Result<Saved, Error> {
    let SaveRequest {
        call,
        model,
        mut item,
        condition,
        version,
        return_old,
        generated,
        mut identity,
        contents,
    } = request;
    let has_random = has_random(&model, &generated);
    let extended = call.with_deadline(deadline);
    let key = Key::from_request(&model, &item).ok_or(Error::Internal("a checked item has no key"))?;
    let beginning = Beginning {
        stores,
        in_flight,
        call: &call,
    };
    let is_read_first = !contents.is_empty() || takes_up(item.values());
    let beginning = beginning.begin(&model, &key, identity.as_ref(), is_read_first);
    let begun = caller.step(beginning).await?;
    if let Some(earlier) = begun.earlier {
        return Ok(Saved::repeated(&item, earlier));
    }
    let is_streamed = !contents.is_empty();
    item = caller.step(seal(&model, item, keys)).await?;
    let sealer = caller.step(sealer(&model, &key, &item, keys)).await?;
    let (new, kept) = take_objects(&model, &mut item, contents, keys).await?;
    let objects = upload(stores, &call, &extended, &new, caller).await?;
    let pointers = objects.iter();
    item.extend(pointers.map(|(name, pointer)| (model.stored_name(name).to_owned(), pointer.to_value())));
    if is_streamed {
        identity = remember_at_commit(identity, &mut item);
    }
    caller.begin_commit();
    let mut commit = Commit {
        stores,
        call: extended,
        keys,
        model: &model,
        key,
        new: &new,
        kept,
        item,
        sealer,
        has_random,
        has_version: matches!(version, Some(ExpectedVersion::Exactly(_))),
        identity: identity.as_ref(),
    };
    let (old, repeated) = match commit.run(condition, return_old).await? {
        Put::Written(old) => (old, None),
        Put::Repeated(item) => (None, Some(item)),
    };
    remove_taken_up(stores, &commit.call, &new).await;
    Ok(Saved {
        old,
        objects,
        kept: commit.kept_pointers(),
        repeated,
    })
}

/// Makes the seal of an encrypted item, if the model protects items; its objects are not uploaded yet.
async fn sealer(
    model: &Model,
    key: &Key,
    item: &Item,
    keys: &CallKeys,
) -> Result<Option<Sealer>, StoreError> {
    let sealer = Sealer::new(model, key, keys).await?;
    if let Some(sealer) = &sealer {
        sealer.check_size(item)?;
    }
    Ok(sealer)
}

/// Remembers the request in the item as of now, after its contents have arrived.
fn remember_at_commit(identity: Option<Identity>, item: &mut Item) -> Option<Identity> {
    let identity = at_commit(identity);
    let remembered = identity.as_ref().map(Identity::remembered);
    item.extend(remembered.map(|value| (REMEMBERED_REQUEST.to_owned(), value)));
    identity
}

/// Whether a value is random that the server set.
fn has_random(model: &Model, generated: &Item) -> bool {
    let mut attributes = generated.keys().filter_map(|name| model.attribute(name));
    attributes.any(|attribute| attribute.generate.is_some_and(Generate::is_random))
}

/// Takes the objects out of an encrypted item: those to upload and those to keep.
pub(super) async fn take_objects(
    model: &Model,
    item: &mut Item,
    mut contents: Contents,
    keys: &CallKeys,
) -> Result<(Vec<(String, NewObject)>, Vec<KeptObject>), Error> {
    let (mut new, mut kept) = (Vec::new(), Vec::new());
    let Some(key) = Key::from_item(model, item) else {
        return Ok((new, kept));
    };
    let objects = NewObjects {
        model,
        key: &key,
        keys,
    };
    for (attribute, offload) in offloads(model) {
        let name = &attribute.stored_name;
        if !matches!(item.get(name), Some(Value::Object(_))) {
            continue;
        }
        let Some(Value::Object(object)) = item.remove(name) else {
            continue;
        };
        if !object.is_new() {
            kept.push(KeptObject::new(attribute, *object, &model.table));
            continue;
        }
        let stream = contents.remove(&attribute.name);
        if let Some(object) = objects.make(attribute, offload, *object, stream).await? {
            new.push((attribute.name.clone(), object));
        }
    }
    Ok((new, kept))
}
