//! Reads items by their keys in batches: one stream of messages over the chunks of a request. Reads with the same table,
//! projection and consistency share requests, and equal keys are read once. A chunk is fetched when the caller takes the
//! results of the one before; up to [`CHUNKS_IN_FLIGHT`] are fetched in parallel, as far as their memory is free.
//!
//! What DynamoDB leaves unprocessed is read again after a backoff, within the deadline of the call.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::batch_plan::{Chunk, Plan};
use super::error::Error;
use super::get::Get;
use super::memory::{MESSAGE_BYTES, PAGE_COPIES, PageMemory, reserve_page, try_reserve_page};
use super::opener::{Found, Opener};
use super::reader::Reader;
use crate::aws::{self, BatchGot, Doubt, Kind};
use crate::call::Call;
use crate::capacity::Reservation;
use crate::figure::AwsOperation;
use crate::item::load::Opened;
use crate::item::tenant::{self, TenantError};
use crate::model::limits::MAX_ITEM_BYTES;
use crate::model::size::stored_bytes;

/// Chunks that are fetched in parallel.
const CHUNKS_IN_FLIGHT: usize = 4;
/// DynamoDB's limit for the response of a BatchGetItem.
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;
/// Items opened in parallel; their KMS requests have a separate limit.
const ITEMS_IN_FLIGHT: usize = 64;

/// The result of one read: its index in the request, and the item or why there is none.
pub type BatchResult = (usize, Result<Opened, Error>);

/// One message of the stream.
pub struct BatchPart {
    /// In any order; each read has one result in one of the messages.
    pub results: Vec<BatchResult>,
    /// The memory that the message occupies until it is encoded.
    pub memory: PageMemory,
}

struct Batch {
    reader: Reader,
    call: Call,
    plan: Plan,
    openers: Vec<Opener>,
    waiting: VecDeque<Chunk>,
    fetching: FuturesUnordered<BoxFuture<'static, Fetched>>,
    current: Option<Current>,
    /// Why nothing may be read.
    refused: Option<TenantError>,
    finished: bool,
}

/// What the store returned for a chunk.
struct Fetched {
    chunk: Chunk,
    got: Result<BatchGot, aws::Error>,
    memory: Reservation,
}

/// Results that have not been sent.
struct Current {
    /// Reads with the item that they found, if any, and its size. The items of equal reads are copied one message at a time.
    found: VecDeque<(Vec<usize>, Found, usize)>,
    memory: PageMemory,
}

impl Reader {
    /// Streams the results of checked reads. Nothing is fetched before the stream is polled.
    pub fn batch_get(
        &self,
        call: &Call,
        gets: Vec<Get>,
    ) -> impl Stream<Item = Result<BatchPart, Error>> + Send + use<> {
        let batch = Batch::new(self, call, gets);
        stream::unfold(batch, |mut batch| async move {
            let part = batch.next().await.transpose()?;
            batch.finished |= part.is_err();
            Some((part, batch))
        })
    }
}

impl Batch {
    fn new(reader: &Reader, call: &Call, gets: Vec<Get>) -> Batch {
        let keys = reader.keyring.for_call(call);
        let mut checks = gets
            .iter()
            .map(|get| tenant::check(&get.view.model, call, &get.key));
        let refused = checks.find_map(Result::err);
        let (plan, views, chunks) = Plan::new(gets);
        let openers = views
            .into_iter()
            .map(|view| Opener::with_keys(reader, call, view, keys.clone()))
            .collect();
        Batch {
            reader: reader.clone(),
            call: call.clone(),
            plan,
            openers,
            waiting: chunks.into(),
            fetching: FuturesUnordered::new(),
            current: None,
            refused,
            finished: false,
        }
    }

