//! Lists of objects, of multipart uploads in progress and of their parts, one page per request. Ages are by S3's clock: a
//! page holds the `Date` of its response.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::types::EncodingType;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;

use super::super::error::Error;
use super::super::request::Request;
use super::{Location, MultipartUpload, S3, part_request, send};
use crate::call::Call;
use crate::figure::AwsOperation;

/// An object in a list.
#[derive(Clone, Debug)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Size of its content.
    pub bytes: u64,
    /// When it was stored; for a multipart object, when its upload began.
    pub modified: SystemTime,
}

/// One page of objects, in the order of their keys.
#[derive(Clone, Debug)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// Whether more objects follow.
    pub has_more: bool,
    /// The time by S3's clock.
    pub now: SystemTime,
}

/// A multipart upload in a list.
#[derive(Clone, Debug)]
pub struct ListedUpload {
    /// The key of the object.
    pub key: String,
    /// S3's upload id.
    pub id: String,
    /// When it began.
    pub initiated: SystemTime,
}

/// One page of multipart uploads, in the order of their keys.
#[derive(Clone, Debug)]
pub struct UploadPage {
    /// The uploads.
    pub uploads: Vec<ListedUpload>,
    /// The key and the upload id after which the next page starts; `None` after the last page.
    pub next: Option<(String, String)>,
    /// The time by S3's clock.
    pub now: SystemTime,
}

impl S3 {
    /// Returns one page of the objects whose keys begin with the key of `location` and follow `after`.
    ///
    /// # Errors
    ///
    /// `Missing` if the bucket does not exist, and the errors of any request.
    pub async fn list_objects(
        &self,
        call: &Call,
        location: Location<'_>,
        after: &str,
    ) -> Result<ObjectPage, Error> {
        let request = Request::new(AwsOperation::ListObjectsV2, location.bucket);
        let clock = Clock::default();
        let sent = self
            .client(location.region)
            .list_objects_v2()
            .bucket(location.bucket)
            .prefix(location.key)
            .set_start_after(Some(after.to_owned()).filter(|after| !after.is_empty()))
            // keys of other programs may hold what XML cannot
            .encoding_type(EncodingType::Url)
            .customize()
            .interceptor(clock.clone());
        let output = send(call, &request, Box::pin(sent.send())).await?;
        let is_encoded = output.encoding_type == Some(EncodingType::Url);
        let listed = output.contents.unwrap_or_default().into_iter();
        let objects = listed.filter_map(|object| {
            let key = object.key?;
            Some(ListedObject {
                key: if is_encoded { decoded(&key) } else { key },
                bytes: object.size.map_or(0, i64::unsigned_abs),
                modified: time(object.last_modified)?,
            })
        });
        Ok(ObjectPage {
            objects: objects.collect(),
            has_more: output.is_truncated == Some(true),
            now: clock.now(),
        })
    }

    /// Returns one page of the multipart uploads in progress whose keys begin with the key of `location`.
    ///
    /// # Errors
    ///
    /// As [`S3::list_objects`].
    pub async fn list_multipart_uploads(
        &self,
        call: &Call,
        location: Location<'_>,
        after: Option<&(String, String)>,
    ) -> Result<UploadPage, Error> {
        let request = Request::new(AwsOperation::ListMultipartUploads, location.bucket);
        let clock = Clock::default();
        let sent = self
            .client(location.region)
            .list_multipart_uploads()
            .bucket(location.bucket)
            .prefix(location.key)
            .set_key_marker(after.map(|(key, _)| key.clone()))
            .set_upload_id_marker(after.map(|(_, id)| id.clone()))
            .customize()
            .interceptor(clock.clone());
        let output = send(call, &request, Box::pin(sent.send())).await?;
        let listed = output.uploads.unwrap_or_default().into_iter();
        let uploads = listed.filter_map(|upload| {
            Some(ListedUpload {
                key: upload.key?,
                id: upload.upload_id?,
                initiated: time(upload.initiated)?,
            })
        });
        let next = match output.is_truncated {
            Some(true) => output.next_key_marker.zip(output.next_upload_id_marker),
            Some(false) | None => None,
        };
        Ok(UploadPage {
            uploads: uploads.collect(),
            next,
            now: clock.now(),
        })
    }

    /// Returns the bytes of the parts that a multipart upload has.
    ///
    /// # Errors
    ///
    /// `Missing` if the upload does not exist, and the errors of any request.
    pub async fn uploaded_bytes(&self, call: &Call, upload: &MultipartUpload<'_>) -> Result<u64, Error> {
        let mut bytes = 0;
        let mut marker = None;
        loop {
            let request = part_request(AwsOperation::ListParts, upload, None);
            let sent = self
                .client(upload.location.region)
                .list_parts()
                .bucket(upload.location.bucket)
                .key(upload.location.key)
                .upload_id(&upload.id)
                .set_part_number_marker(marker);
            let output = send(call, &request, Box::pin(sent.send())).await?;
            let parts = output.parts.unwrap_or_default();
            let sizes = parts.iter().map(|part| part.size.map_or(0, i64::unsigned_abs));
            bytes += sizes.sum::<u64>();
            marker = output.next_part_number_marker;
            if output.is_truncated != Some(true) || marker.is_none() {
                return Ok(bytes);
            }
        }
    }
}

/// The time of S3's last response; of this machine if the response has none.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<Mutex<Option<SystemTime>>>);

impl Clock {
    fn now(&self) -> SystemTime {
        self.0.lock().unwrap_or_else(SystemTime::now)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "tollgate::aws::Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        *self.0.lock() = date.and_then(|date| time(Some(date)));
        Ok(())
    }
}

/// `None` if the time is missing or not one that this machine can represent.
fn time(time: Option<DateTime>) -> Option<SystemTime> {
    SystemTime::try_from(time?).ok()
}

/// A key in the `url` encoding of S3.
fn decoded(key: &str) -> String {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_keys() {
        assert_eq!(decoded("docs/A%2523B/a+b%2Bc/n"), "docs/A%23B/a b+c/n");
        assert_eq!(decoded("plain/%FF"), "plain/\u{fffd}");
    }
}
