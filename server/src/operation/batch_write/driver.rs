//! Reads the writes of a stream and makes them: plain writes in batches, the others each for itself, and those to one item
//! one after the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::super::authorize::Authorizing;
use super::super::delete::{self, CheckedDelete, check_single_delete};
use super::super::error::Error;
use super::super::gateway::Gateway;
use super::super::save::{self, CheckedSave, Saved, check_single_save};
use super::super::update::{Update, Updated, update_authorized};
use super::writes::{BatchWrite, BatchWritten, BatchedWrite, Writes, Written};
use crate::call::Call;
use crate::capacity::{OutOfMemory, Reservation};
use crate::fault::Fault;
use crate::item::load::readable;
use crate::item::{ItemId, Key, check};
use crate::model::limits::MAX_ITEM_BYTES;
use crate::model::size::stored_bytes;
use crate::model::{Item, Model, ReturnValues};
use crate::policy::Action;
use crate::read;
use crate::write::{Contents, Identity, PlainWrite};

/// Writes of one batch, DynamoDB's limit.
const MAX_BATCH: usize = 25;
/// Batches and single writes in progress.
const MAX_RUNNING: usize = 16;
/// Writes that wait for another one to their item.
const MAX_WAITING: usize = 1000;
/// How long an incomplete batch waits for more writes.
const BATCH_WAIT: Duration = Duration::from_millis(1);
/// A write needs about this many times its message while it is made: decoded, checked, encrypted and sent.
const COPIES: usize = 4;

/// Makes the writes of one stream.
pub(super) struct Driver {
    gateway: Arc<Gateway>,
    call: Call,
    writes: Option<Writes>,
    results: mpsc::Sender<BatchWritten>,
    next_index: u64,
    /// The items that are being written, each with the writes that wait for it.
    busy: HashMap<ItemId, VecDeque<Pending>>,
    waiting: usize,
    batch: Vec<Pending>,
    running: FuturesUnordered<BoxFuture<'static, Vec<Done>>>,
}

/// A write that passed its checks.
struct Pending {
    index: u64,
    item: ItemId,
    work: Work,
    memory: Reservation,
}

enum Work {
    Save(CheckedSave, Option<Identity>, ReturnValues),
    Update(Box<Update>),
    Delete(CheckedDelete, Option<Identity>, bool),
}

/// A write that was made.
struct Done {
    index: u64,
    item: ItemId,
    outcome: Result<Written, Error>,
    memory: Reservation,
}