    async fn next(&mut self) -> Result<Option<BatchPart>, Error> {
        if let Some(refused) = self.refused.take() {
            return Err(refused.into());
        }
        loop {
            if self.finished {
                return Ok(None);
            }
            if let Some(current) = self.current.take() {
                return self.message(current).await.map(Some);
            }
            self.begin_fetching().await?;
            let Some(fetched) = self.fetching.next().await else {
                return Ok(None);
            };
            let current = self.accept(fetched);
            self.current = (!current.found.is_empty()).then_some(current);
        }
    }

    /// Fetches the waiting chunks, as far as there is room. Waits for the room of the first one, and until the caller is no
    /// longer in debt.
    async fn begin_fetching(&mut self) -> Result<(), Error> {
        while self.fetching.len() < CHUNKS_IN_FLIGHT
            && let Some(chunk) = self.waiting.front()
        {
            let bytes = memory_bytes(chunk);
            let memory = match self.fetching.is_empty() {
                true => {
                    self.call.wait_for_debt().await;
                    Some(reserve_page(&self.call, bytes).await?)
                }
                false if self.call.is_in_debt() => None,
                false => try_reserve_page(&self.call, bytes),
            };
            let (Some(memory), Some(chunk)) = (memory, self.waiting.pop_front()) else {
                break;
            };
            let (dynamodb, call) = (self.reader.stores.dynamodb.clone(), self.call.clone());
            let request = self.plan.request(&chunk);
            self.fetching.push(Box::pin(async move {
                chunk.backoff.wait(&call).await;
                let got = dynamodb.batch_get_item(&call, request).await;
                Fetched { chunk, got, memory }
            }));
        }
        Ok(())
    }

    /// Takes what a chunk returned; what is left of it waits for another request.
    fn accept(&mut self, fetched: Fetched) -> Current {
        let Fetched { chunk, got, memory } = fetched;
        let mut found = VecDeque::new();
        match got {
            Ok(got) => self.take(&chunk, got, &mut found),
            Err(error) => match self.plan.split(&chunk) {
                // the other tables of the request may exist
                Some(parts) if matches!(error.kind, Kind::Missing { .. } | Kind::Refused) => {
                    self.waiting.extend(parts);
                }
                Some(_) | None => {
                    let reads = chunk.targets.iter().map(|&target| self.plan.take_reads(target));
                    found.extend(reads.map(|reads| (reads, Err(error.clone()), 0)));
                }
            },
        }
        let bytes: usize = found.iter().map(|(_, _, bytes)| bytes).sum();
        Current {
            found,
            memory: PageMemory::for_page(memory, bytes, bytes as u64),
        }
    }

    fn take(&mut self, chunk: &Chunk, got: BatchGot, found: &mut VecDeque<(Vec<usize>, Found, usize)>) {
        let mut missing = Missing::new(&chunk.targets);
        let some_were_read = got.unprocessed.len() < chunk.targets.len();
        found.reserve(chunk.targets.len());
        for (table, items) in got.items {
            let group = self.plan.group_of(chunk, &table);
            for item in items {
                let target = group.and_then(|group| self.plan.target_of(group, &item));
                if let Some(target) = target.filter(|target| missing.remove(*target)) {
                    let bytes = stored_bytes(&item);
                    found.push_back((self.plan.take_reads(target), Ok(Some(item)), bytes));
                }
            }
        }
        let unprocessed = got.unprocessed.iter();
        let mut left: Vec<_> = unprocessed
            .filter_map(|(table, key)| self.plan.take_back(chunk, table, key))
            .filter(|target| missing.remove(*target))
            .collect();
        // DynamoDB returns no item for a key that does not exist
        for target in missing.into_rest() {
            found.push_back((self.plan.take_reads(target), Ok(None), 0));
        }
        if left.is_empty() {
            return;
        }
        self.call.add_throttled();
        match chunk.backoff.next(some_were_read, self.call.deadline()) {
            Some(backoff) => {
                self.plan.sort(&mut left);
                self.waiting.push_back(Chunk {
                    targets: left,
                    backoff,
                });
            }
            None => {
                let reads = left.into_iter().map(|target| self.plan.take_reads(target));
                found.extend(reads.map(|reads| (reads, Err(unprocessed_error()), 0)));
            }
        }
    }

