//! Presigned URLs: requests for one object that are signed now, and that anyone may send until they expire. Sends nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Location, S3, request};
use crate::aws::error::{Doubt, Error, Kind};
use crate::aws::request::{Cause, Failure, Request, SdkFailure};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::limits::MAX_URL_LIFE;

/// A URL and the headers that must be sent with it. `Debug` shows neither: whoever has them may use them.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// The headers that are signed, without `host`.
    pub headers: Vec<(String, String)>,
    /// When the URL expires, in whole seconds.
    pub expires: SystemTime,
}

/// A content to be uploaded by URL.
#[derive(Clone, Copy, Debug)]
pub struct SignedContent<'a> {
    /// The media type.
    pub content_type: &'a str,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 in base64.
    pub sha256: &'a str,
}

impl S3 {
    /// Whether URLs can be signed: the embedded engine needs a listener for them.
    pub fn signs_urls(&self) -> bool {
        self.signer.is_some()
    }

    /// Signs a URL that reads an object. `life` is at least a second; the credentials may shorten it.
    ///
    /// # Errors
    ///
    /// There are no credentials, or they expire within a second.
    pub async fn presign_get(
        &self,
        call: &Call,
        location: Location<'_>,
        version_id: Option<&str>,
        life: Duration,
    ) -> Result<SignedUrl, Error> {
        let request = request(AwsOperation::GetObject, location);
        let signing = self.signing_client(&request, location.region)?;
        let get = signing
            .get_object()
            .bucket(location.bucket)
            .key(location.key)
            .set_version_id(version_id.map(str::to_owned));
        self.sign(call, &request, life, |config| get.clone().presigned(config))
            .await
    }

    /// Signs a URL that uploads an object with exactly this content. `life` as for [`S3::presign_get`].
    ///
    /// # Errors
    ///
    /// As [`S3::presign_get`].
    pub async fn presign_put(
        &self,
        call: &Call,
        location: Location<'_>,
        content: SignedContent<'_>,
        life: Duration,
    ) -> Result<SignedUrl, Error> {
        let request = request(AwsOperation::PutObject, location);
        let signing = self.signing_client(&request, location.region)?;
        let put = |config| {
            let put = signing
                .put_object()
                .bucket(location.bucket)
                .key(location.key)
                .content_type(content.content_type)
                .content_length(i64::try_from(content.size_bytes).unwrap_or(i64::MAX))
                .checksum_sha256(content.sha256);
            put.presigned(config)
        };
        self.sign(call, &request, life, put).await
    }

    fn signing_client(
        &self,
        request: &Request<'_>,
        region: Option<&str>,
    ) -> Result<aws_sdk_s3::Client, Error> {
        let signer = self.signer.as_ref();
        let client = signer.map(|signer| super::in_region(&signer.client, region));
        client.ok_or_else(|| request.local_error(Kind::Refused, "URLs are not signed by this server"))
    }

    async fn sign<E: SdkFailure, F>(
        &self,
        call: &Call,
        request: &Request<'_>,
        life: Duration,
        presigned: impl Fn(PresigningConfig) -> F,
    ) -> Result<SignedUrl, Error>
    where
        F: Future<Output = Result<PresignedRequest, SdkError<E, HttpResponse>>>,
    {
        let start = whole_seconds(SystemTime::now());
        let failed = |cause| {
            request.error(&Failure {
                cause,
                doubt: Doubt::None,
                endpoint: None,
            })
        };
        let sign_for = async |life: Duration| {
            let config = PresigningConfig::builder().start_time(start).expires_in(life);
            let config = config
                .build()
                .map_err(|error| request.local_error(Kind::Refused, &error.to_string()))?;
            // the first one fetches credentials
            let signed = tokio::time::timeout_at(call.deadline().into(), Box::pin(presigned(config))).await;
            match signed {
                Ok(signed) => signed.map_err(|error| failed(Cause::Sdk(Box::new(error)))),
                Err(_elapsed) => Err(failed(Cause::Deadline)),
            }
        };
        let mut life = life.min(MAX_URL_LIFE);
        let mut signed = sign_for(life).await?;
        let rest = self.signer.as_ref().and_then(|signer| signer.expiry.rest(start));
        if let Some(rest) = rest.filter(|rest| *rest < life) {
            if rest.is_zero() {
                return Err(request.local_error(Kind::Denied, "the credentials have expired"));
            }
            life = rest;
            signed = sign_for(life).await?;
        }
        let headers = signed
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(SignedUrl {
            headers: headers.collect(),
            url: signed.uri().to_owned(),
            expires: start + life,
        })
    }
}

impl std::fmt::Debug for SignedUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SignedUrl")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Signatures have whole seconds.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
