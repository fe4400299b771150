//! The commit of a transaction: the pointers that it replaces are read, one TransactWriteItems is conditional on them, and
//! their objects are deleted. The table at the top of the room lists what follows from each outcome.

use std::time::Duration;

use crate::aws::{self, Doubt, Kind, Refusal, Stores, TransactItem};
use crate::call::{Backoff, Call};
use crate::crypto::CallKeys;
use crate::item::pointer::Pointer;
use crate::item::protect::verify;
use crate::model::{ITEM_SEAL, Item, Value};
use crate::object::owner::Owner;
use crate::object::upload::NewObject;

use super::caller::Caller;
use super::cleanup::{remove_new, remove_owned};
use super::error::Error;
use super::marked::Verdict;
use super::marker::{GENERATED, Marker};
use super::prepared::{Prepared, pointers};
use super::refused::{OperationRefusal, RefusedOperation};
use super::rendered::Pins;
use super::settle::unknown;
use super::stored_items::{Wanted, read_items};

/// How long a transaction without a response gets to be applied before the second read.
const SECOND_READ_DELAY: Duration = Duration::from_millis(500);

/// The TransactWriteItems of a transaction, and what follows from its outcome.
pub(super) struct TransactCommit<'a> {
    pub(super) stores: &'a Stores,
    /// The caller's call.
    pub(super) call: &'a Call,
    /// The call, with the extended deadline.
    pub(super) extended: Call,
    pub(super) caller: &'a Caller,
    pub(super) operations: Vec<Prepared>,
    /// The uploaded objects, by attribute.
    pub(super) new: Vec<(String, NewObject)>,
    /// The operations that point to them.
    pub(super) owners: Vec<usize>,
    /// The data keys of the operations.
    pub(super) keys: &'a [CallKeys],
    /// The stored values that the last request was conditional on, by operation.
    pub(super) pins: Vec<Pins>,
    /// Its caller made a single write, no transaction.
    pub(super) is_single: bool,
    /// The marker that goes along, with what it keeps of the outcome.
    pub(super) marker: Option<(&'a Marker, Value)>,
}

/// How a commit ended.
pub(super) enum Ending {
    /// It was applied.
    Applied,
    /// Nothing was changed: an earlier equal request has this marker.
    Repeated(Item),
}

/// What follows from a failed commit.
enum Next {
    End(Ending),
    /// Send it again after this wait.
    Again(Backoff),
    /// It was not applied: the error says why.
    Explain,
}

/// What shows that the transaction was applied.
enum Proof<'a> {
    /// A pointer to this object, which has the attribute's stored name.
    Object(&'a str, &'a NewObject),
    /// This ciphertext, in the attribute with the stored name.
    Sealed(&'a str, &'a Value),
}

