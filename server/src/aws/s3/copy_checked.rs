//! Copies an object and its SHA-256, if it is the one that its caller has seen.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective};

use super::copy::CopySource;
use super::{Location, S3, StoredObject, request, some_metadata};
use crate::aws::error::Error;
use crate::aws::meter;
use crate::aws::request::{Cause, Failure, SdkFailure};
use crate::call::Call;
use crate::figure::AwsOperation;

/// A copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiedObject {
    /// Its entity tag and version.
    pub stored: StoredObject,
    /// The SHA-256 that S3 computed, in base64; `None` if the store did not compute one.
    pub sha256: Option<String>,
}

/// Why an object was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It has another etag.
    #[error("the object was replaced before it was copied")]
    Changed,
    /// S3 returned an error, or could not be reached.
    #[error(transparent)]
    Store(#[from] Error),
}

impl S3 {
    /// Copies an object of at most 5 GiB, with this type and metadata instead of those of the source.
    ///
    /// # Errors
    ///
    /// `Changed` if the etag differs, `Missing` if there is no such object.
    pub async fn copy_checked(
        &self,
        call: &Call,
        source: CopySource<'_>,
        target: Location<'_>,
        content_type: Option<&str>,
        metadata: &HashMap<String, String>,
    ) -> Result<CopiedObject, CopyError> {
        let request = request(AwsOperation::CopyObject, target);
        let sent = Box::pin(
            self.client(target.region)
                .copy_object()
                .bucket(target.bucket)
                .key(target.key)
                .copy_source(source.header())
                .copy_source_if_match(source.etag)
                .metadata_directive(MetadataDirective::Replace)
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .set_content_type(content_type.map(str::to_owned))
                .set_metadata(some_metadata(metadata))
                .send(),
        );
        let output = match meter::send(call, &request, sent).await {
            Ok(output) => output,
            Err(failure) if is_changed(&failure) => return Err(CopyError::Changed),
            Err(failure) => return Err(request.error(&failure).into()),
        };
        let (etag, sha256) = match output.copy_object_result {
            Some(copied) => (copied.e_tag, copied.checksum_sha256),
            None => (None, None),
        };
        Ok(CopiedObject {
            stored: StoredObject {
                etag: etag.unwrap_or_default(),
                version_id: output.version_id,
            },
            sha256,
        })
    }
}

fn is_changed<E: SdkFailure>(failure: &Failure<E>) -> bool {
    let Cause::Sdk(error) = &failure.cause else {
        return false;
    };
    error.code() == Some("PreconditionFailed")
}
