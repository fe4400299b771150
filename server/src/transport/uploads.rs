//! Decodes the messages of an Upload: the write first, then chunks.

use futures::stream::{self, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::upload_request::Message;
use tonic::Streaming;

use super::batches::StreamEnd;
use super::decode;
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::operation::{Chunks, Error, Gateway, ObjectChunk, UploadWrite};
use crate::policy::Action;

/// The request id of the write, if it has one.
pub(super) fn request_id(first: &v1::UploadRequest) -> &str {
    match &first.message {
        Some(Message::Save(save)) => &save.request_id,
        Some(Message::Update(update)) => &update.request_id,
        Some(Message::Chunk(_)) | None => "",
    }
}

/// Decodes the write. Records its model in the call.
pub(super) fn write(gateway: &Gateway, call: &Call, first: v1::UploadRequest) -> Result<UploadWrite, Error> {
    let model = |field: &str, action: Action, name: &str| {
        let model = gateway.model(call, &[Action::Upload, action], name);
        let model = model.map_err(|error| under(field, error))?;
        call.set_model(&model.name);
        Ok::<_, Error>(model)
    };
    match first.message {
        Some(Message::Save(save)) => {
            let model = model("save", Action::Save, &save.model)?;
            Ok(UploadWrite::Save(Box::new(decode::save(save, model))))
        }
        Some(Message::Update(update)) => {
            let model = model("update", Action::Update, &update.model)?;
            Ok(UploadWrite::Update(Box::new(decode::update(update, model))))
        }
        Some(Message::Chunk(_)) | None => {
            Err(invalid("message", "must be save or update in the first message"))
        }
    }
}

/// Decodes the chunks that follow. An error of the request ends them; `end` keeps it.
pub(super) fn chunks(messages: Streaming<v1::UploadRequest>, end: StreamEnd) -> Chunks {
    let chunks = stream::unfold(Some((messages, end)), |reading| async move {
        let (mut messages, end) = reading?;
        match messages.message().await {
            Ok(Some(message)) => Some((chunk(message), Some((messages, end)))),
            Ok(None) => None,
            Err(status) => {
                end.set(status);
                Some((Err(Error::Interrupted), None))
            }
        }
    });
    chunks.boxed()
}

fn chunk(message: v1::UploadRequest) -> Result<ObjectChunk, Error> {
    match message.message {
        Some(Message::Chunk(chunk)) => Ok(ObjectChunk {
            attribute: chunk.attribute,
            data: chunk.data,
            end: chunk.end,
            sha256: chunk.sha256,
        }),
        Some(Message::Save(_)) => Err(invalid("save", "must be unset after the first message")),
        Some(Message::Update(_)) => Err(invalid("update", "must be unset after the first message")),
        None => Err(invalid("chunk", "is required after the first message")),
    }
}

fn under(field: &str, error: Error) -> Error {
    match error {
        Error::Invalid(faults) => Error::Invalid(faults.under(field)),
        error => error,
    }
}

fn invalid(field: &str, description: &str) -> Error {
    Error::Invalid(Faults::from(Fault::new(field, description)))
}
