//! The commit of a save: the one PutItem that decides, and finding out what it did where its answer does not tell.
//! The table in `settle` says what follows from each outcome.

use std::time::Duration;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::billing::Call;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model};
use crate::object::upload::Fresh;

use super::cleanup::{remove_fresh, remove_owned};
use super::{Condition, owns_objects};

/// When to look again for a write whose answer was lost.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// The one write that decides, and what follows from it.
pub(super) struct Commit<'a> {
    pub(super) stores: &'a Stores,
    /// With the deadline of the settling.
    pub(super) call: Call,
    pub(super) model: &'a Model,
    pub(super) fresh: &'a [(String, Fresh)],
    /// As it is to be stored.
    pub(super) item: Item,
}

impl Commit<'_> {
    /// Writes the item, and deletes what the one before it owned. Answers that one where asked and known.
    pub(super) async fn run(
        &self,
        condition: Option<Condition>,
        return_old: bool,
    ) -> Result<Option<Item>, aws::Error> {
        let condition = condition.unwrap_or_default();
        let put = aws::PutItem {
            table: self.model.table.clone(),
            item: self.item.clone(),
            condition: Some(condition.text).filter(|text| !text.is_empty()),
            names: condition.names,
            values: condition.values,
            return_old: return_old || owns_objects(self.model),
        };
        let old = match self.stores.dynamodb.put_item(&self.call, put).await {
            Ok(old) => old,
            Err(error) => return self.settle(error).await.map(|()| None),
        };
        // a retried write may have replaced what its own first attempt wrote
        let Some(old) = old.filter(|old| self.fresh.is_empty() || !self.is_written(old)) else {
            return Ok(None);
        };
        remove_owned(self.stores, &self.call, self.model, &old, &self.item).await;
        Ok(Some(old).filter(|_| return_old))
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
        let key = Key::of_item(self.model, &self.item)?;
        let get = aws::GetItem {
            table: self.model.table.clone(),
            key: key.item(),
            consistent_read: true,
            ..aws::GetItem::default()
        };
        let found = self.stores.dynamodb.get_item(&self.call, get).await.ok()?;
        Some(found.is_some_and(|item| self.is_written(&item)))
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
