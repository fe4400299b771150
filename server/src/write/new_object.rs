//! Makes the new objects of an item, in the stored form of their attribute: compressed, then encrypted.

use crate::crypto::CallKeys;
use crate::crypto::envelope::Place;
use crate::crypto::object::ObjectSealer;
use crate::item::Key;
use crate::item::pointer::OffloadedKind;
use crate::item::store::sealing_key;
use crate::model::{Attribute, AttributeType, Encryption, Model, Object, Offload};
use crate::object::content::ContentStream;
use crate::object::encoder::Encoder;
use crate::object::upload::NewObject;

use super::error::Error;

/// What the new objects of one item have in common.
#[derive(Clone, Copy)]
pub(super) struct NewObjects<'a> {
    pub(super) model: &'a Model,
    pub(super) key: &'a Key,
    /// The data keys of the item, which the values that it seals use too.
    pub(super) keys: &'a CallKeys,
}

impl NewObjects<'_> {
    /// A new object of an attribute; `None` if it has no content. Sends nothing: the data key is there already.
    pub(super) async fn make(
        &self,
        attribute: &Attribute,
        offload: &Offload,
        object: Object,
        stream: Option<ContentStream>,
    ) -> Result<Option<NewObject>, Error> {
        let Some(object) = NewObject::new(self.model, self.key, offload, object, stream) else {
            return Ok(None);
        };
        let mut encoder = Encoder::default();
        if let Some(options) = attribute.compressed {
            encoder
                .compress(options)
                .map_err(|_| Error::Internal("the compressor failed"))?;
        }
        if let Some(encryption) = &attribute.encrypted {
            self.seal(&mut encoder, attribute, encryption).await?;
        }
        Ok(Some(object.encoded(encoder, kind(attribute))))
    }

    async fn seal(
        &self,
        encoder: &mut Encoder,
        attribute: &Attribute,
        encryption: &Encryption,
    ) -> Result<(), Error> {
        let sealing = sealing_key(self.model, encryption, self.key, self.keys).await?;
        let place = Place::new(&self.model.table, self.key.partition(), self.key.sort());
        let place = place.ok_or(Error::Internal("a key is not S, N or B"))?;
        let sealer = ObjectSealer::new(&sealing.key, &sealing.wrapped, &place, &attribute.stored_name);
        let (sealer, header) = sealer.map_err(|_| Error::Internal("the object cannot be encrypted"))?;
        encoder.seal(sealer, header);
        Ok(())
    }
}

/// The type of the values of an attribute that are offloaded.
fn kind(attribute: &Attribute) -> Option<OffloadedKind> {
    match attribute.kind {
        AttributeType::Object => None,
        AttributeType::Binary => Some(OffloadedKind::Binary),
        _ => Some(OffloadedKind::String),
    }
}
