//! Transactions: several writes together, or none. One TransactWriteItems, whose attempts have one token, so that a lost
//! response is settled by the next attempt.

use std::time::Instant;

use futures::future::try_join_all;

use crate::aws::{self, Kind, Stores};
use crate::call::Call;
use crate::crypto::Keyring;
use crate::fault::Fault;
use crate::figure::AwsOperation;
use crate::model::Value;
use crate::model::size::{stored_bytes, value_bytes};
use crate::object::owner::owns_objects;

use super::caller::Caller;
use super::cleanup::remove_new;
use super::committer::{Committer, GRACE, finished};
use super::error::Error;
use super::prepared::Prepared;
use super::transact_commit::TransactCommit;
use super::transact_refusal::refused;
use super::transact_request::{AppliedOperation, Change, Operation};
use super::uploads::upload_all;

/// DynamoDB's limit for the items of one transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A transaction to apply.
struct Transaction {
    call: Call,
    operations: Vec<Operation>,
    token: Option<String>,
}

impl Committer {
    /// Applies all operations, which are on different items, or none. `token` makes the transaction idempotent. Returns
    /// what each operation did.
    ///
    /// # Errors
    ///
    /// `Cancelled` with the operations that were refused; otherwise see [`Error`].
    pub async fn transact(
        &self,
        call: &Call,
        operations: Vec<Operation>,
        token: Option<String>,
    ) -> Result<Vec<AppliedOperation>, Error> {
        check_bytes(operations.iter().map(plain_bytes))?;
        let deadline = call.deadline();
        let caller = Caller::new(AwsOperation::TransactWriteItems);
        let has_objects = operations.iter().any(|operation| owns_objects(&operation.model));
        let transaction = Transaction {
            call: call.clone(),
            operations,
            token,
        };
        let (stores, keyring) = (self.stores().clone(), self.keyring().clone());
        if !has_objects {
            return transact(&stores, &keyring, transaction, &caller, deadline).await;
        }
        let _disconnected_when_dropped = caller.disconnect_on_drop();
        let in_task = caller.clone();
        let task = self.spawn(async move {
            let trace = transaction.call.trace().clone();
            let end = deadline + GRACE;
            trace
                .scope(transact(&stores, &keyring, transaction, &in_task, end))
                .await
        });
        match tokio::time::timeout_at(deadline.into(), task).await {
            Ok(joined) => finished(joined, &caller),
            Err(_elapsed) => Err(caller.gave_up().into()),
        }
    }
}

/// Encrypts, uploads and commits; the commit and the cleanup must be done by `deadline`.
async fn transact(
    stores: &Stores,
    keyring: &Keyring,
    transaction: Transaction,
    caller: &Caller,
    deadline: Instant,
) -> Result<Vec<AppliedOperation>, Error> {
    let Transaction {
        call,
        operations,
        token,
    } = transaction;
    let extended = call.with_deadline(deadline);
    // each item has a data key for itself
    let sealing = operations.into_iter().map(|operation| {
        let keys = keyring.for_call(&call);
        async move { Prepared::seal(operation, &keys).await }
    });
    let sealed = caller.step(try_join_all(sealing)).await?;
    check_bytes(sealed.iter().map(|(operation, _)| operation.bytes()))?;
    let (mut prepared, mut new, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (operation, objects)) in sealed.into_iter().enumerate() {
        owners.extend(objects.iter().map(|_| index));
        new.extend(objects);
        prepared.push(operation);
    }
    let uploaded = caller.step(upload_all(stores, &call, &new)).await;
    let may_commit = !caller.is_disconnected() && Instant::now() < call.deadline();
    let uploaded = match uploaded {
        Ok(uploaded) if may_commit => uploaded,
        Ok(_) => {
            remove_new(stores, &extended, &new).await;
            return Err(caller.gave_up().into());
        }
        Err(error) => {
            remove_new(stores, &extended, &new).await;
            return Err(error);
        }
    };
    let mut applied: Vec<AppliedOperation> = prepared.iter().map(|_| AppliedOperation::default()).collect();
    for (&index, (attribute, pointer)) in owners.iter().zip(uploaded) {
        prepared[index].set_pointer(&attribute, &pointer);
        applied[index].objects.push((attribute, pointer));
    }
    let mut commit = TransactCommit {
        stores,
        call: &call,
        extended,
        caller,
        operations: prepared,
        new,
        owners,
    };
    match commit.run(token).await {
        Ok(()) => Ok(applied),
        Err(Error::Store(aws::Error {
            kind: Kind::TransactionCancelled { reasons },
            ..
        })) => Err(Error::Cancelled(
            refused(keyring, &call, &commit.operations, reasons).await,
        )),
        Err(error) => Err(error),
    }
}

/// The bytes of an operation before anything is encrypted, without values that may be compressed.
fn plain_bytes(operation: &Operation) -> usize {
    let is_compressed = |name: &str| {
        let attribute = operation.model.attribute(name);
        attribute.is_some_and(|attribute| attribute.compressed.is_some())
    };
    let size = |name: &str, value: &Value| match is_compressed(name) {
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