impl TransactCommit<'_> {
    /// Applies all operations, and deletes the objects that their items no longer point to.
    pub(super) async fn run(&mut self, token: Option<String>) -> Result<Ending, Error> {
        let first = self.caller.step(self.read_pins(self.call)).await;
        let (mut pins, mut stored) = match first {
            Ok(read) => read,
            Err(error) => return Err(self.give_up(error).await),
        };
        let mut backoff = Backoff::default();
        loop {
            let requests = match self.requests(&pins, &stored) {
                Ok(requests) => requests,
                Err(error) => return Err(self.give_up(error).await),
            };
            self.pins.clone_from(&pins);
            self.caller.begin_commit();
            let dynamodb = &self.stores.dynamodb;
            let sent = dynamodb.transact_write_items(&self.extended, requests, token.clone());
            let error = match sent.await {
                Ok(()) => {
                    self.clean_up(&pins).await;
                    return Ok(Ending::Applied);
                }
                Err(error) => error,
            };
            match self.judge(&error, &pins, backoff).await? {
                Next::End(ending) => return Ok(ending),
                Next::Again(next) => {
                    next.wait(&self.extended).await;
                    backoff = next;
                    continue;
                }
                Next::Explain => {}
            }
            if self.may_have_raced(&error, &pins) && !self.caller.is_disconnected() {
                let next = backoff.next(false, self.call.deadline());
                if let Some(next) = next {
                    next.wait(&self.extended).await;
                }
                if let Ok((current, items)) = self.read_pins(&self.extended).await
                    && current != pins
                {
                    let Some(next) = next else {
                        let changed = self.changed_objects(&pins, &current);
                        return Err(self.give_up(Error::Cancelled(changed)).await);
                    };
                    (pins, stored, backoff) = (current, items, next);
                    continue;
                }
            }
            let changed = self.refused_for_objects(&error, &pins);
            return match (self.resolve(error, &pins).await, changed) {
                (Err(_), Some(changed)) => Err(Error::Cancelled(changed)),
                (resolved, _) => resolved.map(|()| Ending::Applied),
            };
        }
    }

    /// What the marker shows about a failed commit.
    async fn judge(&self, error: &aws::Error, pins: &[Pins], backoff: Backoff) -> Result<Next, Error> {
        let Some((marker, _)) = &self.marker else {
            return Ok(Next::Explain);
        };
        let dynamodb = &self.stores.dynamodb;
        let verdict = marker.judge(dynamodb, &self.extended, error, self.operations.len());
        let again = || match self.caller.is_disconnected() {
            true => None,
            false => backoff.next(false, self.call.deadline()),
        };
        match verdict.await {
            Verdict::Applied => {
                self.clean_up(pins).await;
                Ok(Next::End(Ending::Applied))
            }
            Verdict::Repeated(stored) => {
                remove_new(self.stores, &self.extended, &self.new).await;
                Ok(Next::End(Ending::Repeated(stored)))
            }
            Verdict::OtherRequest => Err(self.give_up(Error::OtherRequest).await),
            Verdict::Busy => match again() {
                Some(next) => Ok(Next::Again(next)),
                None if error.doubt == Doubt::None => Err(self.give_up(Error::RequestInFlight).await),
                None => Err(unknown(error.clone()).into()),
            },
            Verdict::NotApplied if is_passing(error) => Ok(again().map_or(Next::Explain, Next::Again)),
            Verdict::NotApplied => match error.kind {
                Kind::OutcomeUnknown => {
                    let error = aws::Error {
                        kind: Kind::Unavailable,
                        ..error.clone()
                    };
                    Err(self.give_up(error.into()).await)
                }
                _ => Ok(Next::Explain),
            },
            // it may still be applied: the new objects are left behind
            Verdict::Unknown => Err(error.clone().into()),
        }
    }

    /// Reads the pointers that the operations replace or remove, and the protected items that they update, which are
    /// verified and returned too.
    async fn read_pins(&self, call: &Call) -> Result<(Vec<Pins>, Vec<Option<Item>>), Error> {
        let replaced: Vec<Vec<&str>> = self.operations.iter().map(Prepared::replaced).collect();
        let is_read = |index: usize| !replaced[index].is_empty() || self.operations[index].is_read_whole();
        let operations = self.operations.iter().enumerate();
        let wanted: Vec<Wanted<'_>> = operations
            .filter(|(index, _)| is_read(*index))
            .map(|(index, operation)| Wanted {
                model: &operation.model,
                key: &operation.key,
                names: replaced[index].clone(),
                is_whole: operation.is_read_whole(),
            })
            .collect();
        let found = read_items(&self.stores.dynamodb, call, &wanted).await?;
        let mut found = found.into_iter();
        let (mut pins, mut items) = (Vec::new(), Vec::new());
        for (index, operation) in self.operations.iter().enumerate() {
            let stored = match is_read(index) {
                true => found.next().flatten(),
                false => None,
            };
            if let (true, Some(stored)) = (operation.is_read_whole(), &stored) {
                verify(&operation.model, stored, &self.keys[index]).await?;
            }
            pins.push(operation.pins(stored.as_ref()));
            items.push(stored);
        }
        Ok((pins, items))
    }

    fn requests(&mut self, pins: &[Pins], stored: &[Option<Item>]) -> Result<Vec<TransactItem>, Error> {
        let mut requests = Vec::with_capacity(pins.len());
        let operations = self.operations.iter_mut().zip(pins).zip(stored);
        for (index, ((operation, pins), stored)) in operations.enumerate() {
            let adopted = operation.adopt(pins);
            let request = adopted.and_then(|()| operation.request(pins, stored.as_ref()));
            requests.push(request.map_err(|error| match self.is_single {
                true => error,
                false => located(error, index),
            })?);
        }
        if let Some((marker, content)) = &self.marker {
            requests.push(TransactItem::Put(marker.put((GENERATED, content.clone()))));
        }
        Ok(requests)
    }

    /// Whether a refusal may be due to pointers that changed after they were read.
    fn may_have_raced(&self, error: &aws::Error, pins: &[Pins]) -> bool {
        let Kind::TransactionCancelled { reasons } = &error.kind else {
            return false;
        };
        let mut refused = reasons.iter().zip(&self.operations).zip(pins);
        error.doubt != Doubt::Lost
            && refused.any(|((reason, operation), pins)| match reason {
                Some(Refusal::ConditionFailed { item }) => operation.pins(item.as_ref()) != *pins,
                Some(
                    Refusal::Misfit(_)
                    | Refusal::Conflict
                    | Refusal::TooLarge
                    | Refusal::Throttled
                    | Refusal::Invalid,
                )
                | None => false,
            })
    }

    /// The operations whose pointers changed, if the transaction was refused for nothing else: no condition of the caller
    /// is known to be unmet.
    fn refused_for_objects(&self, error: &aws::Error, pins: &[Pins]) -> Option<Vec<RefusedOperation>> {
        let Kind::TransactionCancelled { reasons } = &error.kind else {
            return None;
        };
        let mut now = pins.to_vec();
        for (index, reason) in reasons.iter().enumerate() {
            match (reason, self.operations.get(index)) {
                (None, _) => {}
                (Some(Refusal::ConditionFailed { item }), Some(operation)) => {
                    now[index] = operation.pins(item.as_ref());
                    if now[index] == pins[index] {
                        return None;
                    }
                }
                (Some(_), _) => return None,
            }
        }
        Some(self.changed_objects(pins, &now)).filter(|changed| !changed.is_empty())
    }

    /// The operations whose pointers changed.
    fn changed_objects(&self, before: &[Pins], now: &[Pins]) -> Vec<RefusedOperation> {
        let pairs = before.iter().zip(now).zip(&self.operations).enumerate();
        let changed = pairs.filter_map(|(index, ((before, now), operation))| {
            let (name, _) = before
                .iter()
                .find(|(name, value)| now.get(*name) != Some(*value))?;
            if name == ITEM_SEAL {
                return Some(refused(index, OperationRefusal::Conflict));
            }
            let attribute = operation.model.stored_attribute(name);
            let name = attribute.map_or(name, |attribute| &attribute.name);
            Some(object_changed(index, name.clone()))
        });
        changed.collect()
    }

    /// Deletes the objects that the items no longer point to.
    async fn clean_up(&self, pins: &[Pins]) {
        for (operation, pins) in self.operations.iter().zip(pins) {
            let old = pointers(pins);
            if old.is_empty() {
                continue;
            }
            let owner = Owner {
                model: &operation.model,
                key: &operation.key,
            };
            remove_owned(self.stores, &self.extended, owner, &old, &operation.written()).await;
        }
    }

    /// Deletes the new objects, since nothing was applied.
    async fn give_up(&self, error: Error) -> Error {
        remove_new(self.stores, &self.extended, &self.new).await;
        error
    }

    /// Resolves the outcome of a failed commit; `Ok` if it was applied after all.
    async fn resolve(&self, error: aws::Error, pins: &[Pins]) -> Result<(), Error> {
        match (&error.kind, error.doubt) {
            // the attempt without a response may still be applied
            (Kind::TransactionCancelled { .. }, Doubt::Lost) => return Err(error.into()),
            (Kind::OutcomeUnknown | Kind::Deadline { sent: true }, _) => {}
            (
                Kind::TransactionCancelled { .. }
                | Kind::ConditionFailed { .. }
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
            ) => return Err(self.give_up(error.into()).await),
        }
        let mut applied = self.is_applied().await;
        if applied == Some(false) && error.doubt != Doubt::Lost {
            let error = aws::Error {
                kind: Kind::Unavailable,
                ..error
            };
            return Err(self.give_up(error.into()).await);
        }
        if applied == Some(false) {
            tokio::time::sleep(SECOND_READ_DELAY).await;
            applied = self.is_applied().await;
        }
        match applied {
            Some(true) => {
                self.clean_up(pins).await;
                Ok(())
            }
            // it may still be applied: the new objects are left behind
            Some(false) | None => Err(error.into()),
        }
    }

    /// Whether the transaction was applied: an item points to one of the new objects, or holds one of the ciphertexts;
    /// `None` if nothing shows it.
    async fn is_applied(&self) -> Option<bool> {
        let proofs = self.proofs();
        if proofs.is_empty() {
            return None;
        }
        let wanted: Vec<Wanted<'_>> = proofs
            .iter()
            .map(|(index, proofs)| Wanted {
                model: &self.operations[*index].model,
                key: &self.operations[*index].key,
                names: proofs.iter().map(Proof::stored_name).collect(),
                is_whole: false,
            })
            .collect();
        let found = read_items(&self.stores.dynamodb, &self.extended, &wanted).await;
        let found = found.ok()?.into_iter().zip(&proofs);
        let mut shown = found.filter_map(|(item, (_, proofs))| Some((item?, proofs)));
        Some(shown.any(|(item, proofs)| proofs.iter().any(|proof| proof.is_in(&item))))
    }

    /// What shows that the transaction was applied, by operation: all new objects, or a ciphertext if there is none.
    fn proofs(&self) -> Vec<(usize, Vec<Proof<'_>>)> {
        let mut proofs: Vec<(usize, Vec<Proof<'_>>)> = Vec::new();
        for (&index, (attribute, object)) in self.owners.iter().zip(&self.new) {
            let proof = Proof::Object(self.operations[index].model.stored_name(attribute), object);
            match proofs.last_mut() {
                Some((last, of_operation)) if *last == index => of_operation.push(proof),
                Some(_) | None => proofs.push((index, vec![proof])),
            }
        }
        if proofs.is_empty() {
            let mut sealed = self.operations.iter().enumerate();
            proofs.extend(sealed.find_map(|(index, operation)| {
                let (name, value) = operation.sealed.as_ref()?;
                Some((index, vec![Proof::Sealed(name, value)]))
            }));
        }
        proofs
    }
}

