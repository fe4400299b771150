//! Copies of objects within S3, whole or part by part. The source must still have the entity tag that the caller knows.

use std::collections::HashMap;

use aws_sdk_s3::types::MetadataDirective;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::error::Error;
use super::{Location, MultipartUpload, Part, S3, StoredObject, part_request, request, send, some_metadata};
use crate::call::Call;
use crate::figure::AwsOperation;

/// The largest object that one request copies.
pub const MAX_COPIED_BYTES: u64 = 5 << 30;
/// All except the unreserved characters and the separators of a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The object that is copied.
#[derive(Clone, Copy, Debug)]
pub struct CopySource<'a> {
    /// Where it is.
    pub location: Location<'a>,
    /// Its version, if the bucket is versioned.
    pub version_id: Option<&'a str>,
    /// Its entity tag.
    pub etag: &'a str,
}

impl CopySource<'_> {
    pub(super) fn header(&self) -> String {
        let Location { bucket, key, .. } = self.location;
        let path = utf8_percent_encode(key, ENCODED);
        match self.version_id {
            Some(version_id) => {
                let version_id = utf8_percent_encode(version_id, ENCODED);
                format!("{bucket}/{path}?versionId={version_id}")
            }
            None => format!("{bucket}/{path}"),
        }
    }
}

impl S3 {
    /// Copies an object of at most [`MAX_COPIED_BYTES`], with other metadata.
    ///
    /// # Errors
    ///
    /// `Missing` if the source does not exist, `Refused` if it has another entity tag, and the errors of any request.
    pub async fn copy_whole(
        &self,
        call: &Call,
        source: CopySource<'_>,
        location: Location<'_>,
        content_type: Option<&str>,
        metadata: &HashMap<String, String>,
    ) -> Result<StoredObject, Error> {
        let request = request(AwsOperation::CopyObject, location);
        let sent = self
            .client(location.region)
            .copy_object()
            .copy_source(source.header())
            .copy_source_if_match(source.etag)
            .bucket(location.bucket)
            .key(location.key)
            .metadata_directive(MetadataDirective::Replace)
            .set_content_type(content_type.map(str::to_owned))
            .set_metadata(some_metadata(metadata));
        let output = send(call, &request, Box::pin(sent.send())).await?;
        let etag = output.copy_object_result.and_then(|result| result.e_tag);
        Ok(StoredObject {
            etag: etag.unwrap_or_default(),
            version_id: output.version_id,
        })
    }

    /// Copies the bytes from `first` to `last` of an object into a part; parts are numbered from 1.
    ///
    /// # Errors
    ///
    /// As [`S3::copy_whole`].
    pub async fn copy_part(
        &self,
        call: &Call,
        source: CopySource<'_>,
        upload: &MultipartUpload<'_>,
        number: i32,
        (first, last): (u64, u64),
    ) -> Result<Part, Error> {
        // UploadPartCopy, which S3 counts as a kind of UploadPart
        let request = part_request(AwsOperation::UploadPart, upload, Some(number));
        let sent = self
            .client(upload.location.region)
            .upload_part_copy()
            .copy_source(source.header())
            .copy_source_if_match(source.etag)
            .copy_source_range(format!("bytes={first}-{last}"))
            .bucket(upload.location.bucket)
            .key(upload.location.key)
            .upload_id(&upload.id)
            .part_number(number);
        let output = send(call, &request, Box::pin(sent.send())).await?;
        let result = output.copy_part_result;
        Ok(Part {
            number,
            etag: result.as_ref().and_then(|result| result.e_tag.clone()),
            crc32: result.and_then(|result| result.checksum_crc32),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_encoded() {
        let location = Location {
            bucket: "b",
            key: "docs/A%23B/a+b/n",
            region: None,
        };
        let mut source = CopySource {
            location,
            version_id: None,
            etag: "e",
        };
        assert_eq!(source.header(), "b/docs/A%2523B/a%2Bb/n");
        source.version_id = Some("v/1");
        assert_eq!(source.header(), "b/docs/A%2523B/a%2Bb/n?versionId=v/1");
    }
}
