//! Upload tokens: what Presign returns with a URL for an upload, and what a write sends back to take the upload up. Sealed,
//! and bound to the item and the attribute that the upload is for.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x01` |
//! | 12 | nonce, random |
//! | rest | AES-256-GCM ciphertext and tag of the upload (JSON) |
//!
//! The whole token is base64url without padding. The key is derived from that of page tokens. The associated data is the
//! item's table and key, the stored name of the attribute, and the id of an authenticated caller, each length-prefixed. Golden
//! file: `golden/upload_token_1.txt`.

use aes_gcm::aead::{Aead as _, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::Error;
use crate::item::{ItemId, Key};
use crate::model::{Attribute, Model, Upload};

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
/// What the key is derived for; never changes, since all replicas must derive the same one.
const PURPOSE: &[u8] = b"tollgate upload token v1";
/// An object's key, a name and a media type have at most 2 KB, three times that in JSON and base64 at most.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Seals and opens upload tokens with one key, the same on all replicas.
#[derive(Clone)]
pub struct UploadTokens {
    cipher: Aes256Gcm,
}

/// An upload by URL, as its token describes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresignedUpload {
    /// The bucket.
    pub bucket: String,
    /// The key under which it is uploaded.
    pub key: String,
    /// The region of the bucket, if it differs from the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The file name, or empty.
    pub name: String,
    /// The media type, or empty.
    pub content_type: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 in lower-case hex.
    pub sha256: String,
}

/// What a token is bound to.
#[derive(Clone, Copy)]
pub struct UploadPlace<'a> {
    /// The id of the caller; empty if callers are not authenticated.
    pub caller: &'a [u8],
    /// The item's model.
    pub model: &'a Model,
    /// The item's key.
    pub key: &'a Key,
    /// The object attribute.
    pub attribute: &'a Attribute,
}

impl PresignedUpload {
    /// Where the upload is.
    pub fn upload(&self) -> Upload {
        Upload {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            region: self.region.clone(),
        }
    }
}

impl UploadTokens {
    /// Tokens under a key that is derived from this one.
    pub fn new(key: &[u8; 32]) -> UploadTokens {
        let mut derived = [0; 32];
        Hkdf::<Sha256>::new(None, key)
            .expand(PURPOSE, &mut derived)
            .expect("32 bytes are one block of SHA-256");
        UploadTokens {
            cipher: Aes256Gcm::new(&derived.into()),
        }
    }

    /// Opens the token of an upload for this attribute of this item. `None` if it is for another one, or was not sealed
    /// with this key.
    pub fn open(&self, token: &str, place: UploadPlace<'_>) -> Option<PresignedUpload> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (&[FORMAT], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: sealed,
            aad: &place.to_bytes(),
        };
        let opened = self
            .cipher
            .decrypt(&Nonce::<Aes256Gcm>::from(*nonce), payload)
            .ok()?;
        serde_json::from_slice(&opened).ok()
    }

    /// The token of an upload for this attribute of this item.
    pub(super) fn seal(&self, upload: &PresignedUpload, place: UploadPlace<'_>) -> Result<String, Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| Error::Internal("the system random source failed"))?;
        self.seal_with_nonce(nonce, upload, &place.to_bytes())
    }

    fn seal_with_nonce(
        &self,
        nonce: [u8; NONCE_BYTES],
        upload: &PresignedUpload,
        place: &[u8],
    ) -> Result<String, Error> {
        let upload =
            serde_json::to_vec(upload).map_err(|_| Error::Internal("an upload could not be encoded"))?;
        let payload = Payload {
            msg: &upload,
            aad: place,
        };
        let nonce = Nonce::<Aes256Gcm>::from(nonce);
        let sealed = self
            .cipher
            .encrypt(&nonce, payload)
            .map_err(|_| Error::Internal("an upload token could not be encrypted"))?;
        Ok(URL_SAFE_NO_PAD.encode([&[FORMAT], nonce.as_slice(), &sealed].concat()))
    }
}

