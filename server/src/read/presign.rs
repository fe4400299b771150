//! Signs a URL of the object that an item has.

use std::collections::HashMap;
use std::time::Duration;

use super::error::Error;
use super::reader::Reader;
use super::stored_pointer::StoredPointer;
use super::view::View;
use crate::aws::SignedUrl;
use crate::call::Call;
use crate::item::{Key, tenant};
use crate::model::Offload;
use crate::object::owner::Owner;
use crate::object::presign::presign;
use crate::object::read::Reading;

/// The object whose URL to sign, as far as the request has been checked.
pub struct Presign {
    /// The item's key.
    pub key: Key,
    /// The part of the item that is read: the attribute.
    pub view: View,
    /// The placeholder names of the view's projection.
    pub names: HashMap<String, String>,
    /// The object attribute.
    pub attribute: String,
    /// Where its options say that objects are.
    pub offload: Offload,
    /// How long the URL is to be valid.
    pub life: Duration,
}

impl Reader {
    /// Whether URLs can be signed.
    pub fn signs_urls(&self) -> bool {
        self.stores.s3.signs_urls()
    }

    /// Signs a URL that reads the object which the item has now: a consistent read, since nobody sees that a URL is stale.
    /// `None` if the object is stored in another form than its content, encrypted or compressed.
    ///
    /// # Errors
    ///
    /// `ItemNotFound`, `ObjectNotFound` and `ForeignPointer`; otherwise see [`Error`].
    pub async fn presign(&self, call: &Call, request: Presign) -> Result<Option<SignedUrl>, Error> {
        let Presign {
            key,
            view,
            names,
            attribute,
            offload,
            life,
        } = request;
        tenant::check(&view.model, call, &key)?;
        let stored = StoredPointer {
            key: &key,
            view: &view,
            names: &names,
            attribute: &attribute,
        };
        let keys = self.keyring.for_call(call);
        let pointer = stored.read(self, call, &keys, true, false).await?;
        if !pointer.mac.is_empty() || pointer.encoding.is_some() {
            return Ok(None);
        }
        let reading = Reading {
            owner: Owner {
                model: &view.model,
                key: &key,
            },
            offload: &offload,
            pointer: &pointer,
            sealing: None,
        };
        let signed = presign(&self.stores.s3, call, reading, life).await;
        match signed {
            Ok(signed) => Ok(Some(signed)),
            Err(error) => Err(Error::from_object(&attribute, error)),
        }
    }
}
