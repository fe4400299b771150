//! S3: typed requests for single objects. Uploaded contents are whole buffers of bounded size, and downloaded ones are
//! streams; splitting, naming and cleaning up objects is the task of `object`. No write has an unknown outcome: callers see an object only once an item points to it.

mod copy;
mod copy_checked;
mod download;
mod list;
mod presign;
mod signer;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use parking_lot::RwLock;

use crate::call::Call;
use crate::figure::AwsOperation;

use super::error::{Doubt, Error, Kind};
use super::meter;
use super::request::{Cause, Detail, Failure, Request, SdkFailure};
use super::response::Response;

pub use copy::{CopySource, MAX_COPIED_BYTES};
pub use copy_checked::{CopiedObject, CopyError};
pub use download::{DownloadError, ObjectBody, Wanted};
pub use list::{ListedObject, ListedUpload, ObjectPage, UploadPage};
pub use presign::{SignedContent, SignedUrl};
pub(super) use signer::{CredentialExpiry, Signer};

/// S3; every request is billed to its call.
#[derive(Clone, Debug)]
pub struct S3 {
    client: aws_sdk_s3::Client,
    /// Clients for other regions that models name; bounded by the number of those regions.
    regional: Arc<RwLock<HashMap<String, aws_sdk_s3::Client>>>,
    in_flight: usize,
    /// Signs URLs; `None`: nobody serves them.
    signer: Option<Signer>,
}

/// The location of an object.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The bucket's region, if it is not the client's.
    pub region: Option<&'a str>,
}

/// What identifies an object that S3 stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredObject {
    /// The entity tag, with its quotes.
    pub etag: String,
    /// The version id, if the bucket is versioned.
    pub version_id: Option<String>,
}

/// The metadata of an existing object.
#[derive(Clone, Debug, Default)]
pub struct ObjectHead {
    /// Its entity tag and version.
    pub stored: StoredObject,
    /// Its user-defined metadata, names in lower case.
    pub metadata: HashMap<String, String>,
    /// The size of its content, as stored.
    pub bytes: u64,
}

/// A multipart upload in progress.
#[derive(Clone, Debug)]
pub struct MultipartUpload<'a> {
    /// The location of the object.
    pub location: Location<'a>,
    /// S3's upload id.
    pub id: String,
}

/// An uploaded part.
#[derive(Clone, Debug)]
pub struct Part {
    number: i32,
    etag: Option<String>,
    crc32: Option<String>,
}

impl S3 {
    pub(super) fn new(client: aws_sdk_s3::Client, in_flight: usize, signer: Option<Signer>) -> S3 {
        S3 {
            client,
            regional: Arc::default(),
            in_flight: in_flight.max(1),
            signer,
        }
    }

    /// Maximum concurrent requests of one call (`s3.in_flight`).
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Stores a whole object.
    ///
    /// # Errors
    ///
    /// `Missing` if the bucket does not exist, and the errors of any request.
    pub async fn put_object(
        &self,
        call: &Call,
        location: Location<'_>,
        content: Bytes,
        content_type: Option<&str>,
        metadata: &HashMap<String, String>,
    ) -> Result<StoredObject, Error> {
        let request = request(AwsOperation::PutObject, location);
        let content_bytes = content.len();
        let sent = Box::pin(
            self.client(location.region)
                .put_object()
                .bucket(location.bucket)
                .key(location.key)
                .set_content_type(content_type.map(str::to_owned))
                .set_metadata(some_metadata(metadata))
                .body(ByteStream::from(content))
                .send(),
        );
        let sent = meter::send_content(call, &request, content_bytes, sent);
        let output = sent.await.map_err(|failure| request.error(&failure))?;
        Ok(StoredObject {
            etag: output.e_tag.unwrap_or_default(),
            version_id: output.version_id,
        })
    }

