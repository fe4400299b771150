//! Transactions: several writes together, or none. One TransactWriteItems, whose attempts have one token, so that a lost
//! response is settled by the next attempt.

use std::time::Instant;

use futures::future::try_join_all;

use crate::aws::{self, Kind, Refusal, Stores};
use crate::call::Call;
use crate::crypto::{CallKeys, Keyring};
use crate::fault::Fault;
use crate::figure::{AwsOperation, Rpc};
use crate::item::tenant;
use crate::model::size::{stored_bytes, value_bytes};
use crate::model::{Attribute, Item, Value};
use crate::object::owner::owns_objects;

use super::caller::Caller;
use super::cleanup::{remove_new, remove_taken_up};
use super::committer::{Committer, GRACE};
use super::error::Error;
use super::in_flight::InFlight;
use super::prepared::Prepared;
use super::remembering::Remembering;
use super::transact_commit::{Ending, TransactCommit};
use super::transact_refusal::refused;
use super::transact_request::{AppliedOperation, Change, Operation, Recognition, TransactOutcome};
use super::uploads::upload;

/// DynamoDB's limit for the items of one transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a marker beside what the server set, when it is encrypted.
const MARKER_BYTES: usize = 600;

/// A transaction to apply.
struct Transaction {
    call: Call,
    operations: Vec<Operation>,
    recognition: Recognition,
}

/// The parts of this program that apply transactions.
struct Parts {
    stores: Stores,
    keyring: Keyring,
    in_flight: InFlight,
}

impl Committer {
    /// Applies all operations, which are on different items, or none. Returns what each operation did, or did in an earlier
    /// equal request.
    ///
    /// # Errors
    ///
    /// `Cancelled` with the operations that were refused; otherwise see [`Error`].
    pub async fn transact(
        &self,
        call: &Call,
        operations: Vec<Operation>,
        recognition: Recognition,
    ) -> Result<TransactOutcome, Error> {
        for operation in &operations {
            tenant::check(&operation.model, call, &operation.key)?;
        }
        check_bytes(
            operations
                .iter()
                .map(plain_bytes)
                .chain([marker_bytes(&recognition)]),
        )?;
        let deadline = call.deadline();
        let caller = Caller::new(AwsOperation::TransactWriteItems);
        let has_objects = operations.iter().any(|operation| owns_objects(&operation.model));
        let transaction = Transaction {
            call: call.clone(),
            operations,
            recognition,
        };
        let parts = Parts {
            stores: self.stores().clone(),
            keyring: self.keyring().clone(),
            in_flight: self.in_flight().clone(),
        };
        if !has_objects {
            return transact(&parts, transaction, &caller, deadline).await;
        }
        let (call, in_task) = (transaction.call.clone(), caller.clone());
        let write = async move { transact(&parts, transaction, &in_task, deadline + GRACE).await };
        let _disconnected_when_dropped = caller.disconnect_on_drop();
        self.run_in_task(&call, &caller, write).await
    }
}

/// Applies a transaction; the commit and the cleanup must be done by `deadline`.
async fn transact(
    parts: &Parts,
    transaction: Transaction,
    caller: &Caller,
    deadline: Instant,
) -> Result<TransactOutcome, Error> {
    let Transaction {
        call,
        operations,
        recognition,
    } = transaction;
    // each item has a data key for itself
    let keys: Vec<CallKeys> = operations.iter().map(|_| parts.keyring.for_call(&call)).collect();
    let work = Work {
        parts,
        call: &call,
        extended: call.with_deadline(deadline),
        caller,
        keys: &keys,
    };
    let marking = match recognition {
        Recognition::None => return work.commit(operations, None, None).await,
        Recognition::Token(token) => return work.commit(operations, Some(token), None).await,
        Recognition::Marker(marking) => marking,
    };
    let (stores, in_flight) = (&parts.stores, &parts.in_flight);
    let begun = Remembering::begin(
        stores,
        in_flight,
        &call,
        &work.extended,
        marking,
        &operations,
        &keys,
    );
    let (remembering, generated) = caller.step(begun).await?;
    match caller.step(remembering.earlier()).await? {
        Some(outcome) => Ok(outcome),
        None => {
            work.commit(operations, None, Some((&remembering, generated)))
                .await
        }
    }
}

/// A transaction at work.
struct Work<'a> {
    parts: &'a Parts,
    /// The caller's call.
    call: &'a Call,
    /// The call, with the extended deadline.
    extended: Call,
    caller: &'a Caller,
    /// The data keys of the operations.
    keys: &'a [CallKeys],
}

