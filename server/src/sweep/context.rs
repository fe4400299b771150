//! What all phases of a sweep share.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::counts::Counts;
use super::error::Error;
use super::event::{Event, Finding};
use super::options::Options;
use super::pace::Pace;
use super::places::{Places, Root};
use super::pointed::points_to;
use super::position::{Mark, Position};
use crate::aws::{self, Stores};
use crate::call::{self, Call};
use crate::item::Key;
use crate::model::{Item, Model};

/// The deadline of one request, with its retries.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// What all phases of a sweep share.
pub(super) struct Context {
    pub(super) stores: Stores,
    pub(super) places: Places,
    pub(super) options: Options,
    pub(super) pace: Pace,
    call: Call,
    of: String,
    events: mpsc::Sender<Event>,
    counts: Mutex<Counts>,
}

impl Context {
    pub(super) fn new(
        stores: Stores,
        places: Places,
        options: Options,
        call: Call,
        events: mpsc::Sender<Event>,
    ) -> Context {
        let of = format!(
            "{}dry_run {}, grace {:?}, adopt {}",
            places.fingerprint(),
            options.dry_run,
            options.grace,
            options.adopt
        );
        Context {
            pace: Pace::new(options.rate),
            stores,
            places,
            options,
            call,
            of,
            events,
            counts: Mutex::default(),
        }
    }

    /// The call for one request.
    pub(super) fn call(&self) -> Call {
        self.call.with_deadline(call::now() + REQUEST_TIME)
    }

    /// Requests in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.stores.s3.in_flight()
    }

    /// The sums so far.
    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// Changes the sums.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock());
    }

    /// Goes on at a mark.
    pub(super) fn resume(&self, mark: &Mark) -> Result<(), Error> {
        if mark.of != self.of {
            return Err(Error::OtherSweep);
        }
        *self.counts.lock() = mark.counts;
        Ok(())
    }

    /// Reports a finding.
    pub(super) async fn found(&self, finding: Finding) -> Result<(), Error> {
        self.send(Event::Found(finding)).await
    }

    /// Reports how far the sweep is, and where another one can go on.
    pub(super) async fn progress(&self, position: Option<Position>) -> Result<(), Error> {
        let counts = self.counts();
        let mark = position.map(|position| {
            Box::new(Mark {
                of: self.of.clone(),
                position,
                counts,
            })
        });
        self.send(Event::Progress { counts, mark }).await
    }

    async fn send(&self, event: Event) -> Result<(), Error> {
        self.events.send(event).await.map_err(|_| Error::Stopped)
    }

    /// Whether an item points to an object, by a consistent read.
    pub(super) async fn is_pointed_to(
        &self,
        model: &Model,
        item_key: &Key,
        root: &Root,
        object_key: &str,
    ) -> Result<bool, Error> {
        let item = self.read(model, item_key).await?;
        Ok(item.is_some_and(|item| points_to(&item, &root.bucket, object_key)))
    }

    /// Reads an item consistently.
    pub(super) async fn read(&self, model: &Model, item_key: &Key) -> Result<Option<Item>, aws::Error> {
        let get = aws::GetItem {
            table: model.table.clone(),
            key: item_key.item(),
            consistent_read: true,
            uncounted: true,
            ..aws::GetItem::default()
        };
        self.stores.dynamodb.get_item(&self.call(), get).await
    }
}
