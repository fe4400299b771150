//! `batch-write`: saves or deletes the items of a file concurrently. Items that fail go to a file, and the position up to
//! which every item has a result is kept in another, so that an interrupted run can be continued.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;

use futures::future::{Either, select};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::Semaphore;
use tollgate_client::{BatchResults, BatchWriter, CallMetrics, Client, Error, Item, Model, Value, Write};

use super::args::BatchWrite;
use super::checkpoint::{Checkpoint, Position};
use super::error_text::described;
use super::failure::{Failure, Outcome};
use super::items::Found;
use super::output::{Listed, Output};
use super::progress::Progress;
use super::records::Records;
use super::rejects::Rejects;
use super::{connection, input, keys, save};

/// Writes of one call. Another call follows, so that none reaches the server's limit on the time of streams.
const CALL_ITEMS: u64 = 100_000;
/// Memory for writes without a result, in KiB.
const IN_FLIGHT_KIB: u32 = 64 * 1024;
/// The least that one of them counts, which limits their number.
const LEAST_KIB: u32 = 16;
/// Failures that are printed; further ones are counted.
const MAX_PRINTED: u64 = 20;
/// Failures in the JSON object.
const MAX_ERRORS: usize = 1000;

impl BatchWrite {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
        is_quiet: bool,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let arguments = input::attributes(&model, &self.attributes).await?;
        input::check_names(&model, self.omit.iter().map(String::as_str))?;
        let mut records = Records::open(&model, &self.file, self.format)?;
        let verb = if self.delete { "delete" } else { "save" };
        let of = format!("batch-write {} {verb} {}", model.name, records.name());
        let (checkpoint, position) = Checkpoint::open(self.checkpoint.clone(), of)?;
        skip(&mut records, position.items).await?;
        let rejects = Rejects::open(self.rejects.as_deref(), position.items > 0)?;
        let job = Job {
            client,
            model: &model,
            arguments,
            omit: &self.omit,
            is_delete: self.delete,
            progress: Progress::of_file(&self.file, is_quiet),
            permits: Semaphore::new(IN_FLIGHT_KIB as usize),
            sent: RefCell::default(),
        };
        let mut done = Done {
            checkpoint,
            position,
            rejects,
            errors: Vec::new(),
            metrics: CallMetrics::default(),
        };
        let ended = job.run(&mut records, &mut done, output).await;
        job.progress.end();
        done.finish(&job, records.name(), ended, output)
    }
}

/// Skips what an earlier run has done.
async fn skip(records: &mut Records<'_>, items: u64) -> Result<(), Failure> {
    for _ in 0..items {
        if records.next().await?.is_none() {
            let name = records.name();
            let what = format!("{name}: has fewer items than the checkpoint says: was it changed?");
            return Err(Failure::Arguments(what));
        }
    }
    Ok(())
}

/// What all writes of a command share.
struct Job<'a> {
    client: &'a Client,
    model: &'a Model,
    /// Attributes that override those of every item.
    arguments: Item,
    omit: &'a [String],
    is_delete: bool,
    progress: Progress,
    permits: Semaphore,
    sent: RefCell<InFlight>,
}

/// The writes of the current call that have no result yet.
#[derive(Default)]
struct InFlight {
    by_index: BTreeMap<u64, Sent>,
    /// The writes that were sent.
    count: u64,
    /// The bytes of the file that were read.
    bytes: u64,
}

/// An item as it is in the file.
struct Sent {
    found: Found,
    kib: u32,
}

/// What is known about the results.
struct Done {
    checkpoint: Checkpoint,
    position: Position,
    rejects: Rejects,
    errors: Vec<Value>,
    metrics: CallMetrics,
}