impl Work<'_> {
    /// Encrypts, uploads and commits. A marker comes with what the server set.
    async fn commit(
        &self,
        operations: Vec<Operation>,
        token: Option<String>,
        remembering: Option<(&Remembering<'_>, Vec<Item>)>,
    ) -> Result<TransactOutcome, Error> {
        let stores = &self.parts.stores;
        let sealing = operations.into_iter().zip(self.keys).enumerate();
        let sealing = sealing.map(|(index, (operation, keys))| async move {
            let name = operation.change.name();
            let sealed = Prepared::seal(operation, keys).await;
            sealed.map_err(|error| too_large(error, index, name))
        });
        let sealed = self.caller.step(try_join_all(sealing)).await?;
        check_bytes(sealed.iter().map(|(operation, _)| operation.bytes()))?;
        let (mut operations, mut new, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (operation, objects)) in sealed.into_iter().enumerate() {
            owners.extend(objects.iter().map(|_| index));
            new.extend(objects);
            operations.push(operation);
        }
        let uploaded = upload(stores, self.call, &self.extended, &new, self.caller).await?;
        let mut applied: Vec<AppliedOperation> =
            operations.iter().map(|_| AppliedOperation::default()).collect();
        for (&index, (attribute, pointer)) in owners.iter().zip(uploaded) {
            operations[index].set_pointer(&attribute, &pointer);
            applied[index].objects.push((attribute, pointer));
        }
        let (remembering, content) = match remembering {
            None => (None, None),
            Some((remembering, generated)) => match remembering.seal(complete(generated, &applied)).await {
                Ok(content) => (Some(remembering), Some(content)),
                Err(error) => {
                    remove_new(stores, &self.extended, &new).await;
                    return Err(error);
                }
            },
        };
        let mut commit = TransactCommit {
            stores,
            call: self.call,
            extended: self.extended.clone(),
            caller: self.caller,
            operations,
            new,
            owners,
            keys: self.keys,
            pins: Vec::new(),
            is_single: self.call.rpc() != Rpc::TransactWrite,
            marker: remembering.map(|one| &one.marker).zip(content),
        };
        match (commit.run(token).await, remembering) {
            (Ok(Ending::Applied), _) => {
                remove_taken_up(stores, &self.extended, &commit.new).await;
                let operations = commit.operations.iter().zip(&commit.pins);
                for (applied, (operation, pins)) in applied.iter_mut().zip(operations) {
                    applied.kept = operation.kept();
                    applied.index_keys = operation.index_keys(pins);
                }
                Ok(TransactOutcome::Applied(applied))
            }
            (Ok(Ending::Repeated(stored)), Some(remembering)) => {
                remove_taken_up(stores, &self.extended, &commit.new).await;
                remembering.outcome(&stored).await
            }
            (Ok(Ending::Repeated(_)), None) => Err(Error::Internal("a transaction has no marker")),
            (Err(error), remembering) => self.refused(error, &commit, remembering).await,
        }
    }

    /// The outcome of a failed commit.
    async fn refused(
        &self,
        error: Error,
        commit: &TransactCommit<'_>,
        remembering: Option<&Remembering<'_>>,
    ) -> Result<TransactOutcome, Error> {
        let Error::Store(aws::Error {
            kind: Kind::TransactionCancelled { reasons },
            ..
        }) = error
        else {
            return Err(error);
        };
        let of_marker = reasons.get(commit.operations.len()).cloned().flatten();
        let refused = refused(
            &self.parts.stores,
            &self.parts.keyring,
            self.call,
            &commit.operations,
            reasons,
        )
        .await;
        if let (true, Some(reason)) = (refused.is_empty(), of_marker) {
            return Err(Error::cancelled(kind_of(&reason)));
        }
        match remembering {
            Some(remembering) => remembering.refuse(refused).await,
            None => Err(Error::Cancelled(refused)),
        }
    }
}

/// Why a marker was refused.
fn kind_of(reason: &Refusal) -> Kind {
    match reason {
        Refusal::Throttled => Kind::Throttled,
        Refusal::TooLarge => Kind::TooLarge,
        Refusal::Conflict => Kind::Conflict,
        Refusal::ConditionFailed { .. } | Refusal::Misfit(_) | Refusal::Invalid => Kind::Refused,
    }
}

/// What the server set, with the pointers to new objects.
fn complete(mut generated: Vec<Item>, applied: &[AppliedOperation]) -> Vec<Item> {
    for (item, applied) in generated.iter_mut().zip(applied) {
        let pointers = applied.objects.iter();
        item.extend(pointers.map(|(name, pointer)| (name.clone(), pointer.to_value())));
    }
    generated
}

/// The bytes of the marker, about.
fn marker_bytes(recognition: &Recognition) -> usize {
    match recognition {
        Recognition::None | Recognition::Token(_) => 0,
        Recognition::Marker(marking) => {
            MARKER_BYTES + marking.generated.iter().map(stored_bytes).sum::<usize>()
        }
    }
}

/// The bytes of an operation before anything is encrypted, without values that may be compressed or offloaded.
fn plain_bytes(operation: &Operation) -> usize {
    let may_shrink = |name: &str| operation.model.attribute(name).is_some_and(Attribute::may_shrink);
    let size = |name: &str, value: &Value| match may_shrink(name) {
        true => 0,
        false => name.len() + value_bytes(value),
    };
    let key = || stored_bytes(&operation.key.item());
    match &operation.change {
        Change::Put(item) => item.iter().map(|(name, value)| size(name, value)).sum(),
        Change::Update(change) => {
            let values = change.update.whole_values();
            key() + values.map(|(name, value)| size(name, value)).sum::<usize>()
        }
        Change::Delete | Change::Check => key(),
    }
}

/// The error of an operation whose item is too large once it is encrypted, at its place in the transaction.
fn too_large(error: Error, index: usize, name: &str) -> Error {
    match error {
        Error::ItemTooLarge { .. } => {
            let place = format_args!("operations[{index}].{name}");
            Error::Invalid(Fault::new(place, error.to_string()).into())
        }
        error => error,
    }
}

fn check_bytes(operations: impl Iterator<Item = usize>) -> Result<(), Error> {
    let bytes: usize = operations.sum();
    match bytes > MAX_BYTES {
        true => {
            let description = format!("would take {bytes} bytes, more than DynamoDB's {MAX_BYTES}");
            Err(Error::Invalid(Fault::new("operations", description).into()))
        }
        false => Ok(()),
    }
}
