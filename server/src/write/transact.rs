//! Transactions: several writes together, or none. One TransactWriteItems, whose attempts have one token, so that a lost
//! response is settled by the next attempt.

use std::sync::Arc;

use futures::future::{join_all, try_join_all};

use crate::aws::{self, Kind, PutItem, Refusal, TransactItem, TransactKey};
use crate::call::Call;
use crate::fault::Fault;
use crate::item::Key;
use crate::item::store::seal;
use crate::model::size::stored_bytes;
use crate::model::{Item, Model};

use super::committer::Committer;
use super::error::Error;
use super::old_item::open_old;
use super::refused::{OperationRefusal, RefusedOperation};
use super::request::{Condition, ExpectedVersion};
use super::versions::unmet;

/// DynamoDB's limit for the items of one transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// One operation of a transaction, already checked.
pub struct Operation {
    /// The item's model, which has no object attributes unless the operation is a check.
    pub model: Arc<Model>,
    /// The item's key.
    pub key: Key,
    /// What happens to the item.
    pub change: Change,
    /// The condition on the stored item.
    pub condition: Option<Condition>,
    /// The version that the condition demands.
    pub version: Option<ExpectedVersion>,
    /// Whether a refusal has the current item.
    pub return_old: bool,
}

/// What an operation does to its item.
pub enum Change {
    /// Writes this whole item.
    Put(Item),
    /// Deletes it.
    Delete,
    /// Nothing.
    Check,
}

impl Committer {
    /// Applies all operations, which are on different items, or none. `token` makes the transaction idempotent.
    ///
    /// # Errors
    ///
    /// `Cancelled` with the operations that were refused; otherwise see [`Error`].
    pub async fn transact(
        &self,
        call: &Call,
        operations: Vec<Operation>,
        token: Option<String>,
    ) -> Result<(), Error> {
        let sealing = operations
            .iter()
            .map(|operation| self.transact_item(call, operation));
        let items = try_join_all(sealing).await?;
        let bytes: usize = items.iter().map(item_bytes).sum();
        if bytes > MAX_BYTES {
            let description = format!("would take {bytes} bytes, more than DynamoDB's {MAX_BYTES}");
            return Err(Error::Invalid(Fault::new("operations", description).into()));
        }
        let sent = self.stores().dynamodb.transact_write_items(call, items, token);
        match sent.await {
            Ok(()) => Ok(()),
            Err(aws::Error {
                kind: Kind::TransactionCancelled { reasons },
                ..
            }) => {
                let refused = reasons.into_iter().zip(&operations).enumerate();
                let opening = refused.filter_map(|(index, (refusal, operation))| {
                    Some(self.refused(call, index, refusal?, operation))
                });
                Err(Error::Cancelled(join_all(opening).await))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn transact_item(&self, call: &Call, operation: &Operation) -> Result<TransactItem, Error> {
        let Operation { model, key, .. } = operation;
        let Condition { text, names, values } = operation.condition.clone().unwrap_or_default();
        let condition = Some(text).filter(|text| !text.is_empty());
        let item = match &operation.change {
            Change::Put(item) => item,
            change @ (Change::Delete | Change::Check) => {
                let on = TransactKey {
                    table: model.table.clone(),
                    key: key.item(),
                    update: None,
                    condition,
                    names,
                    values,
                };
                return Ok(match change {
                    Change::Check => TransactItem::Check(on),
                    Change::Delete | Change::Put(_) => TransactItem::Delete(on),
                });
            }
        };
        // each item has a data key for itself
        let keys = self.keyring().for_call(call);
        Ok(TransactItem::Put(PutItem {
            table: model.table.clone(),
            item: seal(model, item.clone(), &keys).await?,
            condition,
            names,
            values,
            return_old: false,
        }))
    }

    async fn refused(
        &self,
        call: &Call,
        index: usize,
        refusal: Refusal,
        operation: &Operation,
    ) -> RefusedOperation {
        let (refusal, item) = match refusal {
            Refusal::ConditionFailed { item } => {
                let refusal = match unmet(&operation.model, operation.version, item.as_ref()) {
                    Some(Error::AlreadyExists { .. }) => OperationRefusal::AlreadyExists,
                    Some(Error::VersionMismatch { .. }) => OperationRefusal::VersionMismatch,
                    Some(_) | None => OperationRefusal::ConditionFailed,
                };
                (refusal, item)
            }
            Refusal::Conflict => (OperationRefusal::Conflict, None),
            Refusal::TooLarge => (OperationRefusal::TooLarge, None),
            Refusal::Throttled => (OperationRefusal::Throttled, None),
            Refusal::Invalid => (OperationRefusal::Invalid, None),
        };
        let current = match item.filter(|_| operation.return_old) {
            Some(item) => open_old(self.keyring(), call, &operation.model, item).await,
            None => None,
        };
        RefusedOperation {
            index,
            refusal,
            current,
        }
    }
}

/// The bytes of an operation that count towards the limit of a transaction.
fn item_bytes(item: &TransactItem) -> usize {
    match item {
        TransactItem::Put(put) => stored_bytes(&put.item),
        TransactItem::Update(on) | TransactItem::Delete(on) | TransactItem::Check(on) => {
            stored_bytes(&on.key)
        }
    }
}
