//! Plain writes in batches: whole items and deletions without a condition, of models without objects. One BatchWriteItem
//! for up to [`MAX_WRITES`](aws::MAX_WRITES) different items; each write succeeds or fails for itself.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;

use crate::aws::{self, BatchWrite, DeleteItem, DynamoDb, Kind, PutItem};
use crate::call::{Backoff, Call};
use crate::figure::AwsOperation;
use crate::item::protect::Sealer;
use crate::item::store::seal;
use crate::item::{ItemId, Key, tenant};
use crate::model::{ITEM_SEAL, Item, Model};

use super::committer::Committer;
use super::error::Error;

/// One plain write.
pub struct PlainWrite {
    /// The item's model, which has no object attributes.
    pub model: Arc<Model>,
    /// The item's key.
    pub key: Key,
    /// The checked item; `None` deletes it.
    pub item: Option<Item>,
}

/// A write that has no outcome.
struct Pending {
    /// Its place in the batch.
    index: usize,
    id: ItemId,
    write: BatchWrite,
}

/// The outcomes of a batch.
type Outcomes = Vec<Result<(), Error>>;

impl Committer {
    /// Makes plain writes of different items. Returns the outcome of each.
    pub async fn batch(&self, call: &Call, writes: Vec<PlainWrite>) -> Outcomes {
        let models: Vec<_> = writes.iter().map(|write| Arc::clone(&write.model)).collect();
        let ids: Vec<_> = writes
            .iter()
            .map(|write| ItemId::new(&write.model.table, &write.key))
            .collect();
        let stored = join_all(writes.into_iter().map(|write| self.stored(call, write))).await;
        let (mut pending, mut outcomes) = (Vec::with_capacity(ids.len()), Outcomes::new());
        for (index, (id, stored)) in ids.into_iter().zip(stored).enumerate() {
            outcomes.push(stored.map(|write| pending.push(Pending { index, id, write })));
        }
        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            backoff.wait(call).await;
            let requested = pending.iter().map(|pending| pending.write.clone()).collect();
            let left = match self.stores().dynamodb.batch_write_item(call, requested).await {
                Ok(left) => left,
                Err(error) if pending.len() > 1 && is_of_one_write(&error.kind) => {
                    return self.one_by_one(call, pending, outcomes).await;
                }
                Err(error) => {
                    fail_all(pending, &error, &mut outcomes);
                    break;
                }
            };
            let before = pending.len();
            let ids: HashSet<ItemId> = left.iter().filter_map(|write| id_of(&models, write)).collect();
            pending.retain(|pending| ids.contains(&pending.id));
            if pending.is_empty() {
                break;
            }
            call.add_throttled();
            match backoff.next(pending.len() < before, call.deadline()) {
                Some(next) => backoff = next,
                None => {
                    fail_all(pending, &unprocessed_error(), &mut outcomes);
                    break;
                }
            }
        }
        outcomes
    }

    /// The write as it is sent: encrypted.
    async fn stored(&self, call: &Call, write: PlainWrite) -> Result<BatchWrite, Error> {
        let PlainWrite { model, key, item } = write;
        tenant::check(&model, call, &key)?;
        let table = model.table.clone();
        let Some(item) = item else {
            let key = key.item();
            return Ok(BatchWrite::Delete { table, key });
        };
        // each item has a data key for itself
        let keys = self.keyring().for_call(call);
        let mut item = seal(&model, item, &keys).await?;
        if let Some(sealer) = Sealer::new(&model, &key, &keys).await? {
            sealer.check_size(&item)?;
            let seal = sealer.seal(&model, &item)?;
            item.insert(ITEM_SEAL.to_owned(), seal);
        }
        Ok(BatchWrite::Put { table, item })
    }

    /// Makes the writes of a batch that DynamoDB refused as a whole: only some of them may be invalid.
    async fn one_by_one(&self, call: &Call, pending: Vec<Pending>, mut outcomes: Outcomes) -> Outcomes {
        let dynamodb = &self.stores().dynamodb;
        let writing = pending
            .into_iter()
            .map(|Pending { index, write, .. }| async move { (index, send(dynamodb, call, write).await) });
        for (index, outcome) in join_all(writing).await {
            outcomes[index] = outcome.map_err(Error::from);
        }
        outcomes
    }
}

async fn send(dynamodb: &DynamoDb, call: &Call, write: BatchWrite) -> Result<(), aws::Error> {
    match write {
        BatchWrite::Put { table, item } => {
            let put = PutItem {
                table,
                item,
                ..PutItem::default()
            };
            dynamodb.put_item(call, put).await.map(drop)
        }
        BatchWrite::Delete { table, key } => {
            let delete = DeleteItem {
                table,
                key,
                ..DeleteItem::default()
            };
            dynamodb.delete_item(call, delete).await.map(drop)
        }
    }
}

/// The identity of a write that DynamoDB left unprocessed. The models of a table have the same key attributes.
fn id_of(models: &[Arc<Model>], left: &BatchWrite) -> Option<ItemId> {
    let of_table = models.iter().find(|model| model.table == left.table())?;
    ItemId::of_stored(of_table, left.item())
}

fn fail_all(pending: Vec<Pending>, error: &aws::Error, outcomes: &mut Outcomes) {
    for Pending { index, .. } in pending {
        outcomes[index] = Err(Error::Store(error.clone()));
    }
}

/// Whether the error may concern only one write or table of the batch.
fn is_of_one_write(kind: &Kind) -> bool {
    match kind {
        Kind::Missing { .. } | Kind::Denied | Kind::TooLarge | Kind::Refused => true,
        Kind::ConditionFailed { .. }
        | Kind::TransactionCancelled { .. }
        | Kind::Conflict
        | Kind::TokenMismatch
        | Kind::Throttled
        | Kind::KeyUnusable
        | Kind::InvalidCiphertext
        | Kind::IncorrectKey
        | Kind::UnknownKey
        | Kind::Unavailable
        | Kind::OutcomeUnknown
        | Kind::Deadline { .. } => false,
    }
}

/// The error of a write that was not made within the deadline.
fn unprocessed_error() -> aws::Error {
    aws::Error {
        kind: Kind::Throttled,
        operation: AwsOperation::BatchWriteItem,
        request_id: None,
        doubt: aws::Doubt::None,
        endpoint: None,
        cause: "DynamoDB left the write unprocessed until the deadline".into(),
    }
}
