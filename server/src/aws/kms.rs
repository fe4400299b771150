//! KMS: data keys, wrapped and opened. Plaintext keys leave only in zeroised memory; nothing is cached here.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_types::Blob;
use zeroize::Zeroizing;

use crate::billing::{Call, Service};

use super::error::{Detail, Error, Kind, Request};
use super::meter;

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;

/// KMS, for calls that pay for it.
#[derive(Clone, Debug)]
pub struct Kms {
    pub(super) client: aws_sdk_kms::Client,
}

/// A new data key, in clear and as it is stored.
pub struct GeneratedKey {
    /// The `CiphertextBlob`.
    pub wrapped: Vec<u8>,
    /// The key itself.
    pub plaintext: Zeroizing<[u8; KEY_BYTES]>,
}

impl Kms {
    /// A new AES-256 data key under `key_id` (id, ARN or alias), bound to `context`.
    ///
    /// # Errors
    ///
    /// `Missing` for a key that is not there, `KeyUnusable` for one that is disabled or not allowed.
    pub async fn generate_data_key(
        &self,
        call: &Call,
        key_id: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<GeneratedKey, Error> {
        let request = request("GenerateDataKey", key_id);
        let sent = Box::pin(
            self.client
                .generate_data_key()
                .key_id(key_id)
                .key_spec(DataKeySpec::Aes256)
                .set_encryption_context(encryption_context(context))
                .send(),
        );
        let output = meter::send(call, &request, sent)
            .await
            .map_err(|failure| request.error(&failure))?;
        let wrapped = output.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        let plaintext = key_of(&request, output.plaintext)?;
        Ok(GeneratedKey { wrapped, plaintext })
    }

    /// The data key that `wrapped` holds.
    ///
    /// # Errors
    ///
    /// `InvalidCiphertext` where `wrapped` or `context` is not what was sealed.
    pub async fn decrypt(
        &self,
        call: &Call,
        wrapped: &[u8],
        context: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        let request = request("Decrypt", "of the stored value");
        let sent = Box::pin(
            self.client
                .decrypt()
                .ciphertext_blob(Blob::new(wrapped))
                .set_encryption_context(encryption_context(context))
                .send(),
        );
        let output = meter::send(call, &request, sent)
            .await
            .map_err(|failure| request.error(&failure))?;
        key_of(&request, output.plaintext)
    }
}

fn request<'a>(operation: &'static str, name: &'a str) -> Request<'a> {
    Request {
        service: Service::Kms,
        operation,
        name,
        is_write: false,
        detail: Detail::default(),
    }
}

fn encryption_context(context: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    if context.is_empty() {
        return None;
    }
    Some(
        context
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// A wrapped key that opens to something else than 32 bytes was not made by us.
fn key_of(request: &Request<'_>, plaintext: Option<Blob>) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
    let bytes = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return Err(request.unsent(Kind::InvalidCiphertext, "the data key does not have 32 bytes"));
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}
