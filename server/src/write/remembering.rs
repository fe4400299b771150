//! A transaction whose outcome a marker remembers: an earlier equal request has its outcome already.

use std::sync::Arc;

use crate::aws::Stores;
use crate::call::{Call, now};
use crate::crypto::CallKeys;
use crate::model::{Item, Model, Value};

use super::error::Error;
use super::in_flight::{InFlight, Turn};
use super::marker::{Found, GENERATED, Marker, REFUSED};
use super::marker_content::{read_refusals, refusals};
use super::refused::RefusedOperation;
use super::transact_request::{Marking, Operation, TransactOutcome};

/// A transaction that a marker remembers.
pub(super) struct Remembering<'a> {
    stores: &'a Stores,
    /// The call, with the extended deadline.
    call: &'a Call,
    pub(super) marker: Marker,
    /// The models of the operations.
    models: Vec<Arc<Model>>,
    /// The data keys of the operations.
    keys: &'a [CallKeys],
    turn: Turn,
    uploads: bool,
}

impl<'a> Remembering<'a> {
    /// Waits until no other request with the id is at work in this process. Returns what the server set too.
    pub(super) async fn begin(
        stores: &'a Stores,
        in_flight: &InFlight,
        callers: &Call,
        call: &'a Call,
        marking: Marking,
        operations: &[Operation],
        keys: &'a [CallKeys],
    ) -> Result<(Remembering<'a>, Vec<Item>), Error> {
        let Marking {
            table,
            identity,
            generated,
        } = marking;
        let uploads = operations.iter().any(Operation::uploads);
        let streams = operations.iter().any(|operation| !operation.contents.is_empty());
        // a stream may take long: its repeat does not wait
        let deadline = match streams {
            true => now(),
            false => callers.deadline(),
        };
        let turn = in_flight.enter(&identity, deadline).await?;
        let remembering = Remembering {
            stores,
            call,
            marker: Marker::new(table, identity)?,
            models: operations
                .iter()
                .map(|operation| Arc::clone(&operation.model))
                .collect(),
            keys,
            turn,
            uploads,
        };
        Ok((remembering, generated))
    }

    /// The outcome of an earlier request. It is looked up before the commit only if there probably is one, or if the commit
    /// would upload objects first; otherwise the commit finds it.
    pub(super) async fn earlier(&self) -> Result<Option<TransactOutcome>, Error> {
        if !self.turn.waited && !self.uploads {
            return Ok(None);
        }
        match self.marker.find(&self.stores.dynamodb, self.call).await? {
            Some(Found::Same(stored)) => self.outcome(&stored).await.map(Some),
            Some(Found::Other) => Err(Error::OtherRequest),
            Some(Found::Own) | None => Ok(None),
        }
    }

    /// The outcome that a stored marker keeps.
    pub(super) async fn outcome(&self, stored: &Item) -> Result<TransactOutcome, Error> {
        if let Some(refused) = stored.get(REFUSED) {
            let refused = read_refusals(refused).ok_or_else(|| self.marker.invalid())?;
            return Err(Error::Cancelled(refused));
        }
        let (Some(generated), Some(keys)) = (stored.get(GENERATED), self.keys.first()) else {
            return Err(self.marker.invalid());
        };
        let generated = self.marker.open(&self.models, generated, keys).await?;
        Ok(TransactOutcome::Repeated(generated))
    }

    /// What the server set, as the marker keeps it.
    pub(super) async fn seal(&self, generated: Vec<Item>) -> Result<Value, Error> {
        self.marker.seal(&self.models, generated, self.keys).await
    }

    /// Remembers that operations were refused. The caller learns of an outcome only if it is remembered, or if it may try
    /// again.
    pub(super) async fn refuse(&self, refused: Vec<RefusedOperation>) -> Result<TransactOutcome, Error> {
        let Some(kept) = refusals(&refused) else {
            return Err(Error::Cancelled(refused));
        };
        let dynamodb = &self.stores.dynamodb;
        match self.marker.remember(dynamodb, self.call, (REFUSED, kept)).await? {
            None | Some(Found::Own) => Err(Error::Cancelled(refused)),
            Some(Found::Same(stored)) => self.outcome(&stored).await,
            Some(Found::Other) => Err(Error::OtherRequest),
        }
    }
}
