//! The writes of a plan as requests of the contract.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::batch_write_request::Write as BatchWrite;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_proto::v1::upload_request::Message;
use tollgate_tests::values::{AttributeValue, Item, expression, item, key, n, s};

use super::content::Written;
use super::plan::Model;
use super::state::{Change, Condition, Effect, State, Write};

/// Bytes of a message of an Upload.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A write as one request: a Save, an Update or a Delete.
pub(crate) enum Request {
    Save(v1::SaveRequest),
    Update(v1::UpdateRequest),
    Delete(v1::DeleteRequest),
    Check(v1::CheckRequest),
}

/// What a write is addressed to.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) model: Model,
    pub(crate) partition: &'a str,
    pub(crate) request_id: &'a str,
}

impl Target<'_> {
    pub(crate) fn key(&self) -> Item {
        key(self.partition, "V1")
    }

    fn model(&self) -> String {
        self.model.name().to_owned()
    }

    /// The request of a write.
    pub(crate) fn request(&self, write: &Write, return_values: i32) -> Request {
        let condition = condition(write.condition);
        let request_id = self.request_id(&write.effect);
        // what is remembered in a table is written by a transaction, which returns no items
        let return_values = match self.model {
            Model::Marked => 0,
            Model::Plain | Model::Remembered | Model::Sealed | Model::Copied => return_values,
        };
        match &write.effect {
            Effect::Save(state) => Request::Save(v1::SaveRequest {
                model: self.model(),
                item: self.item(state),
                condition,
                return_values,
                request_id,
                ..v1::SaveRequest::default()
            }),
            Effect::Update(change) => Request::Update(v1::UpdateRequest {
                model: self.model(),
                key: self.key(),
                update: Some(update(change)),
                condition,
                return_values,
                request_id,
                ..v1::UpdateRequest::default()
            }),
            Effect::Delete => Request::Delete(v1::DeleteRequest {
                model: self.model(),
                key: self.key(),
                condition,
                return_values,
                request_id,
                ..v1::DeleteRequest::default()
            }),
            Effect::Check | Effect::Keep { .. } => Request::Check(v1::CheckRequest {
                model: self.model(),
                key: self.key(),
                condition,
                return_values,
            }),
        }
    }

    /// A Save of an item as it was read, with another note.
    pub(crate) fn keep(&self, found: Item, note: u32) -> v1::SaveRequest {
        let mut kept = found;
        kept.remove("hits");
        kept.insert("note".to_owned(), s(format!("w{note}")));
        for value in kept.values_mut() {
            if let Some(Kind::Object(object)) = &mut value.kind {
                object.data = None;
            }
        }
        v1::SaveRequest {
            model: self.model(),
            item: kept,
            request_id: self.request_id(&Effect::Check),
            ..v1::SaveRequest::default()
        }
    }

    /// The request id; none if nothing would remember it.
    fn request_id(&self, effect: &Effect) -> String {
        match (self.model, effect) {
            (Model::Plain | Model::Sealed | Model::Copied, _) | (Model::Remembered, Effect::Delete) => {
                String::new()
            }
            (Model::Remembered | Model::Marked, _) => self.request_id.to_owned(),
        }
    }

    fn item(&self, state: &State) -> Item {
        let mut written = self.key();
        if let Some(note) = state.note {
            written.insert("note".to_owned(), s(format!("w{note}")));
        }
        for object in state.objects() {
            written.insert(object.slot.name().to_owned(), value(&object));
        }
        written
    }
}

/// The messages of an Upload that writes the same as a Save.
pub(crate) fn uploading(mut save: v1::SaveRequest) -> Vec<v1::UploadRequest> {
    let mut chunks = Vec::new();
    for (name, value) in &mut save.item {
        let Some(Kind::Object(object)) = &mut value.kind else {
            continue;
        };
        let data = object.data.take().unwrap_or_default();
        let count = data.len().div_ceil(CHUNK_BYTES).max(1);
        chunks.extend((1..=count).map(|number| {
            let from = (number - 1) * CHUNK_BYTES;
            Message::Chunk(v1::ObjectChunk {
                attribute: name.clone(),
                data: data.slice(from..data.len().min(from + CHUNK_BYTES)),
                end: number == count,
                ..v1::ObjectChunk::default()
            })
        }));
    }
    let messages = std::iter::once(Message::Save(save)).chain(chunks);
    messages
        .map(|message| v1::UploadRequest {
            message: Some(message),
        })
        .collect()
}

impl Request {
    /// As a part of a batch.
    pub(crate) fn in_batch(self) -> v1::BatchWriteRequest {
        let write = match self {
            Request::Save(save) => Some(BatchWrite::Save(save)),
            Request::Update(update) => Some(BatchWrite::Update(update)),
            Request::Delete(delete) => Some(BatchWrite::Delete(delete)),
            Request::Check(_) => None,
        };
        v1::BatchWriteRequest { write }
    }

    /// As an operation of a transaction.
    pub(crate) fn in_transaction(self) -> v1::TransactOperation {
        let operation = match self {
            Request::Save(save) => Operation::Save(v1::SaveRequest {
                request_id: String::new(),
                ..save
            }),
            Request::Update(update) => Operation::Update(v1::UpdateRequest {
                request_id: String::new(),
                ..update
            }),
            Request::Delete(delete) => Operation::Delete(v1::DeleteRequest {
                request_id: String::new(),
                ..delete
            }),
            Request::Check(check) => Operation::Check(check),
        };
        v1::TransactOperation {
            operation: Some(operation),
        }
    }
}

fn condition(condition: Condition) -> Option<v1::Expression> {
    match condition {
        Condition::None => None,
        Condition::Exists => expression("attribute_exists(pk)", []),
        Condition::Missing => expression("attribute_not_exists(pk)", []),
    }
}

fn update(change: &Change) -> v1::Expression {
    let mut values = Item::new();
    let mut set = Vec::new();
    if let Some(note) = change.note {
        set.push("note = :note".to_owned());
        values.insert(":note".to_owned(), s(format!("w{note}")));
    }
    for object in &change.set {
        let name = object.slot.name();
        set.push(format!("{name} = :{name}"));
        values.insert(format!(":{name}"), value(object));
    }
    let mut text = String::new();
    if !set.is_empty() {
        text += &format!("SET {} ", set.join(", "));
    }
    if !change.remove.is_empty() {
        let names: Vec<_> = change.remove.iter().map(|slot| slot.name()).collect();
        text += &format!("REMOVE {} ", names.join(", "));
    }
    if change.count {
        text += "ADD hits :one";
        values.extend(item([(":one", n(1))]));
    }
    v1::Expression {
        text,
        values,
        ..v1::Expression::default()
    }
}

fn value(object: &Written) -> AttributeValue {
    let written = v1::Object {
        data: Some(object.content()),
        name: object.name(),
        metadata: [("write".to_owned(), object.write.to_string())].into(),
        ..v1::Object::default()
    };
    AttributeValue {
        kind: Some(Kind::Object(Box::new(written))),
    }
}