    /// Starts a multipart upload.
    ///
    /// # Errors
    ///
    /// As [`S3::put_object`].
    pub async fn create_multipart_upload<'a>(
        &self,
        call: &Call,
        location: Location<'a>,
        content_type: Option<&str>,
        metadata: &HashMap<String, String>,
    ) -> Result<MultipartUpload<'a>, Error> {
        let request = request(AwsOperation::CreateMultipartUpload, location);
        let sent = Box::pin(
            self.client(location.region)
                .create_multipart_upload()
                .bucket(location.bucket)
                .key(location.key)
                .set_content_type(content_type.map(str::to_owned))
                .set_metadata(some_metadata(metadata))
                .send(),
        );
        let output = send(call, &request, sent).await?;
        let id = output
            .upload_id
            .ok_or_else(|| request.local_error(Kind::Unavailable, "the response has no upload id"))?;
        Ok(MultipartUpload { location, id })
    }

    /// Uploads one part; parts are numbered from 1.
    ///
    /// # Errors
    ///
    /// The errors of any request.
    pub async fn upload_part(
        &self,
        call: &Call,
        upload: &MultipartUpload<'_>,
        number: i32,
        content: Bytes,
    ) -> Result<Part, Error> {
        let request = part_request(AwsOperation::UploadPart, upload, Some(number));
        let content_bytes = content.len();
        let sent = Box::pin(
            self.client(upload.location.region)
                .upload_part()
                .bucket(upload.location.bucket)
                .key(upload.location.key)
                .upload_id(&upload.id)
                .part_number(number)
                .body(ByteStream::from(content))
                .send(),
        );
        let sent = meter::send_content(call, &request, content_bytes, sent);
        let output = sent.await.map_err(|failure| request.error(&failure))?;
        Ok(Part {
            number,
            etag: output.e_tag,
            crc32: output.checksum_crc32,
        })
    }

    /// Completes a multipart upload from its parts, in their order.
    ///
    /// # Errors
    ///
    /// The errors of any request.
    pub async fn complete_multipart_upload(
        &self,
        call: &Call,
        upload: &MultipartUpload<'_>,
        parts: Vec<Part>,
    ) -> Result<StoredObject, Error> {
        let request = part_request(AwsOperation::CompleteMultipartUpload, upload, None);
        let parts = parts.into_iter().map(completed).collect();
        let sent = Box::pin(
            self.client(upload.location.region)
                .complete_multipart_upload()
                .bucket(upload.location.bucket)
                .key(upload.location.key)
                .upload_id(&upload.id)
                .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
                .send(),
        );
        let failure = match meter::send(call, &request, sent).await {
            Ok(output) => {
                return Ok(StoredObject {
                    etag: output.e_tag.unwrap_or_default(),
                    version_id: output.version_id,
                });
            }
            Err(failure) => failure,
        };
        if let Some(stored) = misnamed_completion(&failure) {
            return Ok(stored);
        }
        if failure.doubt != Doubt::None && is_completed_already(&failure) {
            let head = self.head_object(call, upload.location).await?;
            return Ok(head.stored);
        }
        Err(request.error(&failure))
    }

    /// Returns the metadata of an object.
    ///
    /// # Errors
    ///
    /// `Missing` if the object or bucket does not exist.
    pub async fn head_object(&self, call: &Call, location: Location<'_>) -> Result<ObjectHead, Error> {
        let request = request(AwsOperation::HeadObject, location);
        let client = self.client(location.region);
        let sent = Box::pin(
            client
                .head_object()
                .bucket(location.bucket)
                .key(location.key)
                .send(),
        );
        let output = send(call, &request, sent).await?;
        let stored = StoredObject {
            etag: output.e_tag.unwrap_or_default(),
            version_id: output.version_id,
        };
        Ok(ObjectHead {
            stored,
            metadata: output.metadata.unwrap_or_default(),
            bytes: output.content_length.map_or(0, i64::unsigned_abs),
        })
    }

    /// Aborts a multipart upload, which deletes its parts.
    ///
    /// # Errors
    ///
    /// The errors of any request.
    pub async fn abort_multipart_upload(
        &self,
        call: &Call,
        upload: &MultipartUpload<'_>,
    ) -> Result<(), Error> {
        let request = part_request(AwsOperation::AbortMultipartUpload, upload, None);
        let sent = Box::pin(
            self.client(upload.location.region)
                .abort_multipart_upload()
                .bucket(upload.location.bucket)
                .key(upload.location.key)
                .upload_id(&upload.id)
                .send(),
        );
        send(call, &request, sent).await.map(|_output| ())
    }

    /// Deletes an object, or only this version of it; succeeds if it does not exist. Without a version, a versioned bucket
    /// keeps it behind a delete marker.
    ///
    /// # Errors
    ///
    /// The errors of any request.
    pub async fn delete_object(
        &self,
        call: &Call,
        location: Location<'_>,
        version_id: Option<&str>,
    ) -> Result<(), Error> {
        let request = request(AwsOperation::DeleteObject, location);
        let client = self.client(location.region);
        let sent = Box::pin(
            client
                .delete_object()
                .bucket(location.bucket)
                .key(location.key)
                .set_version_id(version_id.map(str::to_owned))
                .send(),
        );
        send(call, &request, sent).await.map(|_output| ())
    }

    /// The SDK's client, for tests.
    #[cfg(test)]
    #[cfg(feature = "embedded")]
    pub(crate) fn raw(&self) -> &aws_sdk_s3::Client {
        &self.client
    }

    pub(super) fn client(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        let own = self.client.config().region().map(Region::as_ref);
        let Some(region) = region.filter(|&region| own != Some(region)) else {
            return self.client.clone();
        };
        if let Some(client) = self.regional.read().get(region) {
            return client.clone();
        }
        let client = in_region(&self.client, Some(region));
        let mut regional = self.regional.write();
        regional.entry(region.to_owned()).or_insert(client).clone()
    }
}

