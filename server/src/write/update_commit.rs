//! The commit of an update: one UpdateItem, and what follows from its outcome. The table at the top of the room lists it.

use crate::aws::{self, Doubt, Kind, Stores, UpdateError};
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::expression::Bound;
use crate::item::pointer::Pointer;
use crate::item::protect::{Sealer, verify};
use crate::model::{ITEM_SEAL, Item, ReturnValues};
use crate::object::owner::{Owner, owns_objects};
use crate::object::upload::NewObject;

use super::cleanup::{remove_new, remove_owned};
use super::error::Error;
use super::identity::Identity;
use super::offloaded::Offloaded;
use super::protected::ProtectedItem;
use super::races::Races;
use super::remembered::Seen;
use super::rendered::{Pins, pins};
use super::request::{ExpectedVersion, ItemUpdate};
use super::settle::{Settlement, unknown};
use super::versions::{stored_version, unmet};

/// The UpdateItem of an update, and what follows from its outcome.
pub(super) struct UpdateCommit<'a> {
    pub(super) stores: &'a Stores,
    /// The call, with the extended deadline.
    pub(super) call: Call,
    /// Complete: encrypted, with pointers.
    pub(super) item: &'a ItemUpdate,
    /// Whether the update has the same result if it is applied twice.
    pub(super) is_idempotent: bool,
    pub(super) new: &'a [(String, NewObject)],
    /// The data keys of the call.
    pub(super) keys: &'a CallKeys,
    /// The ciphertexts that the update sets; of a protected item the seal that was sent last.
    pub(super) sealed: Item,
    /// Makes the new seal, if the model protects items.
    pub(super) sealer: Option<&'a Sealer>,
    /// The identity of the request, which the item remembers.
    pub(super) identity: Option<Identity>,
}

/// What a commit returns.
#[derive(Default)]
pub(super) struct Outcome {
    /// What was requested of the item, as stored.
    pub(super) item: Option<Item>,
    /// The index keys that were built of the stored item, by the model's names.
    pub(super) index_keys: Item,
    /// The new version, if the model has one and it is known.
    pub(super) version: Option<u64>,
    /// The item that an earlier equal request, or a lost attempt of this one, updated.
    pub(super) repeated: Option<Item>,
}

