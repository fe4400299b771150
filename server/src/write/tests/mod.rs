//! The commit protocol over the embedded engines, with injected faults.

mod deletes;
mod faults;
mod kept;
mod reads;
mod saves;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::*;
use crate::aws::testing::{Fault, FaultyStores};
use crate::aws::{GetItem, Kind, Resource};
use crate::call::Call;
use crate::crypto::Keyring;
use crate::figure::Bill;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::testing::{encrypted, model, object as object_attribute};
use crate::model::{AttributeType, Item, Model, Models, Object, Value};
use crate::object::download::{Download, HeldBack};
use crate::object::owner::Owner;
use crate::object::read::{ReadError, Reading};

const MIB: usize = 1024 * 1024;
const SERVER_ERROR: Fault = Fault::Respond(500, "InternalServerError");
const NEW: &str = "attribute_not_exists(pk)";

struct Harness {
    faulty: FaultyStores,
    committer: Committer,
    tasks: TaskTracker,
    model: Arc<Model>,
}

impl Harness {
    async fn new() -> Harness {
        let model = model(vec![
            encrypted("ssn", AttributeType::String),
            object_attribute("file", "docs/"),
            object_attribute("photo", "docs/"),
        ]);
        let faulty = FaultyStores::new(&Models::new([model.clone()])).await;
        let tasks = TaskTracker::new();
        let keyring = Keyring::new(faulty.stores.kms.clone(), 4);
        let committer = Committer::new(faulty.stores.clone(), keyring, tasks.clone());
        Harness {
            faulty,
            committer,
            tasks,
            model: Arc::new(model),
        }
    }

    fn write(&self, call: &Call, objects: &[(&str, &Bytes)]) -> SaveRequest {
        let mut item = key_item();
        for (name, content) in objects {
            item.insert((*name).to_owned(), object(content));
        }
        SaveRequest {
            call: call.clone(),
            model: Arc::clone(&self.model),
            item,
            condition: None,
            return_old: false,
            version: None,
            generated: Item::new(),
            identity: None,
            contents: Contents::new(),
        }
    }

    /// Saves an item with one object and returns its pointer.
    async fn saved(&self, content: &Bytes) -> Pointer {
        let write = self.write(&Call::for_test(), &[("file", content)]);
        let committed = self.committer.save(write).await.unwrap();
        self.faulty.take_sent();
        committed.objects.into_iter().next().unwrap().1
    }

    async fn stored(&self) -> Option<Item> {
        let get = GetItem {
            table: "users".into(),
            key: key_item(),
            consistent_read: true,
            ..GetItem::default()
        };
        let item = self
            .faulty
            .stores
            .dynamodb
            .get_item(&Call::for_test(), get)
            .await
            .unwrap();
        self.faulty.take_sent();
        item
    }

    /// The pointer in the stored item.
    async fn pointer(&self) -> Option<Pointer> {
        Pointer::from_value(self.stored().await?.get("file")?)
    }

    async fn content(&self, pointer: &Pointer) -> Result<Bytes, ReadError> {
        self.range(pointer, 0..pointer.size_bytes).await
    }

    async fn range(&self, pointer: &Pointer, range: Range<u64>) -> Result<Bytes, ReadError> {
        let key = Key::from_item(&self.model, &key_item()).unwrap();
        let file = self.model.attribute("file").unwrap();
        let reading = Reading {
            owner: Owner {
                model: &self.model,
                key: &key,
            },
            offload: file.s3.as_ref().unwrap(),
            pointer,
            sealing: None,
        };
        let (s3, call) = (&self.faulty.stores.s3, Call::for_test());
        let opened = Download::open(s3, &call, reading, range, HeldBack::Everything).await;
        self.faulty.take_sent();
        Ok(opened?.next().await?.unwrap_or_default())
    }

    /// The keys of all objects and incomplete uploads in the bucket.
    async fn keys(&self) -> Vec<String> {
        let client = self.faulty.stores.s3.raw();
        let objects = client.list_objects_v2().bucket("files").send().await.unwrap();
        let uploads = client
            .list_multipart_uploads()
            .bucket("files")
            .send()
            .await
            .unwrap();
        self.faulty.take_sent();
        let mut keys: Vec<_> = objects
            .contents()
            .iter()
            .filter_map(|object| object.key.clone())
            .collect();
        keys.extend(
            uploads
                .uploads()
                .iter()
                .filter_map(|upload| Some(format!("upload of {}", upload.key()?))),
        );
        keys
    }

    async fn idle(&self) {
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(20), self.tasks.wait())
            .await
            .unwrap();
    }
}

fn key_item() -> Item {
    Item::from(["pk", "sk"].map(|name| (name.to_owned(), Value::S("1".into()))))
}

fn object(content: &Bytes) -> Value {
    Value::Object(Box::new(Object {
        data: Some(content.clone()),
        name: "report.pdf".into(),
        content_type: "application/pdf".into(),
        ..Object::default()
    }))
}

/// An object as a read returns it, without data.
fn stored_object(pointer: &Pointer) -> Value {
    Value::Object(Box::new(pointer.to_object()))
}

fn content(bytes: usize) -> Bytes {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}

fn condition(text: &str) -> Option<Condition> {
    Some(Condition {
        text: text.to_owned(),
        ..Condition::default()
    })
}

fn kind(result: Result<Committed, Error>) -> Kind {
    match result.unwrap_err() {
        Error::Store(error) => error.kind,
        error => panic!("{error}"),
    }
}

fn s3_counts(bill: &Bill) -> (u64, u64) {
    (bill.s3_calls, bill.uploaded_bytes)
}

fn removal(harness: &Harness, call: &Call) -> DeleteRequest {
    DeleteRequest {
        call: call.clone(),
        model: Arc::clone(&harness.model),
        key: Key::from_item(&harness.model, &key_item()).unwrap(),
        condition: None,
        return_old: false,
        version: None,
        identity: None,
    }
}