/// The client itself, or one that differs in its region.
fn in_region(client: &aws_sdk_s3::Client, region: Option<&str>) -> aws_sdk_s3::Client {
    let own = client.config().region().map(Region::as_ref);
    let Some(region) = region.filter(|&region| own != Some(region)) else {
        return client.clone();
    };
    let config = client.config().to_builder();
    aws_sdk_s3::Client::from_conf(config.region(Region::new(region.to_owned())).build())
}

fn request<'a>(operation: AwsOperation, location: Location<'a>) -> Request<'a> {
    Request {
        detail: Detail {
            key: Some(location.key),
            ..Detail::default()
        },
        ..Request::new(operation, location.bucket)
    }
}

fn part_request<'a>(
    operation: AwsOperation,
    upload: &'a MultipartUpload<'_>,
    part_number: Option<i32>,
) -> Request<'a> {
    let mut request = request(operation, upload.location);
    request.detail.upload_id = Some(&upload.id);
    request.detail.part_number = part_number;
    request
}

async fn send<T, E>(
    call: &Call,
    request: &Request<'_>,
    sent: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, Error>
where
    T: Response,
    E: SdkFailure,
{
    meter::send(call, request, sent)
        .await
        .map_err(|failure| request.error(&failure))
}

/// moto names the root of a successful response `CompleteMultipartUploadResponse`, which the SDK cannot parse.
fn misnamed_completion(failure: &Failure<CompleteMultipartUploadError>) -> Option<StoredObject> {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    let response = error
        .raw_response()
        .filter(|response| response.status().is_success())?;
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, members) = body.split_once("<CompleteMultipartUploadResponse")?;
    let (_, etag) = members.split_once("<ETag>")?;
    let (etag, _) = etag.split_once("</ETag>")?;
    Some(StoredObject {
        etag: etag.replace("&quot;", "\""),
        version_id: response.headers().get("x-amz-version-id").map(str::to_owned),
    })
}

/// An attempt without a response may have completed the upload, which then no longer exists.
fn is_completed_already(failure: &Failure<CompleteMultipartUploadError>) -> bool {
    let Cause::Sdk(error) = &failure.cause else {
        return false;
    };
    error.code() == Some("NoSuchUpload")
}

fn completed(part: Part) -> CompletedPart {
    CompletedPart::builder()
        .part_number(part.number)
        .set_e_tag(part.etag)
        .set_checksum_crc32(part.crc32)
        .build()
}

fn some_metadata(metadata: &HashMap<String, String>) -> Option<HashMap<String, String>> {
    if metadata.is_empty() {
        None
    } else {
        Some(metadata.clone())
    }
}
