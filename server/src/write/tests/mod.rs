//! The protocol, over the embedded engines with faults on the way.

mod faults;
mod kept;
mod reads;

use std::collections::HashMap;
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
use crate::object::owner::Owner;
use crate::object::read::{ReadError, Reading, read};

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
        }
    }

    /// Saves one object; answers its pointer.
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

    /// Where the stored item's file is.
    async fn pointer(&self) -> Option<Pointer> {
        Pointer::from_value(self.stored().await?.get("file")?)
    }

    async fn content(&self, pointer: &Pointer) -> Result<Bytes, ReadError> {
        let content = self.bounded_content(pointer, usize::MAX).await;
        self.faulty.take_sent();
        content
    }

    async fn bounded_content(&self, pointer: &Pointer, max_bytes: usize) -> Result<Bytes, ReadError> {
        let key = Key::of_item(&self.model, &key_item()).unwrap();
        let file = self.model.attribute("file").unwrap();
        let reading = Reading {
            owner: Owner {
                model: &self.model,
                key: &key,
            },
            offload: file.s3.as_ref().unwrap(),
            pointer,
        };
        read(&self.faulty.stores.s3, &Call::for_test(), reading, max_bytes).await
    }

    /// Every key in the bucket, of objects and of uploads that were not completed.
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
        key: Key::of_item(&harness.model, &key_item()).unwrap(),
        condition: None,
        return_old: false,
    }
}

#[tokio::test]
async fn an_object_costs_as_many_calls_as_it_has_parts() {
    let harness = Harness::new().await;
    for (bytes, calls) in [(0, 1), (MIB, 1), (5 * MIB, 1), (6 * MIB, 4), (15_000_000, 5)] {
        let call = Call::for_test();
        let content = content(bytes);
        let committed = harness
            .committer
            .save(harness.write(&call, &[("file", &content)]))
            .await
            .unwrap();
        let deletes = harness
            .faulty
            .take_sent()
            .iter()
            .filter(|name| *name == "DeleteObject")
            .count() as u64;
        let bill = call.bill();
        assert_eq!(s3_counts(&bill), (calls + deletes, bytes as u64), "{bytes} bytes");
        assert_eq!((bill.put_count, bill.kms_calls), (1, 0));
        let [(name, pointer)] = &committed.objects[..] else {
            panic!("one object")
        };
        assert_eq!((name.as_str(), pointer.size_bytes), ("file", bytes as u64));
        assert_eq!(harness.pointer().await.as_ref(), Some(pointer));
        assert_eq!(harness.content(pointer).await.unwrap(), content);
        assert_eq!(
            harness.keys().await,
            [pointer.key.as_str()],
            "the old one is gone"
        );
    }
}

#[tokio::test]
async fn the_object_tells_its_owner_and_its_type() {
    let harness = Harness::new().await;
    let mut write = harness.write(&Call::for_test(), &[]);
    let mut file = Object {
        data: Some(content(10)),
        content_type: "text/plain".into(),
        ..Object::default()
    };
    file.metadata.insert("author".into(), "somebody".into());
    file.metadata.insert("X-Any!".into(), "a  b".into());
    write.item.insert("pk".into(), Value::S("A/B ü".into()));
    write
        .item
        .insert("file".into(), Value::Object(Box::new(file.clone())));
    let committed = harness.committer.save(write).await.unwrap();
    let pointer = &committed.objects[0].1;
    let own = [("author", "somebody"), ("x-any!", "a  b")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pointer.metadata, HashMap::from(own));
    assert_eq!(pointer.table, "users");
    assert!(
        pointer.key.starts_with("docs/A%2FB%20%C3%BC/1/"),
        "{}",
        pointer.key
    );
    let head = harness
        .faulty
        .stores
        .s3
        .raw()
        .head_object()
        .bucket("files")
        .key(&pointer.key)
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    let metadata = head.metadata().unwrap();
    let told = |name: &str| metadata.get(name).map(String::as_str);
    assert_eq!(told("tollgate-table"), Some("users"));
    assert_eq!(told("tollgate-partition"), Some("A%2FB%20%C3%BC"));
    assert_eq!(
        (told("tollgate-sort"), told("author"), told("x-any!")),
        (Some("1"), Some("somebody"), Some("a  b"))
    );
    assert_eq!(metadata.len(), 5);
}

