//! The commit of an update: one UpdateItem, and what follows from its outcome. The table at the top of the room lists it.

use std::collections::HashMap;

use crate::aws::{self, Doubt, Kind, Stores, UpdateError};
use crate::call::Call;
use crate::expression::{Bound, Placeholders, Update};
use crate::figure::AwsOperation;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, ReturnValues, Value};
use crate::object::owner::Owner;
use crate::object::upload::NewObject;

use super::cleanup::{remove_new, remove_owned};
use super::conjunction::conjunction;
use super::error::Error;
use super::identity::Identity;
use super::remembered::Seen;
use super::request::ExpectedVersion;
use super::settle::{Settlement, unknown};
use super::versions::{stored_version, unmet};

/// UpdateItem requests of one update. Each after the first expects the stored pointers that the previous one returned.
const MAX_COMMITS: usize = 3;

/// The UpdateItem of an update, and what follows from its outcome.
pub(super) struct UpdateCommit<'a> {
    pub(super) stores: &'a Stores,
    /// The call, with the extended deadline.
    pub(super) call: Call,
    pub(super) model: &'a Model,
    pub(super) key: &'a Key,
    /// Complete: encrypted, with pointers.
    pub(super) update: &'a Update,
    /// Whether an attempt that may have been applied can be repeated.
    pub(super) is_repeatable: bool,
    /// The whole condition; may be empty.
    pub(super) condition: String,
    /// The names and values of the condition.
    pub(super) placeholders: Placeholders,
    /// The version that the condition demands.
    pub(super) version: Option<ExpectedVersion>,
    pub(super) must_exist: bool,
    pub(super) new: &'a [(String, NewObject)],
    /// The ciphertexts that the update sets.
    pub(super) sealed: Item,
    /// The identity of the request, which the item remembers.
    pub(super) identity: Option<Identity>,
}

/// What a commit returns.
#[derive(Default)]
pub(super) struct Outcome {
    /// What was requested of the item, as stored.
    pub(super) item: Option<Item>,
    /// The new version, if the model has one and it is known.
    pub(super) version: Option<u64>,
    /// The item that an earlier equal request, or a lost attempt of this one, updated.
    pub(super) repeated: Option<Item>,
}

/// The stored values of the object attributes that the update changes.
type Pinned = HashMap<String, Option<Value>>;