impl Driver {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        call: Call,
        writes: Writes,
        results: mpsc::Sender<BatchWritten>,
    ) -> Driver {
        Driver {
            gateway,
            call,
            writes: Some(writes),
            results,
            next_index: 0,
            busy: HashMap::new(),
            waiting: 0,
            batch: Vec::new(),
            running: FuturesUnordered::new(),
        }
    }

    /// Runs until all writes have their results, or the caller disconnects and those that were read are made.
    pub(super) async fn run(mut self) {
        loop {
            let may_read = self.running.len() < MAX_RUNNING && self.waiting < MAX_WAITING;
            let is_idle = self.running.is_empty() && self.batch.is_empty();
            if self.writes.is_none() && is_idle {
                return;
            }
            tokio::select! {
                biased;
                Some(done) = self.running.next() => self.finish(done).await,
                () = self.results.closed(), if self.writes.is_some() => self.writes = None,
                write = next(&mut self.writes), if may_read && self.writes.is_some() => match write {
                    Some(write) => self.accept(write).await,
                    None => {
                        self.writes = None;
                        self.send_batch();
                    }
                },
                () = tokio::time::sleep(BATCH_WAIT), if !self.batch.is_empty() => self.send_batch(),
            }
        }
    }

    /// Checks a write and begins it, unless its item is busy.
    async fn accept(&mut self, arrived: BatchedWrite) {
        let index = self.next_index;
        self.next_index += 1;
        let checked = match arrived.write {
            Ok(write) => check_write(&Arc::clone(&self.gateway), &self.call.clone(), write).await,
            Err(error) => Err(error),
        };
        let (item, work) = match checked {
            Ok(checked) => checked,
            Err(error) => return self.report(index, Err(error), Reservation::default()).await,
        };
        let bytes = arrived
            .message_bytes
            .saturating_mul(COPIES)
            .max(work.returned_bytes());
        let memory = match self.reserve(arrived.message_bytes, bytes).await {
            Ok(memory) => memory,
            Err(error) => {
                let error = Error::Read(read::Error::OutOfMemory(error));
                return self.report(index, Err(error), Reservation::default()).await;
            }
        };
        let pending = Pending {
            index,
            item,
            work,
            memory,
        };
        if let Some(queue) = self.busy.get_mut(&pending.item) {
            self.waiting += 1;
            queue.push_back(pending);
            return;
        }
        self.busy.insert(pending.item.clone(), VecDeque::new());
        self.begin(pending);
    }

    /// Waits for the memory of a write while the others go on: they are what frees it.
    async fn reserve(&mut self, least: usize, bytes: usize) -> Result<Reservation, OutOfMemory> {
        let Some(hold) = self.call.hold().cloned() else {
            return Ok(Reservation::default());
        };
        let mut reserving = hold.reserve_estimate(least, bytes);
        loop {
            tokio::select! {
                biased;
                reserved = &mut reserving => return reserved,
                () = self.results.closed() => return Err(OutOfMemory),
                Some(done) = self.running.next() => self.finish(done).await,
                () = tokio::time::sleep(BATCH_WAIT), if !self.batch.is_empty() => self.send_batch(),
            }
        }
    }

    /// Begins a write whose item is not busy.
    fn begin(&mut self, pending: Pending) {
        if pending.work.is_plain() {
            self.batch.push(pending);
            if self.batch.len() >= MAX_BATCH {
                self.send_batch();
            }
            return;
        }
        let (gateway, call) = (Arc::clone(&self.gateway), self.call.clone());
        self.spawn(async move {
            let Pending {
                index,
                item,
                work,
                memory,
            } = pending;
            let outcome = work.run(&gateway, &call).await;
            vec![Done {
                index,
                item,
                outcome,
                memory,
            }]
        });
    }

    fn send_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let (gateway, call) = (Arc::clone(&self.gateway), self.call.clone());
        self.spawn(async move {
            let (mut writes, mut saved) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
            for pending in batch {
                let (write, written) = pending.work.into_plain(&call);
                writes.extend(write);
                saved.push((pending.index, pending.item, written, pending.memory));
            }
            let outcomes = gateway.committer.batch(&call, writes).await;
            saved
                .into_iter()
                .zip(outcomes)
                .map(|((index, item, written, memory), outcome)| Done {
                    index,
                    item,
                    outcome: outcome.map(|()| written).map_err(Error::from),
                    memory,
                })
                .collect()
        });
    }

    /// Runs a write to completion, also while this driver waits for the caller.
    fn spawn(&self, work: impl Future<Output = Vec<Done>> + Send + 'static) {
        let trace = self.call.trace().clone();
        let task = self
            .gateway
            .committer
            .spawn(async move { trace.scope(work).await });
        self.running.push(Box::pin(async move {
            match task.await {
                Ok(done) => done,
                Err(failure) => match failure.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // the runtime ends: nobody reads the results
                    Err(_dropped) => Vec::new(),
                },
            }
        }));
    }

    /// Reports finished writes, and begins those that waited for their items.
    async fn finish(&mut self, done: Vec<Done>) {
        for done in done {
            match self.busy.get_mut(&done.item).and_then(VecDeque::pop_front) {
                Some(next) => {
                    self.waiting -= 1;
                    self.begin(next);
                }
                None => {
                    self.busy.remove(&done.item);
                }
            }
            self.report(done.index, done.outcome, done.memory).await;
        }
    }

    async fn report(&mut self, index: u64, outcome: Result<Written, Error>, mut memory: Reservation) {
        memory.shrink(outcome.as_ref().map_or(0, Written::bytes));
        let result = BatchWritten {
            index,
            outcome,
            memory,
        };
        // the caller may have disconnected
        let _ = self.results.send(result).await;
    }
}

/// Checks a write.
async fn check_write(gateway: &Gateway, call: &Call, write: BatchWrite) -> Result<(ItemId, Work), Error> {
    let asking = Authorizing::within(gateway, call, Action::BatchWrite);
    match write {
        BatchWrite::Save(mut save) => {
            let outcome = save.authorize(asking);
            asking.part(outcome, &save.model, &save.item)?;
            reject_validate_only(save.validate_only, "save")?;
            let return_values = save.return_values;
            let (checked, identity) = check_single_save(gateway, call, save).await?;
            let item = ItemId::of_request(&checked.model, &checked.item)
                .ok_or(Error::Internal("a checked item lacks its key"))?;
            Ok((item, Work::Save(checked, identity, return_values)))
        }
        BatchWrite::Update(mut update) => {
            let outcome = update.authorize(asking);
            asking.part(outcome, &update.model, &update.key)?;
            reject_validate_only(update.validate_only, "update")?;
            let key = check::check_key(&update.model, update.key.clone(), "key").map_err(Error::Invalid)?;
            let item = ItemId::new(&update.model.table, &key);
            Ok((item, Work::Update(Box::new(update))))
        }
        BatchWrite::Delete(mut delete) => {
            let outcome = delete.authorize(asking);
            asking.part(outcome, &delete.model, &delete.key)?;
            reject_validate_only(delete.validate_only, "delete")?;
            let return_old = delete.return_old;
            let (checked, identity) = check_single_delete(gateway, call, delete)?;
            let item = ItemId::new(&checked.model.table, &checked.key);
            Ok((item, Work::Delete(checked, identity, return_old)))
        }
    }
}

