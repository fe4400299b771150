//! The stores that outlive the servers, and what they really hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::runtime::{Builder, Handle, Runtime};
use tollgate::aws::Connectors;
use tollgate::embedded::{Engines, Place, Synchronous};
use tollgate_tests::stores::{RawStores, Stored};

use super::content::{Slot, Written};
use super::plan::{BUCKET, Model};
use super::state::State;

/// The engines, in memory, on their own threads.
pub(crate) struct Store {
    runtime: Runtime,
    connectors: Connectors,
    raw: RawStores,
}

impl Store {
    pub(crate) fn open() -> Store {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let engines = runtime.block_on(Engines::open(&Place::Memory, Synchronous::Normal));
        let engines = engines.expect("engines in memory");
        let connectors = Connectors {
            dynamodb: engines.dynamodb,
            kms: engines.kms,
            s3: engines.s3,
            over_sockets: false,
        };
        Store {
            raw: RawStores::over(&connectors),
            runtime,
            connectors,
        }
    }

    pub(crate) fn engines(&self) -> Handle {
        self.runtime.handle().clone()
    }

    pub(crate) fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// The item as it is stored, with its objects, each of them whole.
    pub(crate) fn read(&self, model: Model, partition: &str) -> Result<Option<State>, String> {
        self.runtime.block_on(async {
            let Some(stored) = self.raw.item(model.table(), partition, "V1").await else {
                return Ok(None);
            };
            let mut state = State {
                note: stored.get("note").and_then(note),
                hits: stored.get("hits").and_then(number).unwrap_or_default(),
                ..State::default()
            };
            for slot in Slot::ALL {
                if let Some(pointer) = stored.get(slot.name()) {
                    let found = self.object(model, partition, slot, pointer).await;
                    let found = found.map_err(|what| format!("{partition} {}: {what}", slot.name()))?;
                    state.set_object(slot, Some(found));
                }
            }
            Ok(Some(state))
        })
    }

    /// The object of a pointer, whole and the item's own.
    async fn object(
        &self,
        model: Model,
        partition: &str,
        slot: Slot,
        pointer: &AttributeValue,
    ) -> Result<Written, String> {
        let pointer = pointer.as_m().map_err(|_| "not a pointer".to_owned())?;
        let text = |name: &str| pointer.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (name, key) = (text("name").unwrap_or_default(), text("key").unwrap_or_default());
        let written = Written::from_name(&name).filter(|written| written.slot == slot);
        let written = written.ok_or_else(|| format!("an object named {name:?}"))?;
        let read = self.raw.s3.get_object().bucket(BUCKET).key(&key).send().await;
        let object = read.map_err(|_| format!("a dangling pointer to {key}"))?;
        let metadata = object.metadata.unwrap_or_default();
        let content = object.body.collect().await.map_err(|error| error.to_string())?;
        // what is sealed or compressed is read through the server at the end
        let is_plain = !pointer.contains_key("mac") && !pointer.contains_key("encoding");
        if is_plain && content.into_bytes() != written.content() {
            return Err(format!("another content than {name} in {key}"));
        }
        let owner = [
            ("tollgate-table", model.table()),
            ("tollgate-partition", partition),
        ];
        if owner
            .iter()
            .any(|(name, value)| metadata.get(*name).map(String::as_str) != Some(value))
        {
            return Err(format!("another owner of {key}: {metadata:?}"));
        }
        Ok(written)
    }

    /// The keys of the objects of these partitions that no item points to, and how many uploads are open.
    pub(crate) fn unreferenced(&self, items: &[(Model, String)]) -> (BTreeSet<String>, usize) {
        self.runtime.block_on(async {
            let mut keys = BTreeSet::new();
            for (model, partition) in items {
                let folder = format!("{}{partition}/", model.prefix());
                keys.extend(self.keys(&folder).await);
                // a copy with the same key and prefix protects what it points to
                let models = [*model, Model::Copied].into_iter();
                for model in models.filter(|other| other.prefix() == model.prefix()) {
                    let stored = self.raw.item(model.table(), partition, "V1").await;
                    for key in stored.iter().flat_map(pointed_at) {
                        keys.remove(&key);
                    }
                }
            }
            let uploads = items
                .iter()
                .map(|(model, partition)| self.uploads(*model, partition));
            let uploads = futures::future::join_all(uploads).await;
            (keys, uploads.iter().map(Vec::len).sum())
        })
    }

    /// The keys and ids of the open multipart uploads of an item.
    async fn uploads(&self, model: Model, partition: &str) -> Vec<(String, String)> {
        let prefix = format!("{}{partition}/", model.prefix());
        let list = self.raw.s3.list_multipart_uploads().bucket(BUCKET).prefix(prefix);
        let listed = list.send().await.expect("the engine responds");
        let uploads = listed.uploads.unwrap_or_default();
        let uploads = uploads.into_iter();
        uploads
            .filter_map(|upload| Some((upload.key?, upload.upload_id?)))
            .collect()
    }

    async fn keys(&self, prefix: &str) -> Vec<String> {
        let list = self.raw.s3.list_objects_v2().bucket(BUCKET).prefix(prefix);
        let listed = list.send().await.expect("the engine responds");
        let objects = listed.contents.unwrap_or_default();
        objects.into_iter().filter_map(|object| object.key).collect()
    }

    /// Copies the pointers of an item into another item of the table of copies. Returns whether there were any.
    pub(crate) fn copy_pointers(&self, model: Model, partition: &str) -> bool {
        self.runtime.block_on(async {
            let Some(stored) = self.raw.item(model.table(), partition, "V1").await else {
                return false;
            };
            let mut copied: Stored = HashMap::from([
                ("pk".to_owned(), AttributeValue::S(partition.to_owned())),
                ("sk".to_owned(), AttributeValue::S("V1".to_owned())),
            ]);
            let pointers = stored.into_iter().filter(|(name, _)| is_slot(name));
            let pointers: BTreeMap<_, _> = pointers.collect();
            let has_pointers = !pointers.is_empty();
            copied.extend(pointers);
            self.raw.put(Model::Copied.table(), copied).await;
            has_pointers
        })
    }

    /// Removes what a history left, so that the next ones have the memory.
    pub(crate) fn clear(&self, items: &[(Model, String)]) {
        self.runtime.block_on(async {
            for (model, partition) in items {
                for key in self.keys(&format!("{}{partition}/", model.prefix())).await {
                    self.raw.delete_object(BUCKET, &key).await;
                }
                for (key, id) in self.uploads(*model, partition).await {
                    let abort = self.raw.s3.abort_multipart_upload().bucket(BUCKET).key(key);
                    abort.upload_id(id).send().await.expect("the engine responds");
                }
            }
        });
    }
}

fn is_slot(name: &str) -> bool {
    Slot::ALL.into_iter().any(|slot| slot.name() == name)
}

fn pointed_at(stored: &Stored) -> Vec<String> {
    let pointers = stored.iter().filter(|(name, _)| is_slot(name));
    let keys = pointers.filter_map(|(_, pointer)| pointer.as_m().ok()?.get("key")?.as_s().ok().cloned());
    keys.collect()
}

/// The write that set a note.
pub(crate) fn write_of(note: &str) -> Option<u32> {
    note.strip_prefix('w')?.parse().ok()
}

fn note(value: &AttributeValue) -> Option<u32> {
    write_of(value.as_s().ok()?)
}

fn number(value: &AttributeValue) -> Option<u32> {
    value.as_n().ok()?.parse().ok()
}
