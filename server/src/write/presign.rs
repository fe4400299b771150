//! Signs URLs for uploads. The content goes under a key that no item points to, until a write takes it up with the token.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ulid::Ulid;

use super::committer::Committer;
use super::error::Error;
use super::upload_token::{PresignedUpload, UploadPlace, UploadTokens};
use crate::aws::{Location, SignedContent, SignedUrl};
use crate::call::Call;
use crate::item::{Key, tenant};
use crate::model::{Attribute, Model, Offload};
use crate::object::key::{hex, upload_key};

/// The media type that an upload has until it is taken up, if Presign names none: the URL signs one in any case.
const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// An upload to sign a URL for, already checked.
pub struct NewUpload<'a> {
    /// The item's model.
    pub model: &'a Model,
    /// The item's key.
    pub key: &'a Key,
    /// The object attribute.
    pub attribute: &'a Attribute,
    /// Its S3 options.
    pub offload: &'a Offload,
    /// The file name, or empty.
    pub name: String,
    /// The media type, or empty.
    pub content_type: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The SHA-256.
    pub sha256: [u8; 32],
    /// How long the URL is to be valid.
    pub life: Duration,
}

impl Committer {
    /// Signs a URL that uploads exactly this content, and seals the token that takes it up. Sends nothing.
    ///
    /// # Errors
    ///
    /// There are no credentials to sign with.
    pub async fn presign(
        &self,
        call: &Call,
        tokens: &UploadTokens,
        new: NewUpload<'_>,
    ) -> Result<(SignedUrl, String), Error> {
        tenant::check(new.model, call, new.key)?;
        let upload = PresignedUpload {
            bucket: new.offload.bucket.clone(),
            key: upload_key(&new.offload.prefix, Ulid::generate()),
            region: new.offload.region.clone(),
            name: new.name,
            content_type: new.content_type,
            size: new.size_bytes,
            sha256: hex(&new.sha256),
        };
        let content_type = match upload.content_type.as_str() {
            "" => DEFAULT_CONTENT_TYPE,
            content_type => content_type,
        };
        let location = Location {
            bucket: &upload.bucket,
            key: &upload.key,
            region: upload.region.as_deref(),
        };
        let content = SignedContent {
            content_type,
            size_bytes: upload.size,
            sha256: &STANDARD.encode(new.sha256),
        };
        let s3 = &self.stores().s3;
        let signed = s3.presign_put(call, location, content, new.life).await?;
        let place = UploadPlace {
            caller: call.caller_id(),
            model: new.model,
            key: new.key,
            attribute: new.attribute,
        };
        let token = tokens.seal(&upload, place)?;
        Ok((signed, token))
    }
}
