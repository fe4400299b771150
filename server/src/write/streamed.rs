//! What a write with streamed contents does before it reads them, if the item remembers its requests: of several with one
//! id, one is at work in this process, and a repeat of one that was committed is recognised at once.

use std::time::SystemTime;

use crate::aws::{GetItem, Stores};
use crate::call::{Call, now};
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model, Value};

use super::error::Error;
use super::identity::Identity;
use super::in_flight::{InFlight, Turn};
use super::remembered::Seen;

/// A write whose contents may be read now.
#[derive(Default)]
pub(super) struct Begun {
    /// The item that an earlier equal request wrote.
    pub(super) earlier: Option<Item>,
    _turn: Option<Turn>,
}

/// The parts of this program that begin a write.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub(super) stores: &'a Stores,
    pub(super) in_flight: &'a InFlight,
    pub(super) call: &'a Call,
}

impl Beginning<'_> {
    /// Begins a write of the item with this key. The item is read first if a repeat could not do its work again: contents
    /// are streamed, or an upload by URL that the first request has taken up is gone.
    ///
    /// # Errors
    ///
    /// `RequestInFlight` and `OtherRequest`; those of the read.
    pub(super) async fn begin(
        self,
        model: &Model,
        key: &Key,
        identity: Option<&Identity>,
        is_read_first: bool,
    ) -> Result<Begun, Error> {
        let Some(identity) = identity.filter(|_| is_read_first) else {
            return Ok(Begun::default());
        };
        let turn = self.in_flight.enter(identity, now()).await?;
        let get = GetItem {
            table: model.table.clone(),
            key: key.item(),
            consistent_read: true,
            uncounted: true,
            ..GetItem::default()
        };
        let stored = self.stores.dynamodb.get_item(self.call, get).await?;
        let earlier = match stored {
            Some(stored) => match identity.seen_in(&stored) {
                Seen::Same => Some(stored),
                Seen::No => None,
                Seen::Other => return Err(Error::OtherRequest),
            },
            None => None,
        };
        Ok(Begun {
            earlier,
            _turn: Some(turn),
        })
    }
}

/// Whether one of the values takes up an upload by URL.
pub(super) fn takes_up<'a>(mut values: impl Iterator<Item = &'a Value>) -> bool {
    values.any(|value| matches!(value, Value::Object(object) if object.upload.is_some()))
}

/// The identity with which a write is committed: the time of a long upload does not count.
pub(super) fn at_commit(identity: Option<Identity>) -> Option<Identity> {
    identity.map(|identity| identity.at(SystemTime::now()))
}

/// The attributes whose objects a repeated write would have stored, without pointers.
pub(super) fn new_objects<'a>(
    values: impl Iterator<Item = (impl AsRef<str>, &'a Value)>,
) -> Vec<(String, Pointer)> {
    let new = values.filter(|(_, value)| matches!(value, Value::Object(object) if object.is_new()));
    new.map(|(name, _)| (name.as_ref().to_owned(), Pointer::default()))
        .collect()
}
