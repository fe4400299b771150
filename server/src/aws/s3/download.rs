//! GetObject: an object's whole content in one buffer of bounded size. The SDK retries a request until its response
//! begins. If the body fails later, this file sends the request again, within the same limit of attempts. A body that
//! stalls is bounded only by the deadline of the call.
//!
//! A body that fails in the same way in every attempt is damaged in S3: it always ends at the same byte before its
//! announced length, or never matches S3's checksum.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime::client::http::body::content_length_enforcement::ContentLengthError;
use aws_smithy_types::retry::RetryConfig;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;

use super::super::error::{Error, Kind};
use super::super::meter::{self, Meter};
use super::super::request::Request;
use super::{Location, S3, request};
use crate::call::Call;
use crate::figure::AwsOperation;

/// Backoff before the second attempt at a body; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// A downloaded object.
#[derive(Clone, Debug, Default)]
pub struct Downloaded {
    /// Its content.
    pub content: Bytes,
    /// Its user-defined metadata, names in lower case.
    pub metadata: HashMap<String, String>,
}

/// Why an object could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The object is damaged in S3: every attempt failed alike.
    #[error("{0}")]
    Damaged(&'static str),
    /// S3 returned an error, or could not be reached.
    #[error(transparent)]
    Store(#[from] Error),
}

/// How the body of an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// It ended after this number of bytes, before its announced length.
    Short { bytes: u64 },
    /// It does not match S3's checksum.
    Checksum,
    /// The connection failed.
    Connection,
}

/// Why a body could not be read to its end.
enum BodyError {
    Broken(Break, Error),
    Final(Error),
}

impl S3 {
    /// Downloads an object of at most `max_bytes`, with its metadata. The SDK verifies the checksum, if S3 has one.
    ///
    /// # Errors
    ///
    /// `Missing` if the object or bucket does not exist, `TooLarge` above `max_bytes`, `Damaged` if the stored content
    /// is truncated or changed.
    pub async fn get_object(
        &self,
        call: &Call,
        location: Location<'_>,
        max_bytes: u64,
    ) -> Result<Downloaded, DownloadError> {
        let request = request(AwsOperation::GetObject, location);
        let (mut sent, mut breaks) = (0, Vec::new());
        loop {
            // the attempt lasts until its body has been read: keep the meter until then
            let (output, meter) = self.begin_download(call, &request, location, sent).await?;
            sent = meter.sent();
            let metadata = output.metadata.unwrap_or_default();
            let announced = output.content_length.map_or(0, i64::unsigned_abs);
            if announced > max_bytes {
                return Err(too_large(&request).into());
            }
            let (reason, error) = match read_body(call, &request, output.body, announced, max_bytes).await {
                Ok(content) => return Ok(Downloaded { content, metadata }),
                Err(BodyError::Final(error)) => return Err(error.into()),
                Err(BodyError::Broken(reason, error)) => (reason, error),
            };
            drop(meter);
            breaks.push(reason);
            if sent >= self.max_attempts() {
                return Err(verdict(&breaks, self.max_attempts(), error));
            }
            wait(call, &request, breaks.len()).await?;
        }
    }

    /// Sends the request, with the attempts that remain after the `sent` ones.
    async fn begin_download(
        &self,
        call: &Call,
        request: &Request<'_>,
        location: Location<'_>,
        sent: u32,
    ) -> Result<(GetObjectOutput, Arc<Meter>), Error> {
        let get = self
            .client(location.region)
            .get_object()
            .bucket(location.bucket)
            .key(location.key);
        let left = self.max_attempts().saturating_sub(sent).max(1);
        let sending: BoxFuture<'_, Result<GetObjectOutput, SdkError<GetObjectError, _>>> = if sent == 0 {
            Box::pin(get.send())
        } else {
            let retries = RetryConfig::standard().with_max_attempts(left);
            let config = aws_sdk_s3::config::Builder::new().retry_config(retries);
            Box::pin(get.customize().config_override(config).send())
        };
        meter::send_streamed(call, request, sent, sending)
            .await
            .map_err(|failure| request.error(&failure))
    }

    fn max_attempts(&self) -> u32 {
        let retries = self.client.config().retry_config();
        retries.map_or(1, RetryConfig::max_attempts)
    }
}