impl UpdateCommit<'_> {
    /// Updates the item and deletes the objects that it no longer points to.
    pub(super) async fn run(&self, returned: ReturnValues) -> Result<Outcome, Error> {
        let changed: Vec<&str> = self.changed_objects();
        // DynamoDB returns either the old or the new values
        let mut pinned = match returned.is_new() && !changed.is_empty() {
            true => Some(self.read_pointers(&changed).await?),
            false => None,
        };
        let requested = match returned {
            ReturnValues::None if !changed.is_empty() => ReturnValues::UpdatedOld,
            // the stored version is incremented, and returned to the caller
            ReturnValues::None if self.version.is_none() && self.model.version().is_some() => {
                ReturnValues::UpdatedNew
            }
            returned => returned,
        };
        for commits in 1.. {
            let error = match self.send(requested, pinned.as_ref()).await {
                Ok(item) => {
                    let version = self.new_version(requested, item.as_ref());
                    let item = self.clean_up(item, pinned.as_ref()).await;
                    return Ok(Outcome {
                        item,
                        version,
                        repeated: None,
                    });
                }
                Err(UpdateError::Misfit(misfit)) => {
                    remove_new(self.stores, &self.call, self.new).await;
                    return Err(Error::Misfit(misfit));
                }
                Err(UpdateError::Store(error)) => error,
            };
            if let Some(seen) = self.seen(&error, returned).await {
                return seen;
            }
            if let Some(pinned) = &mut pinned
                && error.doubt == Doubt::None
                && let Kind::ConditionFailed { item } = &error.kind
            {
                let current = pointers(&changed, item.as_ref());
                if current != *pinned {
                    *pinned = current;
                    if commits < MAX_COMMITS {
                        continue;
                    }
                    remove_new(self.stores, &self.call, self.new).await;
                    let attribute = changed.first().copied().unwrap_or_default().to_owned();
                    return Err(Error::ObjectChanged { attribute });
                }
            }
            return self.resolve(error, returned).await;
        }
        Ok(Outcome::default())
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
            version: self.exact_version(),
            repeated: Some(stored),
        }
    }

    /// The version that the update set, if the request says which one the item had.
    fn exact_version(&self) -> Option<u64> {
        self.model.version()?;
        match self.version? {
            ExpectedVersion::Exactly(number) => number.checked_add(1),
            ExpectedVersion::Create => Some(1),
        }
    }

    /// The version that the update set.
    fn new_version(&self, requested: ReturnValues, item: Option<&Item>) -> Option<u64> {
        self.model.version()?;
        if let Some(ExpectedVersion::Exactly(number)) = self.version {
            return number.checked_add(1);
        }
        let stored = item.map_or(0, |item| stored_version(self.model, item));
        match requested {
            ReturnValues::AllNew | ReturnValues::UpdatedNew => Some(stored),
            ReturnValues::AllOld | ReturnValues::UpdatedOld => stored.checked_add(1),
            ReturnValues::None => None,
        }
    }

    async fn send(
        &self,
        requested: ReturnValues,
        pinned: Option<&Pinned>,
    ) -> Result<Option<Item>, UpdateError> {
        let mut placeholders = self.placeholders.clone();
        let text = self.update.render(self.model, "update", &mut placeholders);
        let Ok(text) = text else {
            return Err(UpdateError::Store(self.too_long()));
        };
        let mut comparisons = Vec::new();
        for (name, value) in pinned.into_iter().flatten() {
            let name = placeholders.name(name);
            comparisons.push(match value {
                Some(value) => format!("{name}={}", placeholders.value(value.clone())),
                None => format!("attribute_not_exists({name})"),
            });
        }
        let condition = conjunction(&self.condition, &comparisons);
        let (names, values) = placeholders.into_parts();
        let update = aws::UpdateItem {
            table: self.model.table.clone(),
            key: self.key.item(),
            update: Some(text).filter(|text| !text.is_empty()),
            condition: Some(condition).filter(|text| !text.is_empty()),
            names,
            values,
            returned: requested,
            is_repeatable: self.is_repeatable,
        };
        self.stores.dynamodb.update_item(&self.call, update).await
    }

    /// Deletes the objects that the item owned and no longer points to. Returns the item that the store returned, unless a
    /// repeated attempt returned what the first one wrote as the old item.
    async fn clean_up(&self, returned: Option<Item>, pinned: Option<&Pinned>) -> Option<Item> {
        let old: Item = match pinned {
            Some(pinned) => pinned
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
            None => {
                let changed = self.changed_objects();
                let item = returned.as_ref().into_iter().flatten();
                item.filter(|(name, _)| changed.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            }
        };
        let owner = Owner {
            model: self.model,
            key: self.key,
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
            model: self.model,
            key: self.key,
            new: self.new,
        };
        let evidence = |found: &Item| self.evidence(found);
        match settlement.resolve(error, &evidence).await {
            Ok(found) if self.identity.is_some() => Ok(self.applied(found, returned, true).await),
            Ok(found) => Ok(Outcome {
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
        let stored_name = self.model.stored_name(name);
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
        if let Some(unmet) = unmet(self.model, self.version, item.as_ref()) {
            return unmet;
        }
        match item {
            None if self.must_exist => Error::ItemNotFound {
                model: self.model.name.clone(),
            },
            Some(item) if self.is_of_another_model(item) => Error::ItemNotFound {
                model: self.model.name.clone(),
            },
            item => {
                let none = Item::new();
                let current = item.as_ref().unwrap_or(&none);
                let unmet = self
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

    fn is_of_another_model(&self, item: &Item) -> bool {
        self.model.discriminator.as_ref().is_some_and(|discriminator| {
            let stored = item.get(self.model.stored_name(&discriminator.attribute));
            !matches!(stored, Some(Value::S(value)) if *value == discriminator.value)
        })
    }

    fn out_of_bounds(&self, bound: &Bound) -> Error {
        let attribute = bound.attribute();
        let limits = self
            .model
            .attribute(attribute)
            .map(|attribute| attribute.checks.limits());
        Error::OutOfBounds {
            attribute: attribute.to_owned(),
            limits: limits.unwrap_or_default(),
        }
    }

    /// Stored names of the object attributes that the update changes.
    fn changed_objects(&self) -> Vec<&str> {
        let touched = self.update.touched();
        let objects = self
            .model
            .attributes
            .iter()
            .filter(|attribute| attribute.s3.is_some());
        objects
            .filter(|attribute| touched.contains(attribute.name.as_str()))
            .map(|attribute| attribute.stored_name.as_str())
            .collect()
    }

    /// The pointers that the update sets, by stored name.
    fn written_pointers(&self) -> Item {
        let is_new = |name: &str| self.new.iter().any(|(other, _)| other == name);
        let values = self.update.whole_values().filter(|(name, _)| is_new(name));
        values
            .map(|(name, value)| (self.model.stored_name(name).to_owned(), value.clone()))
            .collect()
    }

    async fn read_pointers(&self, changed: &[&str]) -> Result<Pinned, Error> {
        let get = aws::GetItem {
            table: self.model.table.clone(),
            key: self.key.item(),
            consistent_read: true,
            uncounted: true,
            ..aws::GetItem::default()
        };
        match self.stores.dynamodb.get_item(&self.call, get).await {
            Ok(item) => Ok(pointers(changed, item.as_ref())),
            Err(error) => {
                remove_new(self.stores, &self.call, self.new).await;
                Err(error.into())
            }
        }
    }

    fn too_long(&self) -> aws::Error {
        aws::Error {
            kind: Kind::Refused,
            operation: AwsOperation::UpdateItem,
            request_id: None,
            doubt: Doubt::None,
            endpoint: None,
            cause: "the completed update is longer than the checked one".into(),
        }
    }
}

fn pointers(changed: &[&str], item: Option<&Item>) -> Pinned {
    let value = |name: &str| item.and_then(|item| item.get(name)).cloned();
    changed
        .iter()
        .map(|name| ((*name).to_owned(), value(name)))
        .collect()
}
