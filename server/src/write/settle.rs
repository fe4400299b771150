//! Finds out whether a commit was applied if its response does not say. The table at the top of the room lists what
//! follows from each outcome.

use std::time::Duration;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::call::Call;
use crate::item::Key;
use crate::model::{Item, Model};
use crate::object::upload::NewObject;

use super::cleanup::remove_new;

/// How long a write without a response gets to be applied before the second read.
const SECOND_READ_DELAY: Duration = Duration::from_millis(500);

/// A commit that failed.
pub(super) struct Settlement<'a> {
    pub(super) stores: &'a Stores,
    /// The call, with the extended deadline.
    pub(super) call: &'a Call,
    pub(super) model: &'a Model,
    pub(super) key: &'a Key,
    /// The objects that the item points to if the commit was applied.
    pub(super) new: &'a [(String, NewObject)],
}

/// What an item shows about a commit: whether it was applied, or `None` if the item would be the same either way.
pub(super) type Evidence<'a> = &'a (dyn Fn(&Item) -> Option<bool> + Send + Sync);

impl Settlement<'_> {
    /// Resolves the outcome of a failed commit. Returns the item that shows that it was applied after all.
    pub(super) async fn resolve(
        &self,
        error: aws::Error,
        evidence: Evidence<'_>,
    ) -> Result<Item, aws::Error> {
        match (&error.kind, error.doubt) {
            (Kind::ConditionFailed { item: Some(item) }, Doubt::Finished | Doubt::Lost) => {
                match (evidence(item), error.doubt) {
                    (Some(true), _) => Ok(item.clone()),
                    (None, _) => Err(unknown(error)),
                    // the attempt without a response may still be applied
                    (Some(false), Doubt::Lost) => Err(error),
                    (Some(false), Doubt::None | Doubt::Finished) => self.give_up(error).await,
                }
            }
            (Kind::ConditionFailed { .. }, Doubt::Lost) => Err(error),
            (Kind::OutcomeUnknown | Kind::Deadline { sent: true }, doubt) => {
                self.check_applied(error, doubt, evidence).await
            }
            (
                Kind::ConditionFailed { .. }
                | Kind::TransactionCancelled { .. }
                | Kind::Conflict
                | Kind::TokenMismatch
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
            ) => self.give_up(error).await,
        }
    }

    /// Reads the stored item.
    pub(super) async fn read(&self) -> Result<Option<Item>, aws::Error> {
        let get = aws::GetItem {
            table: self.model.table.clone(),
            key: self.key.item(),
            consistent_read: true,
            uncounted: true,
            ..aws::GetItem::default()
        };
        self.stores.dynamodb.get_item(self.call, get).await
    }

    /// Deletes the new objects, since nothing was applied.
    async fn give_up(&self, error: aws::Error) -> Result<Item, aws::Error> {
        remove_new(self.stores, self.call, self.new).await;
        Err(error)
    }

    /// Reads the item to find out whether a commit with an unknown outcome was applied.
    async fn check_applied(
        &self,
        error: aws::Error,
        doubt: Doubt,
        evidence: Evidence<'_>,
    ) -> Result<Item, aws::Error> {
        match (self.look(evidence).await, doubt) {
            (Look::Applied(item), _) => return Ok(item),
            (Look::NotApplied, Doubt::None | Doubt::Finished) => {
                remove_new(self.stores, self.call, self.new).await;
                return Err(aws::Error {
                    kind: Kind::Unavailable,
                    ..error
                });
            }
            (Look::NotApplied, Doubt::Lost) => tokio::time::sleep(SECOND_READ_DELAY).await,
            (Look::Unclear, _) => return Err(error),
        }
        match self.look(evidence).await {
            Look::Applied(item) => Ok(item),
            Look::NotApplied | Look::Unclear => Err(error),
        }
    }

    async fn look(&self, evidence: Evidence<'_>) -> Look {
        match self.read().await {
            Ok(Some(item)) => match evidence(&item) {
                Some(true) => Look::Applied(item),
                Some(false) => Look::NotApplied,
                None => Look::Unclear,
            },
            Ok(None) => Look::NotApplied,
            Err(_) => Look::Unclear,
        }
    }
}

/// What a read of the item shows.
enum Look {
    Applied(Item),
    NotApplied,
    Unclear,
}

/// The error of a commit that may have been applied.
pub(super) fn unknown(error: aws::Error) -> aws::Error {
    aws::Error {
        kind: Kind::OutcomeUnknown,
        ..error
    }
}