fn too_large(request: &Request<'_>) -> Error {
    request.local_error(Kind::TooLarge, "the object exceeds the requested maximum")
}

fn deadline_passed(request: &Request<'_>) -> Error {
    request.local_error(Kind::Deadline { sent: false }, "deadline exceeded")
}

/// Reads a body. Counts every byte received, even if the body fails.
async fn read_body(
    call: &Call,
    request: &Request<'_>,
    mut body: ByteStream,
    announced: u64,
    max_bytes: u64,
) -> Result<Bytes, BodyError> {
    let deadline = call.deadline().into();
    let mut content = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    loop {
        let chunk = match tokio::time::timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => {
                let reason = reason(&error, content.len() as u64);
                let cause = format!("response body failed: {error}");
                return Err(BodyError::Broken(
                    reason,
                    request.local_error(Kind::Unavailable, &cause),
                ));
            }
            Ok(None) => return Ok(content.freeze()),
            Err(_elapsed) => return Err(BodyError::Final(deadline_passed(request))),
        };
        call.add_downloaded(chunk.len() as u64);
        if (content.len() + chunk.len()) as u64 > max_bytes {
            return Err(BodyError::Final(too_large(request)));
        }
        content.extend_from_slice(&chunk);
    }
}

fn reason(error: &(dyn StdError + 'static), bytes: u64) -> Break {
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        if cause.is::<aws_smithy_checksums::body::validate::Error>() {
            return Break::Checksum;
        }
        let is_short = cause.downcast_ref::<io::Error>().is_some_and(|error| {
            // `NotFound`: the embedded engine has the metadata of the body, but not its file
            matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound
            )
        });
        if is_short || cause.is::<ContentLengthError>() {
            return Break::Short { bytes };
        }
    }
    Break::Connection
}

/// The error after all attempts, from how their bodies failed.
fn verdict(breaks: &[Break], max_attempts: u32, last: Error) -> DownloadError {
    let is_established = breaks.len() > 1 || max_attempts == 1;
    let are_alike = breaks.windows(2).all(|pair| pair[0] == pair[1]);
    match breaks.first() {
        Some(Break::Short { .. }) if is_established && are_alike => {
            DownloadError::Damaged("content ends before its announced length")
        }
        Some(Break::Checksum) if is_established && are_alike => {
            DownloadError::Damaged("content does not match its S3 checksum")
        }
        Some(Break::Short { .. } | Break::Checksum | Break::Connection) | None => DownloadError::Store(last),
    }
}

async fn wait(call: &Call, request: &Request<'_>, breaks: usize) -> Result<(), Error> {
    let doubled = u32::try_from(breaks.saturating_sub(1)).unwrap_or(u32::MAX).min(6);
    let waiting = FIRST_WAIT * 2_u32.pow(doubled);
    let waited = tokio::time::timeout_at(call.deadline().into(), tokio::time::sleep(waiting)).await;
    call.add_backoff(waiting);
    waited.map_err(|_elapsed| deadline_passed(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(breaks: &[Break], max_attempts: u32) -> String {
        let location = Location {
            bucket: "files",
            key: "k",
            region: None,
        };
        let last =
            request(AwsOperation::GetObject, location).local_error(Kind::Unavailable, "response body failed");
        verdict(breaks, max_attempts, last).to_string()
    }

    #[test]
    fn damaged_only_if_every_attempt_failed_alike() {
        let short = |bytes| Break::Short { bytes };
        let damaged = "content ends before its announced length";
        assert_eq!(verdict_of(&[short(5); 3], 3), damaged);
        assert_eq!(verdict_of(&[short(5); 2], 3), damaged);
        assert_eq!(verdict_of(&[short(5)], 1), damaged);
        assert_eq!(
            verdict_of(&[Break::Checksum; 3], 3),
            "content does not match its S3 checksum"
        );
        for breaks in [
            &[short(5), short(6), short(5)][..],
            &[short(5), Break::Connection, short(5)],
            &[Break::Connection; 3],
            &[short(5), Break::Checksum],
            &[short(5)],
        ] {
            assert_eq!(
                verdict_of(breaks, 3),
                "S3 GetObject: service unavailable",
                "{breaks:?}"
            );
        }
    }
}