impl UpdateCommit<'_> {
    /// Updates the item and deletes the objects that it no longer points to.
    pub(super) async fn run(&mut self, returned: ReturnValues) -> Result<Outcome, Error> {
        let item = self.item;
        let changed: Vec<&str> = changed_objects(item);
        // DynamoDB returns either the old or the new values
        let pinned_objects: &[&str] = match returned.is_new() {
            true => &changed,
            false => &[],
        };
        let pinned_of = |stored: Option<&Item>| {
            let mut pinned = item.pins(stored);
            pinned.extend(pins(pinned_objects.iter().copied(), stored));
            pinned
        };
        let is_read_first = !pinned_objects.is_empty() || item.is_read_first();
        let (mut before, mut pinned) = (None, Pins::new());
        if is_read_first {
            before = self.read().await?;
            pinned = pinned_of(before.as_ref());
        }
        let requested = self.requested(returned, !changed.is_empty());
        let mut races = Races::default();
        loop {
            let (error, index_keys) = match self.send(requested, &pinned, before.as_ref()).await {
                Sent::Applied(item, index_keys) => {
                    let version = self.new_version(requested, item.as_ref());
                    let old = Some(pinned).filter(|_| returned.is_new());
                    let item = self.clean_up(item, old.as_ref(), returned.is_old()).await;
                    return Ok(Outcome {
                        item,
                        index_keys,
                        version,
                        repeated: None,
                    });
                }
                Sent::Refused(error) => {
                    remove_new(self.stores, &self.call, self.new).await;
                    return Err(error);
                }
                Sent::Failed(error, index_keys) => (error, index_keys),
            };
            if let Some(seen) = self.seen(&error, returned).await {
                return seen;
            }
            // with a version or a seal, the condition would not be met again if the update was applied
            let is_stable = self.is_idempotent && item.version.is_none() && self.sealer.is_none();
            let may_repeat = error.doubt == Doubt::None || is_stable;
            if let (true, Kind::ConditionFailed { item: found }) = (may_repeat, &error.kind) {
                let current = pinned_of(found.as_ref());
                if current != pinned {
                    let of_object = pinned_objects
                        .iter()
                        .find(|name| current.get(**name) != pinned.get(**name));
                    self.lose(&mut races, of_object.copied(), found.as_ref()).await?;
                    (before, pinned) = (found.clone(), current);
                    continue;
                }
            }
            let outcome = self.resolve(error, returned).await?;
            return Ok(Outcome {
                index_keys,
                ..outcome
            });
        }
    }

    /// What the store returns, for the caller or to delete the objects that the update replaces.
    fn requested(&self, returned: ReturnValues, changes_objects: bool) -> ReturnValues {
        match returned {
            ReturnValues::None if changes_objects => ReturnValues::UpdatedOld,
            // the stored version is incremented, and returned to the caller
            ReturnValues::None if self.item.version.is_none() && self.item.model.version().is_some() => {
                ReturnValues::UpdatedNew
            }
            returned => returned,
        }
    }

    /// The outcome if the item that failed the condition remembers the request's id.
    async fn seen(&self, error: &aws::Error, returned: ReturnValues) -> Option<Result<Outcome, Error>> {
        let Kind::ConditionFailed { item: Some(item) } = &error.kind else {
            return None;
        };
        match self.identity.as_ref()?.seen_in(item) {
            Seen::No => None,
            Seen::Same => {
                let is_lost_attempt = error.doubt != Doubt::None;
                Some(Ok(self.applied(item.clone(), returned, is_lost_attempt).await))
            }
            Seen::Other => {
                remove_new(self.stores, &self.call, self.new).await;
                Some(Err(Error::OtherRequest))
            }
        }
    }

    /// The outcome if the stored item remembers this request: an attempt of it or an earlier equal one updated the item.
    async fn applied(&self, stored: Item, returned: ReturnValues, is_lost_attempt: bool) -> Outcome {
        if self.points_to_new(&stored) == Some(false) {
            remove_new(self.stores, &self.call, self.new).await;
        }
        Outcome {
            item: Some(stored.clone()).filter(|_| is_lost_attempt && returned.is_new()),
            index_keys: Item::new(),
            version: self.exact_version(),
            repeated: Some(stored),
        }
    }

    /// The version that the update set, if the request says which one the item had.
    fn exact_version(&self) -> Option<u64> {
        self.item.model.version()?;
        match self.item.version? {
            ExpectedVersion::Exactly(number) => number.checked_add(1),
            ExpectedVersion::Create => Some(1),
        }
    }

    /// The version that the update set.
    fn new_version(&self, requested: ReturnValues, item: Option<&Item>) -> Option<u64> {
        self.item.model.version()?;
        if let Some(ExpectedVersion::Exactly(number)) = self.item.version {
            return number.checked_add(1);
        }
        let stored = item.map_or(0, |item| stored_version(&self.item.model, item));
        match requested {
            ReturnValues::AllNew | ReturnValues::UpdatedNew => Some(stored),
            ReturnValues::AllOld | ReturnValues::UpdatedOld => stored.checked_add(1),
            ReturnValues::None => None,
        }
    }

    /// Waits before the next commit, with the item that is stored now, or returns why there is none.
    async fn lose(
        &self,
        races: &mut Races,
        object: Option<&str>,
        stored: Option<&Item>,
    ) -> Result<(), Error> {
        let object = object.map(|name| self.item.model.model_name(name));
        if let Err(error) = races.lose(object, &self.call).await {
            remove_new(self.stores, &self.call, self.new).await;
            return Err(error);
        }
        self.verify(stored).await
    }

    /// Verifies the stored item, if the model protects items.
    async fn verify(&self, stored: Option<&Item>) -> Result<(), Error> {
        let (Some(_), Some(stored)) = (self.sealer, stored) else {
            return Ok(());
        };
        match verify(&self.item.model, stored, self.keys).await {
            Ok(_) => Ok(()),
            Err(error) => {
                remove_new(self.stores, &self.call, self.new).await;
                Err(error.into())
            }
        }
    }

    async fn send(&mut self, requested: ReturnValues, pinned: &Pins, before: Option<&Item>) -> Sent {
        let protected = self.sealer.map(|sealer| ProtectedItem {
            sealer,
            stored: before.cloned().unwrap_or_else(|| self.item.key.item()),
        });
        let rendered = match self.item.render(pinned, protected.as_ref()) {
            Ok(rendered) => rendered,
            Err(error) => return Sent::Refused(error),
        };
        if let Some(seal) = rendered.seal {
            self.sealed = Item::from([(ITEM_SEAL.to_owned(), seal)]);
        }
        let update = aws::UpdateItem {
            table: self.item.model.table.clone(),
            key: self.item.key.item(),
            update: rendered.update,
            condition: rendered.condition,
            names: rendered.names,
            values: rendered.values,
            returned: requested,
            is_repeatable: self.is_repeatable(),
        };
        match self.stores.dynamodb.update_item(&self.call, update).await {
            Ok(item) => Sent::Applied(item, rendered.index_keys),
            Err(UpdateError::Misfit(misfit)) => Sent::Refused(Error::Misfit(misfit)),
            Err(UpdateError::Store(error)) => Sent::Failed(error, rendered.index_keys),
        }
    }

    /// Whether an attempt that may have been applied is repeated. A version in the condition prevents that two attempts are
    /// applied; an identity does while nobody replaces the item. If the item owns objects, a repeat could undo what another
    /// writer wrote since the first attempt, and lose content; and the objects that this update sets may be gone.
    fn is_repeatable(&self) -> bool {
        let version = self.item.version;
        let is_harmless = match owns_objects(&self.item.model) {
            true => matches!(version, Some(ExpectedVersion::Exactly(_))),
            false => version.is_some() || self.identity.is_some() || self.is_idempotent,
        };
        self.new.is_empty() && is_harmless
    }

    /// Deletes the objects that the item owned and no longer points to. Returns the item that the store returned, unless a
    /// repeated attempt returned what the first one wrote as the old item.
    async fn clean_up(
        &self,
        mut returned: Option<Item>,
        pinned: Option<&Pins>,
        return_old: bool,
    ) -> Option<Item> {
        let old: Item = match pinned {
            Some(pinned) => pinned
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
            None => {
                let changed = changed_objects(self.item);
                let item = returned.as_ref().into_iter().flatten();
                item.filter(|(name, _)| changed.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            }
        };
        if let (Some(returned), true) = (&mut returned, return_old) {
            let offloaded = Offloaded {
                stores: self.stores,
                keys: self.keys,
                call: &self.call,
                model: &self.item.model,
            };
            // the store may return changed attributes alone
            returned.extend(self.item.key.item());
            offloaded.put(returned, None).await;
        }
        let owner = Owner {
            model: &self.item.model,
            key: &self.item.key,
        };
        remove_owned(self.stores, &self.call, owner, &old, &self.written_pointers()).await;
        returned
    }

    /// The outcome of a failed commit, and the error that explains it.
    async fn resolve(&self, error: aws::Error, returned: ReturnValues) -> Result<Outcome, Error> {
        if self.new.is_empty() && self.sealed.is_empty() && self.identity.is_none() {
            // nothing of the item could show whether this update was applied
            return Err(self.explain(error));
        }
        let settlement = Settlement {
            stores: self.stores,
            call: &self.call,
            model: &self.item.model,
            key: &self.item.key,
            new: self.new,
        };
        let evidence = |found: &Item| self.evidence(found);
        match settlement.resolve(error, &evidence).await {
            Ok(found) if self.identity.is_some() => Ok(self.applied(found, returned, true).await),
            Ok(found) => Ok(Outcome {
                index_keys: Item::new(),
                version: self.new_version(ReturnValues::AllNew, Some(&found)),
                item: Some(found).filter(|_| returned.is_new()),
                repeated: None,
            }),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// What an item shows about this commit: only object keys and ciphertexts are of this commit alone.
    fn evidence(&self, found: &Item) -> Option<bool> {
        if let Some(identity) = &self.identity {
            return Some(identity.seen_in(found) == Seen::Same);
        }
        if let Some(points_to_new) = self.points_to_new(found) {
            return Some(points_to_new);
        }
        let (name, value) = self.sealed.iter().next()?;
        Some(found.get(name) == Some(value))
    }

    /// Whether an item points to the new objects of this commit; `None` if there are none.
    fn points_to_new(&self, found: &Item) -> Option<bool> {
        let (name, object) = self.new.first()?;
        let stored_name = self.item.model.stored_name(name);
        let pointer = found.get(stored_name).and_then(Pointer::from_value);
        Some(pointer.is_some_and(|pointer| object.is_at(&pointer)))
    }

    /// Which part of the condition was not met.
    fn explain(&self, error: aws::Error) -> Error {
        let Kind::ConditionFailed { item } = &error.kind else {
            return Error::Store(error);
        };
        if error.doubt != Doubt::None {
            return Error::Store(unknown(error));
        }
        if let Some(unmet) = unmet(&self.item.model, self.item.version, item.as_ref()) {
            return unmet;
        }
        match item {
            None if self.item.must_exist => Error::ItemNotFound {
                model: self.item.model.name.clone(),
            },
            item => {
                let none = Item::new();
                let current = item.as_ref().unwrap_or(&none);
                let unmet = self
                    .item
                    .update
                    .bounds()
                    .iter()
                    .find(|bound| !bound.is_met_by(current));
                match unmet {
                    Some(bound) => self.out_of_bounds(bound),
                    None => Error::Store(error),
                }
            }
        }
    }

    fn out_of_bounds(&self, bound: &Bound) -> Error {
        let attribute = bound.attribute();
        let limits = self
            .item
            .model
            .attribute(attribute)
            .map(|attribute| attribute.checks.limits());
        Error::OutOfBounds {
            attribute: attribute.to_owned(),
            limits: limits.unwrap_or_default(),
        }
    }

    /// The pointers that the update sets, by stored name.
    fn written_pointers(&self) -> Item {
        let is_new = |name: &str| self.new.iter().any(|(other, _)| other == name);
        let values = self.item.update.whole_values().filter(|(name, _)| is_new(name));
        values
            .map(|(name, value)| (self.item.model.stored_name(name).to_owned(), value.clone()))
            .collect()
    }

    /// Reads the stored item, and verifies it if the model protects items.
    async fn read(&self) -> Result<Option<Item>, Error> {
        let get = aws::GetItem {
            table: self.item.model.table.clone(),
            key: self.item.key.item(),
            consistent_read: true,
            uncounted: true,
            ..aws::GetItem::default()
        };
        match self.stores.dynamodb.get_item(&self.call, get).await {
            Ok(item) => self.verify(item.as_ref()).await.map(|()| item),
            Err(error) => {
                remove_new(self.stores, &self.call, self.new).await;
                Err(error.into())
            }
        }
    }
}

/// Stored names of the object attributes that the update changes.
fn changed_objects(item: &ItemUpdate) -> Vec<&str> {
    let touched = item.update.touched();
    let attributes = item.model.attributes.iter();
    attributes
        .filter(|attribute| attribute.s3.is_some() && touched.contains(attribute.name.as_str()))
        .map(|attribute| attribute.stored_name.as_str())
        .collect()
}

/// The outcome of one UpdateItem.
enum Sent {
    /// It was applied and returned this item, with these index keys.
    Applied(Option<Item>, Item),
    /// It cannot be applied.
    Refused(Error),
    /// The store returned an error.
    Failed(aws::Error, Item),
}
