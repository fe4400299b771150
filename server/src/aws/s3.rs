//! S3: typed calls on single objects. Contents are whole buffers of a bounded size; splitting, naming and cleaning up
//! belong to `object`. No write here changes what callers see, so that none has an unknown outcome: the item decides.

mod download;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use crate::call::Call;
use crate::figure::AwsOperation;

use super::answer::Answer;
use super::error::{Detail, Doubt, Error, Kind, Request};
use super::meter::{self, Cause, Failure, SdkFailure};

pub use download::{DownloadError, Downloaded};

/// S3, for calls that pay for it.
#[derive(Clone, Debug)]
pub struct S3 {
    client: aws_sdk_s3::Client,
    /// Clients of other regions, as models name them: as many as there are regions in the models.
    regional: Arc<RwLock<HashMap<String, aws_sdk_s3::Client>>>,
    in_flight: usize,
}

/// Where an object lies.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The bucket's region, where it is not the client's.
    pub region: Option<&'a str>,
}

/// What S3 says of an object that it stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredObject {
    /// The entity tag, with its quotes.
    pub etag: String,
    /// The version, where the bucket keeps versions.
    pub version_id: Option<String>,
}

/// What S3 says of an object that is there.
#[derive(Clone, Debug, Default)]
pub struct ObjectHead {
    /// What it is.
    pub stored: StoredObject,
    /// Its metadata, names in lower case.
    pub metadata: HashMap<String, String>,
}

/// A multipart upload that was begun.
#[derive(Clone, Debug)]
pub struct MultipartUpload<'a> {
    /// Where the object will lie.
    pub location: Location<'a>,
    /// S3's id of the upload.
    pub id: String,
}

/// A part that was uploaded.
#[derive(Clone, Debug)]
pub struct Part {
    number: i32,
    etag: Option<String>,
    crc32: Option<String>,
}

impl S3 {
    pub(super) fn new(client: aws_sdk_s3::Client, in_flight: usize) -> S3 {
        S3 {
            client,
            regional: Arc::default(),
            in_flight: in_flight.max(1),
        }
    }

    /// Requests that one call may have under way (`s3.in_flight`).
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Stores a whole object.
    ///
    /// # Errors
    ///
    /// `Missing` for a bucket that is not there; what all calls have.
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

    /// Begins a multipart upload.
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
            .ok_or_else(|| request.unsent(Kind::Unavailable, "the answer has no upload id"))?;
        Ok(MultipartUpload { location, id })
    }

    /// Uploads one part; parts are numbered from 1.
    ///
    /// # Errors
    ///
    /// What all calls have.
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

    /// Makes the object of its parts, given in their order.
    ///
    /// # Errors
    ///
    /// What all calls have.
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

    /// What S3 says of an object that is there.
    ///
    /// # Errors
    ///
    /// `Missing` for an object or bucket that is not there.
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
        })
    }

    /// Gives a multipart upload up, and the parts that it has.
    ///
    /// # Errors
    ///
    /// What all calls have.
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

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    ///
    /// What all calls have.
    pub async fn delete_object(&self, call: &Call, location: Location<'_>) -> Result<(), Error> {
        let request = request(AwsOperation::DeleteObject, location);
        let client = self.client(location.region);
        let sent = Box::pin(
            client
                .delete_object()
                .bucket(location.bucket)
                .key(location.key)
                .send(),
        );
        send(call, &request, sent).await.map(|_output| ())
    }

    /// The SDK's client: tests look behind the typed calls.
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
        if let Some(client) = self
            .regional
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(region)
        {
            return client.clone();
        }
        let config = self
            .client
            .config()
            .to_builder()
            .region(Region::new(region.to_owned()))
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        let mut regional = self
            .regional
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        regional.entry(region.to_owned()).or_insert(client).clone()
    }
}

fn request<'a>(operation: AwsOperation, location: Location<'a>) -> Request<'a> {
    Request {
        operation,
        name: location.bucket,
        is_write: false,
        detail: Detail {
            key: Some(location.key),
            ..Detail::default()
        },
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
    T: Answer,
    E: SdkFailure,
{
    meter::send(call, request, sent)
        .await
        .map_err(|failure| request.error(&failure))
}

/// moto names the root of a good answer `CompleteMultipartUploadResponse`, which the SDK does not read.
fn misnamed_completion(failure: &Failure<CompleteMultipartUploadError>) -> Option<StoredObject> {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    let response = error
        .raw_response()
        .filter(|response| response.status().is_success())?;
    let answer = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, members) = answer.split_once("<CompleteMultipartUploadResponse")?;
    let (_, etag) = members.split_once("<ETag>")?;
    let (etag, _) = etag.split_once("</ETag>")?;
    Some(StoredObject {
        etag: etag.replace("&quot;", "\""),
        version_id: response.headers().get("x-amz-version-id").map(str::to_owned),
    })
}

/// An attempt that was not answered may have completed the upload: then there is none any more.
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
