//! The commit of a save: one PutItem, and reads to find out whether it was applied if its response does not say. The table
//! at the top of the room lists what follows from each outcome.

use crate::aws::{self, Kind, Stores};
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::item::protect::Sealer;
use crate::item::store::is_ciphertext;
use crate::model::{Attribute, ITEM_SEAL, Item, Model};
use crate::object::owner::{Owner, owns_objects};
use crate::object::upload::NewObject;

use super::cleanup::{remove_new, remove_owned};
use super::error::Error;
use super::identity::Identity;
use super::kept::{self, KeptObject};
use super::offloaded::Offloaded;
use super::old_item::is_as_written;
use super::remembered::Seen;
use super::request::Condition;
use super::settle::Settlement;

/// The PutItem of a save, and what follows from its outcome.
pub(super) struct Commit<'a> {
    pub(super) stores: &'a Stores,
    /// The call, with the extended deadline.
    pub(super) call: Call,
    pub(super) keys: &'a CallKeys,
    pub(super) model: &'a Model,
    pub(super) key: Key,
    pub(super) new: &'a [(String, NewObject)],
    pub(super) kept: Vec<KeptObject>,
    /// The item to store.
    pub(super) item: Item,
    /// Makes the item's seal, if the model protects items.
    pub(super) sealer: Option<Sealer>,
    /// Whether the item holds a random value that this call generated.
    pub(super) has_random: bool,
    /// Whether the condition requires the version that the stored item must have.
    pub(super) has_version: bool,
    /// The identity of the request, which the item remembers.
    pub(super) identity: Option<&'a Identity>,
}

/// What a commit did.
pub(super) enum Put {
    /// It wrote the item, in place of this one if it was requested and is known.
    Written(Option<Item>),
    /// Nothing: an earlier equal request wrote this item.
    Repeated(Item),
}

