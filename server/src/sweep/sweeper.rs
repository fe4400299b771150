//! Begins sweeps in this process, one at a time, and adds up what they did.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::counts::Counts;
use super::error::Error;
use super::event::Event;
use super::options::Options;
use super::position::Mark;
use super::run::Sweep;
use crate::aws::Stores;
use crate::call::Call;
use crate::model::Served;

/// Events that may wait for their receiver.
const EVENTS: usize = 64;

/// Begins sweeps over the models being served. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sweeper {
    stores: Stores,
    models: Served,
    call: Call,
    options: Options,
    slot: Arc<Semaphore>,
    history: Arc<Mutex<History>>,
}

/// What the sweeps of this process did.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// Sweeps that ended successfully.
    pub succeeded: u64,
    /// Sweeps that failed or were stopped.
    pub failed: u64,
    /// Objects deleted by all sweeps.
    pub deleted: u64,
    /// Uploads aborted by all sweeps.
    pub aborted: u64,
    /// The sums of the last sweep that succeeded.
    pub last: Counts,
}

/// A sweep that may begin.
#[derive(Debug)]
pub struct Begun {
    sweep: Sweep,
    history: Arc<Mutex<History>>,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    slot: OwnedSemaphorePermit,
}

impl Sweeper {
    /// Sweeps over `models` that are billed to `call`; `options` are those of the settings.
    pub fn new(stores: Stores, models: Served, call: Call, options: Options) -> Sweeper {
        Sweeper {
            stores,
            models,
            call,
            options,
            slot: Arc::new(Semaphore::new(1)),
            history: Arc::default(),
        }
    }

    /// The options of the settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What the sweeps of this process did.
    pub fn history(&self) -> History {
        *self.history.lock()
    }

    /// Prepares a sweep over the current models; `None` if one is in progress.
    pub fn begin(&self, options: Options) -> Option<Begun> {
        let slot = Arc::clone(&self.slot).try_acquire_owned().ok()?;
        let (sender, events) = mpsc::channel(EVENTS);
        Some(Begun {
            sweep: Sweep {
                stores: self.stores.clone(),
                models: self.models.all(),
                options,
                call: self.call.clone(),
            },
            history: Arc::clone(&self.history),
            events,
            sender,
            slot,
        })
    }
}

impl Begun {
    /// Splits into the receiver of what the sweep reports, and the sweep itself, which ends early if the receiver is
    /// dropped.
    pub fn split(
        self,
        from: Option<Mark>,
    ) -> (
        mpsc::Receiver<Event>,
        impl Future<Output = Result<Counts, Error>> + Send + 'static,
    ) {
        let Begun {
            sweep,
            history,
            events,
            sender,
            slot,
        } = self;
        let run = async move {
            let outcome = sweep.run(from, sender).await;
            record(&history, &outcome);
            drop(slot);
            outcome
        };
        (events, run)
    }
}

fn record(history: &Mutex<History>, outcome: &Result<Counts, Error>) {
    let mut history = history.lock();
    match outcome {
        Ok(counts) => {
            history.succeeded += 1;
            history.deleted += counts.deleted;
            history.aborted += counts.aborted;
            history.last = *counts;
        }
        Err(_) => history.failed += 1,
    }
}
