//! KMS: generates and decrypts data keys, each under the key that the request names. Returns plaintext keys only in memory
//! that is zeroised; caches no data key, only which key an alias points to.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_kms::operation::create_alias::CreateAliasError;
use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_types::Blob;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use crate::call::Call;
use crate::figure::AwsOperation;

use super::cause;
use super::error::{Error, Kind};
use super::key_names::{Aliases, KeyMatch};
use super::meter;
use super::request::Request;

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;

/// The cause of an `IncorrectKey` that this program detected.
const ANOTHER_KEY: &str = "the response names a different key than the request";

/// KMS; every request is billed to its call.
#[derive(Clone, Debug)]
pub struct Kms {
    pub(super) client: aws_sdk_kms::Client,
    pub(super) aliases: Aliases,
    /// Whether a key is created when its alias is first used: the embedded KMS cannot know the tenants beforehand.
    pub(super) creates_keys: bool,
}

/// A new data key, in plaintext and wrapped.
pub struct GeneratedKey {
    /// KMS's `CiphertextBlob`.
    pub wrapped: Vec<u8>,
    /// The key in plaintext.
    pub plaintext: Zeroizing<[u8; KEY_BYTES]>,
}

/// A key was not created.
pub(super) struct NotCreated {
    /// Why.
    pub(super) cause: String,
    /// Whether there is a key with its alias.
    pub(super) alias_exists: bool,
}

impl Kms {
    /// KMS over an SDK client.
    pub(super) fn new(client: aws_sdk_kms::Client) -> Kms {
        Kms {
            client,
            aliases: Aliases::default(),
            creates_keys: false,
        }
    }

    /// From now on, creates a key when its alias is first used to write.
    pub fn create_keys(&mut self) {
        self.creates_keys = true;
    }

    /// Generates an AES-256 data key under `key_id` (id, ARN or alias), bound to `context`.
    ///
    /// # Errors
    ///
    /// `Missing` if the key does not exist, `KeyUnusable` if it is disabled or not allowed, `IncorrectKey` if KMS used
    /// a different key.
    pub async fn generate_data_key(
        &self,
        call: &Call,
        key_id: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<GeneratedKey, Error> {
        let request = Request::new(AwsOperation::GenerateDataKey, key_id);
        let send = || {
            let sending = self
                .client
                .generate_data_key()
                .key_id(key_id)
                .key_spec(DataKeySpec::Aes256)
                .set_encryption_context(encryption_context(context));
            meter::send(call, &request, Box::pin(sending.send()))
        };
        let mut sent = send().await.map_err(|failure| request.error(&failure));
        if let Err(error) = &sent
            && matches!(error.kind, Kind::Missing { .. })
            && self.creates_keys
            && self.ensure_key(key_id).await
        {
            sent = send().await.map_err(|failure| request.error(&failure));
        }
        let output = sent?;
        let wrapped = output.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        let plaintext = data_key(&request, output.plaintext)?;
        let used = output.key_id.unwrap_or_default();
        match self.aliases.compare(key_id, &used) {
            KeyMatch::Same => {}
            // the wrapped data key itself identifies the key
            KeyMatch::NewAlias | KeyMatch::MovedAlias => self.aliases.remember(key_id, &used),
            KeyMatch::Different => return Err(request.local_error(Kind::IncorrectKey, ANOTHER_KEY)),
        }
        Ok(GeneratedKey { wrapped, plaintext })
    }

    /// Creates a key with this alias, or finds that another call just did. Returns whether there is one now.
    fn ensure_key<'a>(&'a self, alias: &'a str) -> BoxFuture<'a, bool> {
        // boxed: the type of the requests would be too deep
        Box::pin(async move {
            if !alias.starts_with("alias/") {
                return false;
            }
            match self.create_key(alias).await {
                Ok(()) => true,
                Err(failed) => failed.alias_exists,
            }
        })
    }

    /// Creates a key, and its alias.
    ///
    /// # Errors
    ///
    /// Why it could not be created, without the SDK's debug output.
    pub(super) async fn create_key(&self, alias: &str) -> Result<(), NotCreated> {
        let creating = self.client.create_key().description("made by tollgate");
        let created = creating.send().await.map_err(|error| NotCreated {
            cause: cause::text(&Request::new(AwsOperation::CreateKey, alias), &error),
            alias_exists: false,
        })?;
        let metadata = created.key_metadata;
        let arn = metadata.as_ref().and_then(|key| key.arn.clone());
        let id = metadata.map(|key| key.key_id).unwrap_or_default();
        let naming = self.client.create_alias().alias_name(alias).target_key_id(id);
        naming.send().await.map_err(|error| NotCreated {
            cause: cause::text(&Request::new(AwsOperation::CreateAlias, alias), &error),
            alias_exists: error
                .as_service_error()
                .is_some_and(CreateAliasError::is_already_exists_exception),
        })?;
        self.aliases.remember(alias, &arn.unwrap_or_default());
        Ok(())
    }

    /// Decrypts the data key `wrapped`, if it was wrapped under `key_id`.
    ///
    /// # Errors
    ///
    /// `IncorrectKey` or `UnknownKey` if another key wrapped it, `InvalidCiphertext` if `wrapped` or `context` is wrong,
    /// `Missing` and `KeyUnusable` as in [`Kms::generate_data_key`].
    pub async fn decrypt(
        &self,
        call: &Call,
        key_id: &str,
        wrapped: &[u8],
        context: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        let request = Request::new(AwsOperation::Decrypt, key_id);
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
        let key = data_key(&request, output.plaintext)?;
        let used = output.key_id.unwrap_or_default();
        if self.is_named_key(call, key_id, &used).await? {
            Ok(key)
        } else {
            Err(request.local_error(Kind::IncorrectKey, ANOTHER_KEY))
        }
    }

    /// Whether the key in the response is the key that the request named. An alias that seems to point to another key
    /// than before is looked up: it was moved, or the service ignores the name in the request.
    async fn is_named_key(&self, call: &Call, key_id: &str, used: &str) -> Result<bool, Error> {
        match self.aliases.compare(key_id, used) {
            KeyMatch::Same => Ok(true),
            KeyMatch::Different => Ok(false),
            KeyMatch::NewAlias => {
                self.aliases.remember(key_id, used);
                Ok(true)
            }
            KeyMatch::MovedAlias => match self.resolve(call, key_id).await {
                Ok(arn) => {
                    self.aliases.remember(key_id, &arn);
                    Ok(arn == used)
                }
                // without permission to look it up, KMS's own enforcement has to do
                Err(error) if matches!(error.kind, Kind::KeyUnusable) => Ok(true),
                Err(error) => Err(error),
            },
        }
    }

    async fn resolve(&self, call: &Call, alias: &str) -> Result<String, Error> {
        let request = Request::new(AwsOperation::DescribeKey, alias);
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

/// A data key that does not have 32 bytes was not wrapped by this program.
fn data_key(request: &Request<'_>, plaintext: Option<Blob>) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
    let bytes = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return Err(request.local_error(Kind::InvalidCiphertext, "the data key does not have 32 bytes"));
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}
