//! Decodes the parts of batches and transactions, each for its model.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use prost::Message as _;
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::transact_operation::Operation;
use tonic::{Status, Streaming};

use super::decode;
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::model::Model;
use crate::operation::{BatchWrite, BatchedWrite, Error, Gateway, Get, TransactOperation, Writes};
use crate::policy::Action;

/// Decodes reads.
pub(super) fn gets(
    gateway: &Gateway,
    call: &Call,
    within: Action,
    requests: Vec<v1::GetRequest>,
) -> Vec<Result<Get, Error>> {
    let mut last: Option<Arc<Model>> = None;
    let decoded = requests.into_iter().map(|request| {
        // most reads of a batch are of one model
        let model = match &last {
            Some(model) if model.name == request.model => Arc::clone(model),
            _ => {
                let model = gateway.model(call, &[within, Action::Get], &request.model)?;
                Arc::clone(last.insert(model))
            }
        };
        Ok(decode::get(request, model))
    });
    decoded.collect()
}

/// Decodes the operations of a transaction.
pub(super) fn operations(
    gateway: &Gateway,
    call: &Call,
    operations: Vec<v1::TransactOperation>,
) -> Vec<Result<TransactOperation, Error>> {
    let model = |action, name: &str| gateway.model(call, &[Action::TransactWrite, action], name);
    let decoded = operations.into_iter().map(|operation| match operation.operation {
        Some(Operation::Save(save)) => {
            let model = model(Action::Save, &save.model)?;
            reject_request_id(&save.request_id)?;
            Ok(TransactOperation::Save(decode::save(save, model)))
        }
        Some(Operation::Update(update)) => {
            let model = model(Action::Update, &update.model)?;
            reject_request_id(&update.request_id)?;
            Ok(TransactOperation::Update(decode::update(update, model)))
        }
        Some(Operation::Delete(delete)) => {
            let model = model(Action::Delete, &delete.model)?;
            reject_request_id(&delete.request_id)?;
            Ok(TransactOperation::Delete(decode::delete(delete, model)))
        }
        Some(Operation::Check(check)) => {
            let model = model(Action::Get, &check.model)?;
            Ok(TransactOperation::Check(decode::check(check, model)))
        }
        None => Err(missing("operation", "must be one of save, update, delete, check")),
    });
    decoded.collect()
}

/// Records the model in the call if all parts of the request name the same one: the bill of a call belongs to one model.
pub(super) fn set_model<'a>(call: &Call, models: impl Iterator<Item = &'a Arc<Model>>) {
    let mut models = models.map(|model| model.name.as_str());
    if let Some(first) = models.next()
        && models.all(|other| other == first)
    {
        call.set_model(first);
    }
}

/// The model of an operation.
pub(super) fn model_of(operation: &TransactOperation) -> &Arc<Model> {
    match operation {
        TransactOperation::Save(save) => &save.model,
        TransactOperation::Update(update) => &update.model,
        TransactOperation::Delete(delete) => &delete.model,
        TransactOperation::Check(check) => &check.model,
    }
}

/// How a stream of requests ended, if not as it should.
#[derive(Clone, Default)]
pub(super) struct StreamEnd(Arc<Mutex<Option<Status>>>);

impl StreamEnd {
    /// Keeps the error that ended the stream.
    pub(super) fn set(&self, status: Status) {
        *self.0.lock() = Some(status);
    }

    /// The error that ended the stream.
    pub(super) fn take(&self) -> Option<Status> {
        self.0.lock().take()
    }
}

/// Decodes the writes of a stream, whose first message has arrived. Those before an error are made; `end` keeps it.
pub(super) fn writes(
    (gateway, call): (Arc<Gateway>, Call),
    first: v1::BatchWriteRequest,
    requests: Streaming<v1::BatchWriteRequest>,
    end: StreamEnd,
) -> Writes {
    let rest = stream::unfold((requests, end), |(mut requests, end)| async move {
        match requests.message().await {
            Ok(message) => message.map(|message| (message, (requests, end))),
            Err(status) => {
                end.set(status);
                None
            }
        }
    });
    let messages = stream::once(std::future::ready(first)).chain(rest);
    Box::pin(messages.map(move |message| BatchedWrite {
        message_bytes: message.encoded_len(),
        write: write(&gateway, &call, message),
    }))
}

fn write(gateway: &Gateway, call: &Call, message: v1::BatchWriteRequest) -> Result<BatchWrite, Error> {
    let model = |action, name: &str| gateway.model(call, &[Action::BatchWrite, action], name);
    match message.write {
        Some(Write::Save(save)) => {
            let model = model(Action::Save, &save.model)?;
            Ok(BatchWrite::Save(decode::save(save, model)))
        }
        Some(Write::Update(update)) => {
            let model = model(Action::Update, &update.model)?;
            Ok(BatchWrite::Update(decode::update(update, model)))
        }
        Some(Write::Delete(delete)) => {
            let model = model(Action::Delete, &delete.model)?;
            Ok(BatchWrite::Delete(decode::delete(delete, model)))
        }
        None => Err(missing("write", "must be one of save, update, delete")),
    }
}

fn missing(field: &str, description: &str) -> Error {
    Error::Invalid(Fault::new(field, description).into())
}

fn reject_request_id(request_id: &str) -> Result<(), Error> {
    let mut faults = Faults::new();
    if !request_id.is_empty() {
        faults.push("request_id", "must be unset; set it in the transaction");
    }
    faults.into_result().map_err(Error::Invalid)
}
