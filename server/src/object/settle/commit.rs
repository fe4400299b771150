//! The commit of a save: the one PutItem that decides, and finding out what it did where its answer does not tell.
//! The table in `settle` says what follows from each outcome.

use std::time::Duration;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::call::Call;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model};
use crate::object::owner::Owner;
use crate::object::upload::Fresh;

use super::cleanup::{remove_fresh, remove_owned};
use super::kept::{self, Kept, KeptError};
use super::{Condition, SettleError, owns_objects};

/// When to look again for a write whose answer was lost.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// The one write that decides, and what follows from it.
pub(super) struct Commit<'a> {
    pub(super) stores: &'a Stores,
    /// With the deadline of the settling.
    pub(super) call: Call,
    pub(super) model: &'a Model,
    pub(super) fresh: &'a [(String, Fresh)],
    pub(super) kept: Vec<Kept>,
    /// As it is to be stored.
    pub(super) item: Item,
}

impl Commit<'_> {
    /// Writes the item, and deletes what the one before it owned. Returns that one if asked for and known.
    pub(super) async fn run(
        &mut self,
        condition: Option<Condition>,
        return_old: bool,
    ) -> Result<Option<Item>, SettleError> {
        let condition = condition.unwrap_or_default();
        for commits in 1.. {
            let error = match self.put(&condition, return_old).await {
                Ok(old) => return Ok(self.clean_up(old).await.filter(|_| return_old)),
                Err(error) => error,
            };
            let may_go_on = commits < kept::COMMITS && error.doubt == Doubt::None;
            let refused = match self.adopt_kept(&error).await {
                Ok(true) if may_go_on => continue,
                Ok(_) => None,
                Err(refused) => Some(refused),
            };
            let settled = self.settle(error).await;
            return match (settled, refused) {
                (Ok(()), _) => Ok(None),
                (Err(_), Some(refused)) => Err(refused.into()),
                (Err(error), None) => Err(error.into()),
            };
        }
        Ok(None)
    }

    /// The pointers of the objects that the item keeps.
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

    /// Deletes what the item before owned and this one does not.
    async fn clean_up(&self, old: Option<Item>) -> Option<Item> {
        // a retried write may have replaced what its own first attempt wrote
        let old = old.filter(|old| self.fresh.is_empty() || !self.is_written(old))?;
        if let Some(key) = Key::of_item(self.model, &self.item) {
            let owner = Owner {
                model: self.model,
                key: &key,
            };
            remove_owned(self.stores, &self.call, owner, &old, &self.item).await;
        }
        Some(old)
    }

    /// After a refused commit: whether the item has the kept objects, with pointers that were not known before.
    async fn adopt_kept(&mut self, error: &aws::Error) -> Result<bool, KeptError> {
        let Kind::ConditionFailed { item } = &error.kind else {
            return Ok(false);
        };
        if self.kept.is_empty() || item.as_ref().is_some_and(|item| self.is_written(item)) {
            return Ok(false);
        }
        match item {
            Some(item) => kept::adopt(&mut self.kept, Some(item)),
            // some stores do not return the item that refused a write
            None => match self.read().await {
                Ok(item) => kept::adopt(&mut self.kept, item.as_ref()),
                Err(_) => Ok(false),
            },
        }
    }

    /// Finds out what a failed commit did; `Ok` where it was applied after all.
    async fn settle(&self, error: aws::Error) -> Result<(), aws::Error> {
        match (&error.kind, error.doubt) {
            (Kind::ConditionFailed { item: Some(item) }, Doubt::Answered | Doubt::Lost)
                if self.is_written(item) =>
            {
                Ok(())
            }
            // the attempt that nobody answered may land yet
            (Kind::ConditionFailed { .. }, Doubt::Lost) => Err(error),
            (Kind::OutcomeUnknown | Kind::Deadline { sent: true }, doubt) => self.look(error, doubt).await,
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
                remove_fresh(self.stores, &self.call, self.fresh).await;
                Err(error)
            }
        }
    }

    /// Asks the item whether an unanswered commit was applied.
    async fn look(&self, error: aws::Error, doubt: Doubt) -> Result<(), aws::Error> {
        match (self.is_applied().await, doubt) {
            (Some(true), _) => return Ok(()),
            (Some(false), Doubt::None | Doubt::Answered) => {
                remove_fresh(self.stores, &self.call, self.fresh).await;
                return Err(aws::Error {
                    kind: Kind::Unavailable,
                    ..error
                });
            }
            (Some(false), Doubt::Lost) => tokio::time::sleep(SECOND_LOOK).await,
            (None, _) => return Err(error),
        }
        match self.is_applied().await {
            Some(true) => Ok(()),
            Some(false) | None => Err(error),
        }
    }

    /// None where the item cannot be read.
    async fn is_applied(&self) -> Option<bool> {
        let found = self.read().await.ok()?;
        Some(found.is_some_and(|item| self.is_written(&item)))
    }

    /// The item as it is now.
    async fn read(&self) -> Result<Option<Item>, aws::Error> {
        let get = aws::GetItem {
            table: self.model.table.clone(),
            key: Key::of_item(self.model, &self.item).map_or_else(Item::new, |key| key.item()),
            consistent_read: true,
            uncounted: true,
            ..aws::GetItem::default()
        };
        self.stores.dynamodb.get_item(&self.call, get).await
    }

    /// Whether this is what the commit wrote: fresh keys are nobody else's; without any the whole item tells.
    fn is_written(&self, found: &Item) -> bool {
        match self.fresh.first() {
            Some((name, fresh)) => {
                let pointer = found.get(name).and_then(Pointer::from_value);
                pointer.is_some_and(|pointer| fresh.is_at(&pointer))
            }
            None => *found == self.item,
        }
    }
}
