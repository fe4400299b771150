//! Single writes whose requests a table remembers: each is a transaction of the write and its marker.

use crate::aws::Kind;
use crate::item::Key;
use crate::model::{Item, Model, Number, Value};

use super::committer::Committer;
use super::error::Error;
use super::identity::Identity;
use super::refused::{OperationRefusal, RefusedOperation};
use super::request::{
    Committed, CommittedUpdate, Contents, DeleteRequest, ExpectedVersion, ItemUpdate, SaveRequest,
    UpdateRequest,
};
use super::transact_request::{AppliedOperation, Change, Marking, Operation, Recognition, TransactOutcome};

impl Committer {
    /// Writes an item and its objects, unless `table` remembers the request.
    ///
    /// # Errors
    ///
    /// See [`Error`]; those of an earlier equal request, if it was refused.
    pub async fn save_once(
        &self,
        request: SaveRequest,
        identity: Identity,
        table: &str,
    ) -> Result<Committed, Error> {
        let SaveRequest {
            call,
            model,
            item,
            condition,
            version,
            return_old,
            generated,
            identity: _,
            contents,
        } = request;
        let key = Key::from_request(&model, &item).ok_or(Error::Internal("a checked item lacks its key"))?;
        let operation = Operation {
            model: model.clone(),
            key,
            change: Change::Put(item),
            condition,
            version,
            return_old,
            contents,
        };
        let marking = marking(table, identity, generated);
        let outcome = self
            .transact(&call, vec![operation], Recognition::Marker(marking))
            .await;
        match outcome.map_err(|error| alone(error, &model))? {
            TransactOutcome::Applied(applied) => {
                let AppliedOperation { objects, kept, .. } = applied.into_iter().next().unwrap_or_default();
                Ok(Committed {
                    objects,
                    kept,
                    ..Committed::default()
                })
            }
            TransactOutcome::Repeated(first) => Ok(Committed {
                first: Some(first.into_iter().next().unwrap_or_default()),
                ..Committed::default()
            }),
        }
    }

    /// Changes attributes of an item, and uploads and deletes objects, unless `table` remembers the request.
    ///
    /// # Errors
    ///
    /// See [`Error`]; those of an earlier equal request, if it was refused.
    pub async fn update_once(
        &self,
        request: UpdateRequest,
        identity: Identity,
        table: &str,
    ) -> Result<CommittedUpdate, Error> {
        let UpdateRequest {
            call,
            item,
            returned: _,
            mut generated,
            identity: _,
            contents,
        } = request;
        let model = item.model.clone();
        let version = next_version(&item);
        if let (Some(attribute), Some(number)) = (model.version(), version) {
            generated.insert(attribute.name.clone(), Value::N(Number::from(number)));
        }
        let operation = Operation {
            model: model.clone(),
            key: item.key.clone(),
            version: item.version,
            change: Change::Update(Box::new(item)),
            condition: None,
            return_old: false,
            contents,
        };
        let marking = marking(table, identity, generated);
        let outcome = self
            .transact(&call, vec![operation], Recognition::Marker(marking))
            .await;
        match outcome.map_err(|error| alone(error, &model))? {
            TransactOutcome::Applied(applied) => {
                let applied = applied.into_iter().next().unwrap_or_default();
                Ok(CommittedUpdate {
                    objects: applied.objects,
                    index_keys: applied.index_keys,
                    version,
                    ..CommittedUpdate::default()
                })
            }
            TransactOutcome::Repeated(first) => Ok(CommittedUpdate {
                first: Some(first.into_iter().next().unwrap_or_default()),
                ..CommittedUpdate::default()
            }),
        }
    }

    /// Deletes an item and the objects that it owns, unless `table` remembers the request.
    ///
    /// # Errors
    ///
    /// See [`Error`]; those of an earlier equal request, if it was refused.
    pub async fn delete_once(
        &self,
        request: DeleteRequest,
        identity: Identity,
        table: &str,
    ) -> Result<(), Error> {
        let DeleteRequest {
            call,
            model,
            key,
            condition,
            version,
            return_old,
            identity: _,
        } = request;
        let operation = Operation {
            model: model.clone(),
            key,
            change: Change::Delete,
            condition,
            version,
            return_old,
            contents: Contents::new(),
        };
        let marking = marking(table, identity, Item::new());
        let outcome = self
            .transact(&call, vec![operation], Recognition::Marker(marking))
            .await;
        outcome.map(drop).map_err(|error| alone(error, &model))
    }
}

fn marking(table: &str, identity: Identity, generated: Item) -> Marking {
    Marking {
        table: table.to_owned(),
        identity,
        generated: vec![generated],
    }
}

/// The version that an update sets, if the request says which one the item has.
fn next_version(item: &ItemUpdate) -> Option<u64> {
    item.model.version()?;
    match item.version? {
        ExpectedVersion::Exactly(number) => number.checked_add(1),
        ExpectedVersion::Create => Some(1),
    }
}

/// The error of a write that is not part of a transaction for its caller.
fn alone(error: Error, model: &Model) -> Error {
    let Error::Cancelled(refused) = error else {
        return error;
    };
    let Some(RefusedOperation { refusal, current, .. }) = refused.into_iter().next() else {
        return Error::Internal("a cancelled transaction names no operation");
    };
    let model = || model.name.clone();
    match refusal {
        OperationRefusal::ConditionFailed => Error::ConditionFailed { current },
        OperationRefusal::WrongModel => Error::WrongModel { model: model() },
        OperationRefusal::AlreadyExists => Error::AlreadyExists { model: model() },
        OperationRefusal::NotFound => Error::ItemNotFound { model: model() },
        OperationRefusal::VersionMismatch { current } => Error::VersionMismatch { current },
        OperationRefusal::OutOfBounds { attribute, limits } => Error::OutOfBounds { attribute, limits },
        OperationRefusal::Misfit(misfit) => Error::Misfit(misfit),
        OperationRefusal::ObjectChanged { attribute } => Error::ObjectChanged { attribute },
        OperationRefusal::Conflict => Error::cancelled(Kind::Conflict),
        OperationRefusal::TooLarge => Error::cancelled(Kind::TooLarge),
        OperationRefusal::Throttled => Error::cancelled(Kind::Throttled),
        OperationRefusal::Invalid => Error::cancelled(Kind::Refused),
    }
}
