//! KMS: data keys, wrapped and opened, each under the key that the request names. Plaintext keys leave only in zeroised
//! memory; no key is cached here, only which key an alias points to.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_types::Blob;
use zeroize::Zeroizing;

use crate::call::Call;
use crate::figure::AwsOperation;

use super::error::{Detail, Error, Kind, Request};
use super::key_names::{Aliases, Used};
use super::meter;

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;

/// The cause of an `IncorrectKey` that KMS did not report itself.
const ANOTHER_KEY: &str = "the response names another key than the request";

/// KMS, for calls that pay for it.
#[derive(Clone, Debug)]
pub struct Kms {
    pub(super) client: aws_sdk_kms::Client,
    pub(super) aliases: Aliases,
}

/// A new data key, in clear and as it is stored.
pub struct GeneratedKey {
    /// The `CiphertextBlob`.
    pub wrapped: Vec<u8>,
    /// The key itself.
    pub plaintext: Zeroizing<[u8; KEY_BYTES]>,
}

impl Kms {
    /// Over a client.
    pub(super) fn new(client: aws_sdk_kms::Client) -> Kms {
        Kms {
            client,
            aliases: Aliases::default(),
        }
    }

    /// A new AES-256 data key under `key_id` (id, ARN or alias), bound to `context`.
    ///
    /// # Errors
    ///
    /// `Missing` for a key that is not there, `KeyUnusable` for one that is disabled or not allowed, `IncorrectKey` if
    /// another key than the named one was used.
    pub async fn generate_data_key(
        &self,
        call: &Call,
        key_id: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<GeneratedKey, Error> {
        let request = request(AwsOperation::GenerateDataKey, key_id);
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
        let used = output.key_id.unwrap_or_default();
        match self.aliases.used(key_id, &used) {
            Used::Named => {}
            // what is sealed under it says by itself which key it was
            Used::Unresolved | Used::Moved => self.aliases.note(key_id, &used),
            Used::Another => return Err(request.unsent(Kind::IncorrectKey, ANOTHER_KEY)),
        }
        Ok(GeneratedKey { wrapped, plaintext })
    }

    /// The data key that `wrapped` holds, if it was wrapped under `key_id`.
    ///
    /// # Errors
    ///
    /// `IncorrectKey` or `UnknownKey` if another key wrapped it, `InvalidCiphertext` if `wrapped` or `context` is not what was sealed,
    /// `Missing` and `KeyUnusable` as for a new key.
    pub async fn decrypt(
        &self,
        call: &Call,
        key_id: &str,
        wrapped: &[u8],
        context: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        let request = request(AwsOperation::Decrypt, key_id);
        let sent = Box::pin(
            self.client
                .decrypt()
                .key_id(key_id)
                .ciphertext_blob(Blob::new(wrapped))
                .set_encryption_context(encryption_context(context))
                .send(),
        );
        let output = meter::send(call, &request, sent)
            .await
            .map_err(|failure| request.error(&failure))?;
        let key = key_of(&request, output.plaintext)?;
        let used = output.key_id.unwrap_or_default();
        if self.was_named(call, key_id, &used).await? {
            Ok(key)
        } else {
            Err(request.unsent(Kind::IncorrectKey, ANOTHER_KEY))
        }
    }

    /// Whether the key that opened something is the one that was named. An alias that points elsewhere than before is
    /// looked up: it was moved, or the store behind ignores names.
    async fn was_named(&self, call: &Call, key_id: &str, used: &str) -> Result<bool, Error> {
        match self.aliases.used(key_id, used) {
            Used::Named => Ok(true),
            Used::Another => Ok(false),
            Used::Unresolved => {
                self.aliases.note(key_id, used);
                Ok(true)
            }
            Used::Moved => match self.resolve(call, key_id).await {
                Ok(arn) => {
                    self.aliases.note(key_id, &arn);
                    Ok(arn == used)
                }
                // without leave to look it up, KMS's own enforcement of the name remains
                Err(error) if matches!(error.kind, Kind::KeyUnusable) => Ok(true),
                Err(error) => Err(error),
            },
        }
    }

    async fn resolve(&self, call: &Call, alias: &str) -> Result<String, Error> {
        let request = request(AwsOperation::DescribeKey, alias);
        let sent = Box::pin(self.client.describe_key().key_id(alias).send());
        let output = meter::send(call, &request, sent)
            .await
            .map_err(|failure| request.error(&failure))?;
        Ok(output
            .key_metadata
            .and_then(|metadata| metadata.arn)
            .unwrap_or_default())
    }
}

fn request<'a>(operation: AwsOperation, name: &'a str) -> Request<'a> {
    Request {
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