impl Job<'_> {
    async fn run(
        &self,
        records: &mut Records<'_>,
        done: &mut Done,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        while !self.call(records, done, output).await? {}
        Ok(())
    }

    /// Makes one call. Returns whether it has sent the last item.
    async fn call(
        &self,
        records: &mut Records<'_>,
        done: &mut Done,
        output: &mut Output<'_>,
    ) -> Result<bool, Failure> {
        self.sent.replace(InFlight {
            bytes: records.bytes(),
            ..InFlight::default()
        });
        let start = done.position.items;
        let (writer, mut results) = self.client.batch_writer();
        let (fed, drained) = {
            let feeding = pin!(self.feed(records, writer));
            let draining = pin!(self.drain(start, &mut results, done, output));
            both(feeding, draining).await
        };
        done.metrics.add(results.metrics().clone());
        drained?;
        match fed {
            Some(fed) => fed,
            // the server does not end a call before its last write
            None => Err(Failure::Arguments("the server ended the call early".to_owned())),
        }
    }

    /// Sends items while there is space for them. Returns whether there are no more.
    async fn feed(&self, records: &mut Records<'_>, mut writer: BatchWriter) -> Result<bool, Failure> {
        for index in 0..CALL_ITEMS {
            let before = records.bytes();
            let Some(found) = records.next().await? else {
                return Ok(true);
            };
            let write = self.write(&found)?;
            let kib = u32::try_from((records.bytes() - before) / 1024).unwrap_or(u32::MAX);
            let kib = kib.clamp(LEAST_KIB, IN_FLIGHT_KIB);
            let Ok(permit) = self.permits.acquire_many(kib).await else {
                return Ok(false);
            };
            permit.forget();
            {
                let mut sent = self.sent.borrow_mut();
                sent.by_index.insert(index, Sent { found, kib });
                sent.count = index + 1;
                sent.bytes = records.bytes();
            }
            if writer.send(write).await.is_err() {
                // the results say why
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn write(&self, found: &Found) -> Result<Write, Failure> {
        let mut found_item = save::checked(self.model, &self.arguments, found)?;
        for name in self.omit {
            found_item.remove(name);
        }
        let item = save::prepared(found_item, &self.arguments);
        Ok(match self.is_delete {
            true => Write::delete(&self.model.name, keys::split(self.model, item).0)?,
            false => Write::save(&self.model.name, &item)?,
        })
    }

    /// Reads the results of a call that began after `start` items.
    async fn drain(
        &self,
        start: u64,
        results: &mut BatchResults,
        done: &mut Done,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        while let Some(result) = results.next().await {
            let (index, error) = match result {
                Ok(written) => (written.index, None),
                Err(error) if error.is_of_item() => (error.index().unwrap_or(usize::MAX), Some(error)),
                Err(error) => return Err(error.into()),
            };
            let sent = self.sent.borrow_mut().by_index.remove(&(index as u64));
            if let Some(sent) = &sent {
                self.permits.add_permits(sent.kib as usize);
            }
            if let (Some(error), Some(sent)) = (error, sent) {
                self.failed(&error, sent.found, done, output)?;
            }
            let (first_waiting, bytes) = self.sent.borrow().first_waiting();
            done.position.items = start + first_waiting;
            let Position { items, failed, .. } = &done.position;
            self.progress
                .show(bytes, format!("{items} items, {failed} of them failed"));
            if done.checkpoint.is_due() {
                done.keep()?;
            }
        }
        Ok(())
    }

    fn failed(
        &self,
        error: &Error,
        found: Found,
        done: &mut Done,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        done.position.failed += 1;
        if done.errors.len() < MAX_ERRORS {
            done.errors.push(described(error));
        }
        let place = found.place.clone();
        done.rejects.add(self.model, found.item)?;
        self.progress.suspend(|| {
            if done.position.failed <= MAX_PRINTED {
                output.bad_item(error, &mut Listed::default())?;
                output.remark(&format!("  {place}"))?;
            }
            if done.position.failed == MAX_PRINTED + 1 {
                output.remark("further failures are only counted")?;
            }
            Ok(())
        })
    }
}

impl InFlight {
    /// The index of the first write without a result, and the bytes that were read.
    fn first_waiting(&self) -> (u64, u64) {
        let first = self.by_index.keys().next().copied();
        (first.unwrap_or(self.count), self.bytes)
    }
}

impl Done {
    /// Keeps the position. The rejects are written before, so that none is lost.
    fn keep(&mut self) -> Result<(), Failure> {
        self.rejects.flush()?;
        self.checkpoint.keep(&self.position)
    }

    fn finish(
        mut self,
        job: &Job<'_>,
        name: &str,
        ended: Result<(), Failure>,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let Position { items, failed, .. } = self.position;
        let unknown = job.sent.borrow().by_index.len();
        if let Err(failure) = ended {
            self.keep()?;
            let mut place = format!("{items} items of {name} are done, {failed} of them failed");
            if unknown > 0 {
                place.push_str(&format!("; up to {unknown} more may have been written"));
            }
            return Err(match failure {
                Failure::Call(error) => Failure::Placed(error.with_bill(self.metrics), place),
                Failure::Arguments(what) if items > 0 => Failure::Arguments(format!("{what}\n{place}")),
                other => other,
            });
        }
        self.rejects.flush()?;
        self.checkpoint.end()?;
        if items == 0 {
            return Err(Failure::Arguments(format!("{name}: has no item")));
        }
        let verb = if job.is_delete { "deleted" } else { "saved" };
        let text = format!("{} {verb}, {failed} failed\n", items - failed);
        let response = Item::from([
            (verb.to_owned(), (items - failed).into()),
            ("failed".to_owned(), failed.into()),
            ("errors".to_owned(), self.errors.into()),
        ]);
        output.message(&text, response, Some(&self.metrics))?;
        Ok(match failed {
            0 => Outcome::Done,
            _ => Outcome::ItemsFailed,
        })
    }
}

/// Runs both; ends when the second one has ended, whether or not the first has.
async fn both<A, B>(
    first: impl Future<Output = A> + Unpin,
    second: impl Future<Output = B> + Unpin,
) -> (Option<A>, B) {
    match select(first, second).await {
        Either::Left((first, second)) => (Some(first), second.await),
        Either::Right((second, first)) => {
            // it may have ended at the same time
            let first = futures::FutureExt::now_or_never(first);
            (first, second)
        }
    }
}