#[tokio::test]
async fn what_the_old_item_owned_is_deleted_after_the_commit() {
    let harness = Harness::new().await;
    let (first, second) = (content(100), content(200));
    let call = Call::for_test();
    let committed = harness
        .committer
        .save(harness.write(&call, &[("file", &first), ("photo", &second)]))
        .await
        .unwrap();
    assert_eq!((committed.objects.len(), s3_counts(&call.bill())), (2, (2, 300)));
    assert!(committed.old.is_none());
    harness.faulty.take_sent();
    let mut write = harness.write(&call, &[("file", &second)]);
    write.return_old = true;
    let replaced = harness.committer.save(write).await.unwrap();
    let old = replaced.old.unwrap();
    assert_eq!(old.item["photo"], stored_object(&committed.objects[1].1));
    let left = harness.faulty.take_sent();
    assert_eq!(left[..2], ["PutObject", "PutItem"]);
    assert_eq!(left[2..], ["DeleteObject", "DeleteObject"]);
    assert_eq!(harness.keys().await, [replaced.objects[0].1.key.clone()]);
}

#[tokio::test]
async fn a_refused_commit_deletes_the_fresh_object_and_leaves_the_live_one() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    for (bytes, calls) in [(200, 2), (6 * MIB, 5)] {
        let call = Call::for_test();
        let mut write = harness.write(&call, &[("file", &content(bytes))]);
        write.condition = condition(NEW);
        write.return_old = true;
        let error = harness.committer.save(write).await.unwrap_err();
        let Error::ConditionFailed {
            current: Some(current),
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(current.item["file"], stored_object(&live));
        assert_eq!(s3_counts(&call.bill()), (calls, bytes as u64));
        assert!(call.bill().estimated_write_milliunits > 0);
        assert_eq!(harness.keys().await, [live.key.as_str()]);
        assert_eq!(harness.content(&live).await.unwrap(), content(100));
    }
}

#[tokio::test]
async fn a_delete_takes_the_objects_along() {
    let harness = Harness::new().await;
    harness.saved(&content(100)).await;
    let call = Call::for_test();
    assert!(
        harness
            .committer
            .delete(removal(&harness, &call))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(harness.faulty.take_sent(), ["DeleteItem", "DeleteObject"]);
    assert_eq!((call.bill().delete_count, call.bill().s3_calls), (1, 1));
    assert_eq!(harness.keys().await, Vec::<String>::new());
    let again = DeleteRequest {
        return_old: true,
        ..removal(&harness, &call)
    };
    assert!(harness.committer.delete(again).await.unwrap().is_none());
    assert_eq!(
        harness.faulty.take_sent(),
        ["DeleteItem"],
        "what is gone costs nothing more"
    );
}

#[tokio::test]
async fn a_refused_or_unanswered_delete_deletes_no_object() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let call = Call::for_test();
    let refused = DeleteRequest {
        condition: condition("attribute_exists(nothing)"),
        return_old: true,
        ..removal(&harness, &call)
    };
    let error = harness.committer.delete(refused).await.unwrap_err();
    assert!(matches!(error, Error::ConditionFailed { current: Some(_) }));
    for _ in 0..3 {
        harness.faulty.inject("DeleteItem", SERVER_ERROR);
    }
    let error = harness
        .committer
        .delete(removal(&harness, &call))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Store(error) if error.kind == Kind::OutcomeUnknown));
    assert_eq!((call.bill().s3_calls, harness.keys().await), (0, vec![live.key]));
}

#[tokio::test]
async fn a_pointer_to_another_place_is_not_followed() {
    let harness = Harness::new().await;
    let live = harness.saved(&content(100)).await;
    let mut elsewhere = (*harness.model).clone();
    for attribute in elsewhere
        .attributes
        .iter_mut()
        .filter(|attribute| attribute.s3.is_some())
    {
        attribute.s3.as_mut().unwrap().prefix = "other/".into();
    }
    let removal = DeleteRequest {
        model: Arc::new(elsewhere),
        ..removal(&harness, &Call::for_test())
    };
    harness.committer.delete(removal).await.unwrap();
    assert_eq!(harness.faulty.take_sent(), ["DeleteItem"]);
    assert_eq!(harness.keys().await, [live.key]);
}

#[tokio::test]
async fn a_model_without_objects_needs_one_write() {
    let harness = Harness::new().await;
    let plain = Arc::new(model(vec![encrypted("ssn", AttributeType::String)]));
    let call = Call::for_test();
    let write = || SaveRequest {
        model: Arc::clone(&plain),
        ..harness.write(&call, &[])
    };
    harness.committer.save(write()).await.unwrap();
    assert_eq!(harness.faulty.take_sent(), ["PutItem"]);
    let old = harness
        .committer
        .save(SaveRequest {
            return_old: true,
            ..write()
        })
        .await
        .unwrap()
        .old;
    assert_eq!(old.map(|old| old.item), Some(key_item()));
    for _ in 0..3 {
        harness.faulty.inject("PutItem", Fault::LoseResponse);
    }
    let mut other = write();
    other.item.insert("note".into(), Value::S("x".into()));
    harness.committer.save(other).await.unwrap();
    assert_eq!(harness.stored().await.unwrap().len(), 3);
    assert_eq!(harness.tasks.len(), 0);
}
