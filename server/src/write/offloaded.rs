//! Reads values that were offloaded to S3, for the response to a write: those of a replaced item before their objects are
//! deleted.

use futures::future::BoxFuture;
use tracing::warn;

use crate::aws::Stores;
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::offloaded::is_withheld;
use crate::item::pointer::Pointer;
use crate::model::limits::PAGE_MESSAGE_BYTES;
use crate::model::{Attribute, Item, Model, Object, Offload, Value};
use crate::object::owner::{Owner, offloads};
use crate::object::read::{Content, ReadError, Reading, Sealing, read};

/// The offloaded values of one item.
pub(super) struct Offloaded<'a> {
    pub(super) stores: &'a Stores,
    pub(super) keys: &'a CallKeys,
    pub(super) call: &'a Call,
    pub(super) model: &'a Model,
}

impl Offloaded<'_> {
    /// Puts the content of offloaded values into a stored item, in place of their pointers: those of the `wanted` attributes,
    /// or all. The write has its outcome already: a value that cannot be read is logged and left out.
    pub(super) fn put<'a>(&'a self, item: &'a mut Item, wanted: Option<&'a [String]>) -> BoxFuture<'a, ()> {
        // boxed: few writes read anything
        Box::pin(self.put_all(item, wanted))
    }

    async fn put_all(&self, item: &mut Item, wanted: Option<&[String]>) {
        if !self.model.offloads_values() {
            return;
        }
        let Some(key) = Key::from_item(self.model, item) else {
            return;
        };
        let is_wanted = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
        for (attribute, offload) in offloads(self.model) {
            let pointer = item.get(&attribute.stored_name).and_then(Pointer::from_value);
            let pointer = pointer.filter(|pointer| pointer.kind.is_some() && attribute.offloads_values());
            let Some(pointer) = pointer else { continue };
            if attribute.hidden || is_withheld(attribute) || !is_wanted(&attribute.name) {
                continue;
            }
            match self.read(&key, attribute, offload, &pointer).await {
                Ok(content) => {
                    let object = Object {
                        data: Some(content.bytes),
                        ..Object::default()
                    };
                    item.insert(attribute.stored_name.clone(), Value::Object(Box::new(object)));
                }
                Err(error) => warn!(
                    request_id = self.call.request_id(),
                    attribute = attribute.name,
                    "cannot read an offloaded value of the item that a write returned: {error}"
                ),
            }
        }
    }

    async fn read(
        &self,
        key: &Key,
        attribute: &Attribute,
        offload: &Offload,
        pointer: &Pointer,
    ) -> Result<Content, ReadError> {
        if pointer.size_bytes > PAGE_MESSAGE_BYTES as u64 {
            let description = "it is larger than a message".to_owned();
            return Err(ReadError::Invalid { description });
        }
        let owner = Owner {
            model: self.model,
            key,
        };
        let encryption = attribute.encrypted.as_ref();
        let reading = Reading {
            owner,
            offload,
            pointer,
            sealing: encryption.map(|encryption| Sealing {
                attribute: &attribute.stored_name,
                encryption,
                keys: self.keys,
            }),
        };
        read(&self.stores.s3, self.call, reading).await
    }
}