impl UploadPlace<'_> {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = ItemId::new(&self.model.table, self.key).into_bytes();
        let caller = Some(self.caller).filter(|caller| !caller.is_empty());
        let parts = [Some(self.attribute.stored_name.as_bytes()), caller];
        for part in parts.into_iter().flatten() {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::testing::{model, object};
    use crate::model::{Item, Value};

    const GOLDEN: &str = include_str!("golden/upload_token_1.txt");

    fn upload() -> PresignedUpload {
        PresignedUpload {
            bucket: "my-bucket".to_owned(),
            key: "docs/.uploads/00000000000000000000000007".to_owned(),
            region: None,
            name: "report.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 7,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        }
    }

    fn tokens() -> UploadTokens {
        UploadTokens::new(&[7; 32])
    }

    fn place<'a>(model: &'a Model, key: &'a Key, attribute: &'a Attribute) -> UploadPlace<'a> {
        UploadPlace {
            caller: &[],
            model,
            key,
            attribute,
        }
    }

    fn document() -> Model {
        model(vec![object("file", "docs/"), object("scan", "docs/")])
    }

    fn key(partition: &str) -> Key {
        let text = |text: &str| Value::S(text.to_owned());
        let item = Item::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text("B"))]);
        Key::from_item(&document(), &item).unwrap()
    }

    #[test]
    fn opens_a_token_only_for_its_own_place() {
        let model = document();
        let (file, scan) = (model.attribute("file").unwrap(), model.attribute("scan").unwrap());
        let key_a = key("A");
        let token = tokens().seal(&upload(), place(&model, &key_a, file)).unwrap();
        assert!(tokens().open(&token, place(&model, &key_a, file)) == Some(upload()));
        assert!(tokens().open(&token, place(&model, &key("B"), file)).is_none());
        assert!(tokens().open(&token, place(&model, &key("A"), scan)).is_none());
        let others = UploadTokens::new(&[8; 32]);
        assert!(others.open(&token, place(&model, &key("A"), file)).is_none());
        let of_caller = |caller| UploadPlace {
            caller,
            ..place(&model, &key_a, file)
        };
        let token_of_one = tokens().seal(&upload(), of_caller(&[1; 32])).unwrap();
        assert!(tokens().open(&token_of_one, of_caller(&[1; 32])) == Some(upload()));
        assert!(tokens().open(&token_of_one, of_caller(&[2; 32])).is_none());
        assert!(tokens().open(&token_of_one, of_caller(&[])).is_none());
        assert!(tokens().open(&token, of_caller(&[1; 32])).is_none());
        let mut other_table = model.clone();
        other_table.table = "others".to_owned();
        let file = other_table.attribute("file").unwrap();
        assert!(
            tokens()
                .open(&token, place(&other_table, &key("A"), file))
                .is_none()
        );
    }

    #[test]
    fn rejects_an_altered_token() {
        let model = document();
        let file = model.attribute("file").unwrap();
        let token = tokens().seal(&upload(), place(&model, &key("A"), file)).unwrap();
        for index in 0..token.len() {
            let mut edited = token.clone().into_bytes();
            edited[index] = if edited[index] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).unwrap();
            let opened = tokens().open(&edited, place(&model, &key("A"), file));
            assert!(opened.is_none(), "edited at {index}");
            assert!(
                tokens()
                    .open(&token[..index], place(&model, &key("A"), file))
                    .is_none()
            );
        }
    }

    #[test]
    fn the_format_does_not_change() {
        let model = document();
        let file = model.attribute("file").unwrap();
        let bound_to = place(&model, &key("A"), file).to_bytes();
        let token = tokens()
            .seal_with_nonce([9; NONCE_BYTES], &upload(), &bound_to)
            .unwrap();
        assert_eq!(token, GOLDEN.trim_end());
        let opened = tokens().open(GOLDEN.trim_end(), place(&model, &key("A"), file));
        assert!(opened == Some(upload()));
    }

    proptest! {
        #[test]
        fn any_text_is_refused(token in ".{0,200}") {
            let model = document();
            let file = model.attribute("file").unwrap();
            prop_assert!(tokens().open(&token, place(&model, &key("A"), file)).is_none());
        }
    }
}