impl Proof<'_> {
    fn stored_name(&self) -> &str {
        match self {
            Proof::Object(name, _) | Proof::Sealed(name, _) => name,
        }
    }

    fn is_in(&self, item: &Item) -> bool {
        match self {
            Proof::Object(name, object) => item
                .get(*name)
                .and_then(Pointer::from_value)
                .is_some_and(|pointer| object.is_at(&pointer)),
            Proof::Sealed(name, value) => item.get(*name) == Some(*value),
        }
    }
}

/// Whether a transaction was cancelled only because its items or tables were busy.
fn is_passing(error: &aws::Error) -> bool {
    let Kind::TransactionCancelled { reasons } = &error.kind else {
        return false;
    };
    let mut refused = reasons.iter().flatten().peekable();
    refused.peek().is_some() && refused.all(|reason| matches!(reason, Refusal::Conflict | Refusal::Throttled))
}

fn object_changed(index: usize, attribute: String) -> RefusedOperation {
    refused(index, OperationRefusal::ObjectChanged { attribute })
}

fn refused(index: usize, refusal: OperationRefusal) -> RefusedOperation {
    RefusedOperation {
        index,
        refusal,
        current: None,
    }
}

/// The error about an item or an object that an operation keeps, at its place in the transaction.
fn located(error: Error, index: usize) -> Error {
    match error {
        Error::Misfit(misfit) => Error::Cancelled(vec![refused(index, OperationRefusal::Misfit(misfit))]),
        Error::ObjectChanged { attribute } => Error::Cancelled(vec![object_changed(index, attribute)]),
        Error::Invalid(faults) => Error::Invalid(faults.under(&format!("operations[{index}].save"))),
        error => error,
    }
}
