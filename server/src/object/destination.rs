//! The requests that store one object under its new key, and what S3 may hold there as their result.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::content::ContentError;
use super::key;
use super::parts::Announced;
use crate::aws::{
    CopiedObject, CopyError, CopySource, Doubt, Error, Kind, Location, MultipartUpload, Part, Resource, S3,
    StoredObject,
};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::{Offload, Upload};

/// How often an upload by URL is copied if it is replaced meanwhile.
const MAX_COPIES: usize = 3;

/// Why an object could not be uploaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The content cannot be stored.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// S3 returned an error, or could not be reached.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Where an object goes, and what S3 may hold there.
pub(super) struct Destination {
    pub(super) offload: Offload,
    pub(super) key: String,
    pub(super) content_type: String,
    /// The metadata of the caller and of the owner. Checked items do not exceed S3's limit.
    pub(super) metadata: HashMap<String, String>,
    /// Whether S3 may hold the object.
    stored: AtomicBool,
    /// The id of a multipart upload that is not completed.
    multipart: Mutex<Option<String>>,
    /// The version that S3 stored.
    version_id: Mutex<Option<String>>,
}

/// What a request did.
pub(super) enum Sent {
    /// It stored the object.
    Stored(StoredObject),
    /// It began a multipart upload.
    Begun,
    /// It stored the part with this number.
    Part(i32, Part),
}

impl Destination {
    pub(super) fn new(
        offload: Offload,
        key: String,
        content_type: String,
        metadata: HashMap<String, String>,
    ) -> Destination {
        Destination {
            offload,
            key,
            content_type,
            metadata,
            stored: AtomicBool::new(false),
            multipart: Mutex::default(),
            version_id: Mutex::default(),
        }
    }