async fn next(writes: &mut Option<Writes>) -> Option<BatchedWrite> {
    writes.as_mut()?.next().await
}

fn reject_validate_only(validate_only: bool, kind: &str) -> Result<(), Error> {
    match validate_only {
        false => Ok(()),
        true => {
            let fault = Fault::new(format_args!("{kind}.validate_only"), "must be unset in a batch");
            Err(Error::Invalid(fault.into()))
        }
    }
}

impl Work {
    /// Whether BatchWriteItem can make it.
    fn is_plain(&self) -> bool {
        match self {
            Work::Save(checked, identity, return_values) => {
                checked.condition.is_none()
                    && identity.is_none()
                    && *return_values != ReturnValues::AllOld
                    && !has_objects(&checked.model)
            }
            Work::Update(_) => false,
            Work::Delete(checked, identity, return_old) => {
                checked.condition.is_none()
                    && identity.is_none()
                    && !return_old
                    && !has_objects(&checked.model)
            }
        }
    }

    /// The most bytes of stored items that its result may hold.
    fn returned_bytes(&self) -> usize {
        let returns_old = match self {
            Work::Save(_, _, return_values) => *return_values == ReturnValues::AllOld,
            Work::Update(update) => update.return_values != ReturnValues::None,
            Work::Delete(_, _, return_old) => *return_old,
        };
        if returns_old { MAX_ITEM_BYTES } else { 0 }
    }

    /// The plain write, and what it will have done.
    fn into_plain(self, call: &Call) -> (Option<PlainWrite>, Written) {
        match self {
            Work::Save(checked, _, return_values) => {
                let item = (return_values == ReturnValues::AllNew)
                    .then(|| readable(&checked.model, checked.item.clone()));
                let model = Arc::clone(&checked.model);
                let write = Key::from_request(&checked.model, &checked.item).map(|key| PlainWrite {
                    model: checked.model,
                    key,
                    item: Some(checked.item),
                });
                let saved = Saved {
                    generated: checked.generated,
                    item,
                    ..Saved::default()
                };
                (write, Written::Saved(saved.seen_by(&model).recorded(call)))
            }
            // it is not plain
            Work::Update(_) => (None, Written::Updated(Updated::default())),
            Work::Delete(checked, _, _) => {
                let write = PlainWrite {
                    model: checked.model,
                    key: checked.key,
                    item: None,
                };
                (Some(write), Written::Deleted(None))
            }
        }
    }

    /// Makes a single write.
    async fn run(self, gateway: &Gateway, call: &Call) -> Result<Written, Error> {
        match self {
            Work::Save(checked, identity, return_values) => {
                save::commit(gateway, call, checked, identity, return_values, Contents::new())
                    .await
                    .map(Written::Saved)
            }
            Work::Update(request) => {
                let updated = update_authorized(gateway, call, *request).await;
                updated.map(Written::Updated)
            }
            Work::Delete(checked, identity, return_old) => {
                delete::commit(gateway, call, checked, identity, return_old)
                    .await
                    .map(Written::Deleted)
            }
        }
    }
}

impl Written {
    /// The size of the items that it holds.
    fn bytes(&self) -> usize {
        let of = |item: Option<&Item>| item.map_or(0, stored_bytes);
        match self {
            Written::Saved(saved) => {
                of(Some(&saved.generated))
                    + of(saved.item.as_ref())
                    + of(saved.old_item.as_ref().map(|old| &old.item))
            }
            Written::Updated(updated) => {
                of(updated.old_item.as_ref().map(|old| &old.item))
                    + of(updated.item.as_ref().map(|item| &item.item))
            }
            Written::Deleted(old) => of(old.as_ref().map(|old| &old.item)),
        }
    }
}

fn has_objects(model: &Model) -> bool {
    model.attributes.iter().any(|attribute| attribute.s3.is_some())
}