    /// The next message of the current results.
    async fn message(&mut self, mut current: Current) -> Result<BatchPart, Error> {
        let (mut part, mut bytes, mut inline_bytes) = (Vec::new(), 0_u64, 0_u64);
        while let Some((reads, item, stored)) = current.found.front_mut() {
            let Some(&read) = reads.last() else {
                current.found.pop_front();
                continue;
            };
            let opener = &self.openers[self.plan.view(read)];
            let stored = *stored as u64;
            let inline = match item {
                Ok(Some(item)) if opener.view.has_content() => opener.inline_bytes(&opener.view.model, item),
                Ok(_) | Err(_) => 0,
            };
            if !part.is_empty() && bytes + stored + inline > MESSAGE_BYTES {
                break;
            }
            bytes += stored + inline;
            inline_bytes += inline;
            reads.pop();
            let item = match reads.is_empty() {
                true => current.found.pop_front().map_or(Ok(None), |(_, item, _)| item),
                false => item.clone(),
            };
            part.push((read, item));
        }
        current.memory.make_room(&self.call, inline_bytes).await?;
        let results = self.open(part).await?;
        let memory = match current.found.is_empty() {
            true => std::mem::take(&mut current.memory),
            false => current.memory.split_surplus(),
        };
        self.current = (!current.found.is_empty()).then_some(current);
        Ok(BatchPart { results, memory })
    }

    /// Opens the items of a message: at once where nothing has to be waited for, the others in parallel.
    async fn open(&mut self, part: Vec<(usize, Found)>) -> Result<Vec<BatchResult>, Error> {
        let (mut results, mut opening) = (Vec::with_capacity(part.len()), Vec::new());
        for (read, found) in part {
            let opener = &self.openers[self.plan.view(read)];
            match opener.open_at_once(found) {
                Ok(opened) => results.push((read, opened)),
                Err(found) => opening.push(async move { (read, opener.open_read(found).await) }),
            }
        }
        let mut opening = stream::iter(opening).buffer_unordered(ITEMS_IN_FLIGHT);
        while let Some((read, opened)) = opening.next().await {
            results.push((read, opened?));
        }
        Ok(results)
    }
}

/// The targets of a chunk of which nothing has been returned.
struct Missing {
    /// Ascending.
    targets: Vec<usize>,
    is_missing: Vec<bool>,
}

impl Missing {
    fn new(targets: &[usize]) -> Missing {
        let mut targets = targets.to_vec();
        targets.sort_unstable();
        Missing {
            is_missing: vec![true; targets.len()],
            targets,
        }
    }

    /// Whether a target was missing; it no longer is.
    fn remove(&mut self, target: usize) -> bool {
        let position = self.targets.binary_search(&target);
        position.is_ok_and(|position| std::mem::take(&mut self.is_missing[position]))
    }

    fn into_rest(self) -> impl Iterator<Item = usize> {
        let all = self.targets.into_iter().zip(self.is_missing);
        all.filter_map(|(target, is_missing)| is_missing.then_some(target))
    }
}

/// The most memory that the response for a chunk needs: as sent and decoded; it is opened one message at a time.
fn memory_bytes(chunk: &Chunk) -> usize {
    let response = chunk.targets.len().saturating_mul(MAX_ITEM_BYTES);
    response.min(MAX_RESPONSE_BYTES) * PAGE_COPIES / 2 + MESSAGE_BYTES as usize * 2
}

/// The error of an item that was not read within the deadline.
fn unprocessed_error() -> aws::Error {
    aws::Error {
        kind: Kind::Throttled,
        operation: AwsOperation::BatchGetItem,
        request_id: None,
        doubt: Doubt::None,
        endpoint: None,
        cause: "DynamoDB left the item unprocessed until the deadline".into(),
    }
}