    pub(super) fn location(&self) -> Location<'_> {
        Location {
            bucket: &self.offload.bucket,
            key: &self.key,
            region: self.offload.region.as_deref(),
        }
    }

    fn content_type(&self) -> Option<&str> {
        Some(self.content_type.as_str()).filter(|content_type| !content_type.is_empty())
    }

    pub(super) fn open_multipart(&self) -> Option<MultipartUpload<'_>> {
        let id = self.multipart.lock().clone()?;
        Some(MultipartUpload {
            location: self.location(),
            id,
        })
    }

    pub(super) async fn put(&self, s3: &S3, call: &Call, content: Bytes) -> Result<Sent, Error> {
        self.stored.store(true, Ordering::Release);
        let (content_type, metadata) = (self.content_type(), &self.metadata);
        let put = s3.put_object(call, self.location(), content, content_type, metadata);
        let stored = put.await;
        if stored
            .as_ref()
            .is_err_and(|error| !may_have_been_applied(&error.kind))
        {
            self.stored.store(false, Ordering::Release);
        }
        let stored = stored?;
        self.record(&stored);
        Ok(Sent::Stored(stored))
    }

    pub(super) async fn begin(&self, s3: &S3, call: &Call) -> Result<Sent, Error> {
        let (content_type, metadata) = (self.content_type(), &self.metadata);
        let begin = s3.create_multipart_upload(call, self.location(), content_type, metadata);
        let upload = begin.await?;
        *self.multipart.lock() = Some(upload.id);
        Ok(Sent::Begun)
    }

    pub(super) async fn part(
        &self,
        s3: &S3,
        call: &Call,
        number: i32,
        content: Bytes,
    ) -> Result<Sent, Error> {
        let upload = self.multipart_begun()?;
        let part = s3.upload_part(call, &upload, number, content).await?;
        Ok(Sent::Part(number, part))
    }

    pub(super) async fn complete(&self, s3: &S3, call: &Call, parts: Vec<Part>) -> Result<Sent, Error> {
        let upload = self.multipart_begun()?;
        self.stored.store(true, Ordering::Release);
        let stored = s3.complete_multipart_upload(call, &upload, parts).await?;
        *self.multipart.lock() = None;
        self.record(&stored);
        Ok(Sent::Stored(stored))
    }

    fn multipart_begun(&self) -> Result<MultipartUpload<'_>, Error> {
        self.open_multipart()
            .ok_or_else(|| broken("the multipart upload has no id"))
    }

    /// Copies an upload by URL, if it has the announced size and hash.
    pub(super) async fn take_up(
        &self,
        s3: &S3,
        call: &Call,
        slots: &Semaphore,
        upload: &Upload,
        announced: &Announced,
    ) -> Result<StoredObject, UploadError> {
        let _slot = slots.acquire().await.expect("the semaphore is never closed");
        let source = Location {
            bucket: &upload.bucket,
            key: &upload.key,
            region: upload.region.as_deref(),
        };
        for _ in 0..MAX_COPIES {
            let head = s3.head_object(call, source).await.map_err(missing)?;
            if let Some(announced_bytes) = announced.size_bytes
                && announced_bytes != head.bytes
            {
                return Err(ContentError::Size { announced_bytes }.into());
            }
            let from = CopySource {
                location: source,
                version_id: head.stored.version_id.as_deref(),
                etag: &head.stored.etag,
            };
            self.stored.store(true, Ordering::Release);
            let (content_type, metadata) = (self.content_type(), &self.metadata);
            let copying = s3.copy_checked(call, from, self.location(), content_type, metadata);
            match copying.await {
                Ok(copied) => {
                    self.record(&copied.stored);
                    return match has_sha256(&copied, announced) {
                        true => Ok(copied.stored),
                        false => Err(ContentError::Sha256.into()),
                    };
                }
                Err(CopyError::Changed) => self.stored.store(false, Ordering::Release),
                Err(CopyError::Store(error)) => {
                    let may_be_stored = may_have_been_applied(&error.kind);
                    self.stored.store(may_be_stored, Ordering::Release);
                    return Err(missing(error));
                }
            }
        }
        Err(broken("the upload kept changing").into())
    }

    /// Whether S3 may hold the object.
    pub(super) fn may_be_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    /// The version that S3 stored, if the bucket is versioned.
    pub(super) fn version_id(&self) -> Option<String> {
        self.version_id.lock().clone()
    }

    fn record(&self, stored: &StoredObject) {
        self.version_id.lock().clone_from(&stored.version_id);
    }
}

/// Whether the copy has the announced hash. A store that does not compute one cannot show that it has.
fn has_sha256(copied: &CopiedObject, announced: &Announced) -> bool {
    let computed = copied.sha256.as_ref().and_then(|text| STANDARD.decode(text).ok());
    let computed = computed.map(|bytes| key::hex(&bytes));
    computed.is_some() && computed == announced.sha256
}

/// The error of an upload that is not there.
fn missing(error: Error) -> UploadError {
    let is_missing = matches!(
        error.kind,
        Kind::Missing {
            what: Resource::Object,
            ..
        }
    );
    match is_missing {
        true => ContentError::NotUploaded.into(),
        false => UploadError::Store(error),
    }
}

/// The error of an upload that ended without a request's error.
pub(super) fn broken(cause: &'static str) -> Error {
    Error {
        kind: Kind::Unavailable,
        operation: AwsOperation::PutObject,
        request_id: None,
        doubt: Doubt::None,
        endpoint: None,
        cause: cause.into(),
    }
}

/// Whether a failed request may have been applied.
fn may_have_been_applied(kind: &Kind) -> bool {
    match kind {
        Kind::Unavailable | Kind::OutcomeUnknown | Kind::Deadline { .. } => true,
        Kind::ConditionFailed { .. }
        | Kind::TransactionCancelled { .. }
        | Kind::Conflict
        | Kind::TokenMismatch
        | Kind::Missing { .. }
        | Kind::Throttled
        | Kind::Denied
        | Kind::KeyUnusable
        | Kind::InvalidCiphertext
        | Kind::IncorrectKey
        | Kind::UnknownKey
        | Kind::TooLarge
        | Kind::Refused => false,
    }
}