impl Commit<'_> {
    /// Writes the item and deletes the objects of the replaced one. Returns the replaced item if `return_old` is set and
    /// it is known.
    pub(super) async fn run(&mut self, condition: Option<Condition>, return_old: bool) -> Result<Put, Error> {
        let condition = condition.unwrap_or_default();
        for commits in 1.. {
            if let Err(error) = self.complete() {
                remove_new(self.stores, &self.call, self.new).await;
                return Err(error);
            }
            let error = match self.put(&condition, return_old).await {
                Ok(old) => return Ok(Put::Written(self.clean_up(old, return_old).await)),
                Err(error) => error,
            };
            if let Some(seen) = self.seen(&error).await {
                return seen;
            }
            let not_kept = match self.adopt_kept(&error).await {
                // no attempt was applied, since the stored pointer never met their condition
                Ok(true) if commits < kept::MAX_COMMITS => continue,
                // the caller's own condition was not judged
                Ok(true) => self.kept.first().map(KeptObject::changed),
                Ok(false) => None,
                Err(not_kept) => Some(not_kept),
            };
            let resolved = self.resolve(error, !condition.text.is_empty()).await;
            return match (resolved, not_kept) {
                (Ok(found), _) => Ok(self.applied(found).await),
                (Err(_), Some(not_kept)) => Err(not_kept),
                (Err(error), None) => Err(error.into()),
            };
        }
        Ok(Put::Written(None))
    }

    /// The outcome if the item that failed the condition remembers the request's id.
    async fn seen(&self, error: &aws::Error) -> Option<Result<Put, Error>> {
        let Kind::ConditionFailed { item: Some(item) } = &error.kind else {
            return None;
        };
        match self.identity?.seen_in(item) {
            Seen::No => None,
            Seen::Same => Some(Ok(self.applied(item.clone()).await)),
            Seen::Other => {
                remove_new(self.stores, &self.call, self.new).await;
                Some(Err(Error::OtherRequest))
            }
        }
    }

    /// The outcome if the stored item is that of this commit, or of an earlier equal request.
    async fn applied(&self, stored: Item) -> Put {
        if self.is_written(&stored) {
            return Put::Written(None);
        }
        remove_new(self.stores, &self.call, self.new).await;
        Put::Repeated(stored)
    }

    /// The pointers to the kept objects.
    pub(super) fn kept_pointers(&self) -> Vec<(String, Pointer)> {
        self.kept
            .iter()
            .filter_map(|kept| Some((kept.attribute.clone(), Pointer::from_value(&kept.pointer)?)))
            .collect()
    }

    /// Adds the pointers to kept objects and the seal.
    fn complete(&mut self) -> Result<(), Error> {
        let kept = self.kept.iter();
        self.item
            .extend(kept.map(|kept| (kept.stored_name.clone(), kept.pointer.clone())));
        if let Some(sealer) = &self.sealer {
            let seal = sealer.seal(self.model, &self.item)?;
            self.item.insert(ITEM_SEAL.to_owned(), seal);
        }
        Ok(())
    }

    async fn put(&self, condition: &Condition, return_old: bool) -> Result<Option<Item>, aws::Error> {
        let condition = kept::condition(condition, &self.kept);
        let put = aws::PutItem {
            table: self.model.table.clone(),
            item: self.item.clone(),
            condition: Some(condition.text).filter(|text| !text.is_empty()),
            names: condition.names,
            values: condition.values,
            return_old: return_old || owns_objects(self.model),
            once: !self.is_repeatable(),
        };
        self.stores.dynamodb.put_item(&self.call, put).await
    }

    /// Whether an attempt that may have been applied is repeated. If the item owns objects, a repeat could replace what
    /// another writer wrote since the first attempt, with its objects, unless the condition requires a version; and the
    /// objects of this item may be gone.
    fn is_repeatable(&self) -> bool {
        self.new.is_empty() && (self.has_version || !owns_objects(self.model))
    }

    /// Deletes the objects that the replaced item owned and the new one does not. Returns the replaced item if it is known
    /// and requested.
    async fn clean_up(&self, old: Option<Item>, return_old: bool) -> Option<Item> {
        // a retried attempt may have replaced the item that the first attempt wrote
        let old = old.filter(|old| self.new.is_empty() || !self.is_written(old))?;
        let returned = match return_old && is_as_written(&self.call, self.model, &old, self.keys).await {
            true => {
                let mut returned = old.clone();
                self.offloaded().put(&mut returned, None).await;
                Some(returned)
            }
            false => None,
        };
        let owner = Owner {
            model: self.model,
            key: &self.key,
        };
        remove_owned(self.stores, &self.call, owner, &old, &self.item).await;
        returned
    }

    fn offloaded(&self) -> Offloaded<'_> {
        Offloaded {
            stores: self.stores,
            keys: self.keys,
            call: &self.call,
            model: self.model,
        }
    }

    /// After a failed condition, or an attempt without a response: takes over the stored pointers of the kept objects.
    /// Returns whether any was not known before.
    async fn adopt_kept(&mut self, error: &aws::Error) -> Result<bool, Error> {
        if self.kept.is_empty() {
            return Ok(false);
        }
        let read;
        let (item, is_in_doubt) = match &error.kind {
            Kind::ConditionFailed { item: Some(item) } => (Some(item), false),
            // some stores do not return the item with a failed condition
            Kind::ConditionFailed { item: None } | Kind::OutcomeUnknown => {
                let Ok(item) = self.settlement().read().await else {
                    return Ok(false);
                };
                read = item;
                (read.as_ref(), error.kind == Kind::OutcomeUnknown)
            }
            _ => return Ok(false),
        };
        if item.is_some_and(|item| self.is_written(item)) {
            return Ok(false);
        }
        match kept::adopt(&mut self.kept, item) {
            // the pointer may have been replaced after an attempt was applied
            Err(_) if is_in_doubt => Ok(false),
            adopted => adopted,
        }
    }

    /// Resolves the outcome of a failed commit. Returns the stored item if it was applied after all.
    async fn resolve(&self, error: aws::Error, is_conditional: bool) -> Result<Item, aws::Error> {
        let evidence = |found: &Item| self.evidence(found, is_conditional);
        self.settlement().resolve(error, &evidence).await
    }

    fn settlement(&self) -> Settlement<'_> {
        Settlement {
            stores: self.stores,
            call: &self.call,
            model: self.model,
            key: &self.key,
            new: self.new,
        }
    }

    /// What an item shows about this commit. Another caller may have written an equal item, which then met a condition
    /// that this commit did not.
    fn evidence(&self, found: &Item, is_conditional: bool) -> Option<bool> {
        if let Some(identity) = self.identity {
            return Some(identity.seen_in(found) == Seen::Same);
        }
        match self.is_written(found) {
            true if is_conditional && !self.is_unique() => None,
            is_written => Some(is_written),
        }
    }

    /// Whether the item holds something that no other commit writes: a seal, an object's key, a ciphertext, or a random
    /// value.
    fn is_unique(&self) -> bool {
        let is_sealed = |attribute: &Attribute| {
            let value = self.item.get(&attribute.stored_name);
            value.is_some_and(|value| is_ciphertext(attribute, value))
        };
        let is_protected = self.sealer.is_some();
        is_protected || self.has_random || !self.new.is_empty() || self.model.attributes.iter().any(is_sealed)
    }

    /// Whether the commit wrote this item. The keys of new objects are unique; without new objects, the whole items are
    /// compared.
    fn is_written(&self, found: &Item) -> bool {
        match self.new.first() {
            Some((name, object)) => {
                let stored_name = self.model.stored_name(name);
                let pointer = found.get(stored_name).and_then(Pointer::from_value);
                pointer.is_some_and(|pointer| object.is_at(&pointer))
            }
            None => *found == self.item,
        }
    }
}
