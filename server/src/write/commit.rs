//! The commit of a save: one PutItem, and reads to find out whether it was applied if its response does not say. The table
//! at the top of the room lists what follows from each outcome.

use std::time::Duration;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::call::Call;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model};
use crate::object::owner::{Owner, owns_objects};
use crate::object::upload::NewObject;

use super::cleanup::{remove_new, remove_owned};
use super::error::Error;
use super::kept::{self, KeptObject};
use super::request::Condition;

/// How long a write without a response gets to be applied before the second read.
const SECOND_READ_DELAY: Duration = Duration::from_millis(500);

/// The PutItem of a save, and what follows from its outcome.
pub(super) struct Commit<'a> {
    pub(super) stores: &'a Stores,
    /// The call, with the extended deadline.
    pub(super) call: Call,
    pub(super) model: &'a Model,
    pub(super) new: &'a [(String, NewObject)],
    pub(super) kept: Vec<KeptObject>,
    /// The item to store.
    pub(super) item: Item,
}

impl Commit<'_> {
    /// Writes the item and deletes the objects of the replaced one. Returns the replaced item if `return_old` is set and
    /// it is known.
    pub(super) async fn run(
        &mut self,
        condition: Option<Condition>,
        return_old: bool,
    ) -> Result<Option<Item>, Error> {
        let condition = condition.unwrap_or_default();
        for commits in 1.. {
            let error = match self.put(&condition, return_old).await {
                Ok(old) => return Ok(self.clean_up(old).await.filter(|_| return_old)),
                Err(error) => error,
            };
            let may_retry = commits < kept::MAX_COMMITS && error.doubt == Doubt::None;
            let not_kept = match self.adopt_kept(&error).await {
                Ok(true) if may_retry => continue,
                Ok(_) => None,
                Err(not_kept) => Some(not_kept),
            };
            let resolved = self.resolve(error).await;
            return match (resolved, not_kept) {
                (Ok(()), _) => Ok(None),
                (Err(_), Some(not_kept)) => Err(not_kept),
                (Err(error), None) => Err(error.into()),
            };
        }
        Ok(None)
    }

    /// The pointers to the kept objects.
    pub(super) fn kept_pointers(&self) -> Vec<(String, Pointer)> {
        self.kept
            .iter()
            .filter_map(|kept| Some((kept.attribute.clone(), Pointer::from_value(&kept.pointer)?)))
            .collect()
    }

    async fn put(&mut self, condition: &Condition, return_old: bool) -> Result<Option<Item>, aws::Error> {
        let kept = self.kept.iter();
        self.item
            .extend(kept.map(|kept| (kept.attribute.clone(), kept.pointer.clone())));
        let condition = kept::condition(condition, &self.kept);
        let put = aws::PutItem {
            table: self.model.table.clone(),
            item: self.item.clone(),
            condition: Some(condition.text).filter(|text| !text.is_empty()),
            names: condition.names,
            values: condition.values,
            return_old: return_old || owns_objects(self.model),
        };
        self.stores.dynamodb.put_item(&self.call, put).await
    }

    /// Deletes the objects that the replaced item owned and the new one does not. Returns the replaced item if it is known.
    async fn clean_up(&self, old: Option<Item>) -> Option<Item> {
        // a retried attempt may have replaced the item that the first attempt wrote
        let old = old.filter(|old| self.new.is_empty() || !self.is_written(old))?;
        if let Some(key) = Key::from_item(self.model, &self.item) {
            let owner = Owner {
                model: self.model,
                key: &key,
            };
            remove_owned(self.stores, &self.call, owner, &old, &self.item).await;
        }
        Some(old)
    }

    /// After a failed condition: takes over the stored pointers of the kept objects. Returns whether any was not known
    /// before.
    async fn adopt_kept(&mut self, error: &aws::Error) -> Result<bool, Error> {
        let Kind::ConditionFailed { item } = &error.kind else {
            return Ok(false);
        };
        if self.kept.is_empty() || item.as_ref().is_some_and(|item| self.is_written(item)) {
            return Ok(false);
        }
        match item {
            Some(item) => kept::adopt(&mut self.kept, Some(item)),
            // some stores do not return the item with a failed condition
            None => match self.read().await {
                Ok(item) => kept::adopt(&mut self.kept, item.as_ref()),
                Err(_) => Ok(false),
            },
        }
    }

    /// Resolves the outcome of a failed commit; `Ok` if it was applied after all.
    async fn resolve(&self, error: aws::Error) -> Result<(), aws::Error> {
        match (&error.kind, error.doubt) {
            (Kind::ConditionFailed { item: Some(item) }, Doubt::Finished | Doubt::Lost)
                if self.is_written(item) =>
            {
                Ok(())
            }
            // the attempt without a response may still be applied
            (Kind::ConditionFailed { .. }, Doubt::Lost) => Err(error),
            (Kind::OutcomeUnknown | Kind::Deadline { sent: true }, doubt) => {
                self.check_applied(error, doubt).await
            }
            (
                Kind::ConditionFailed { .. }
                | Kind::Missing { .. }
                | Kind::Throttled
                | Kind::Denied
                | Kind::KeyUnusable
                | Kind::InvalidCiphertext
                | Kind::IncorrectKey
                | Kind::UnknownKey
                | Kind::TooLarge
                | Kind::Refused
                | Kind::Unavailable
                | Kind::Deadline { sent: false },
                _,
            ) => {
                remove_new(self.stores, &self.call, self.new).await;
                Err(error)
            }
        }
    }

    /// Reads the item to find out whether a commit with an unknown outcome was applied.
    async fn check_applied(&self, error: aws::Error, doubt: Doubt) -> Result<(), aws::Error> {
        match (self.is_applied().await, doubt) {
            (Some(true), _) => return Ok(()),
            (Some(false), Doubt::None | Doubt::Finished) => {
                remove_new(self.stores, &self.call, self.new).await;
                return Err(aws::Error {
                    kind: Kind::Unavailable,
                    ..error
                });
            }
            (Some(false), Doubt::Lost) => tokio::time::sleep(SECOND_READ_DELAY).await,
            (None, _) => return Err(error),
        }
        match self.is_applied().await {
            Some(true) => Ok(()),
            Some(false) | None => Err(error),
        }
    }

    /// Whether the commit was applied; `None` if the item cannot be read.
    async fn is_applied(&self) -> Option<bool> {
        let found = self.read().await.ok()?;
        Some(found.is_some_and(|item| self.is_written(&item)))
    }

    /// Reads the stored item.
    async fn read(&self) -> Result<Option<Item>, aws::Error> {
        let get = aws::GetItem {
            table: self.model.table.clone(),
            key: Key::from_item(self.model, &self.item).map_or_else(Item::new, |key| key.item()),
            consistent_read: true,
            uncounted: true,
            ..aws::GetItem::default()
        };
        self.stores.dynamodb.get_item(&self.call, get).await
    }

    /// Whether the commit wrote this item. The keys of new objects are unique; without new objects, the whole items are
    /// compared.
    fn is_written(&self, found: &Item) -> bool {
        match self.new.first() {
            Some((name, object)) => {
                let pointer = found.get(name).and_then(Pointer::from_value);
                pointer.is_some_and(|pointer| object.is_at(&pointer))
            }
            None => *found == self.item,
        }
    }
}
