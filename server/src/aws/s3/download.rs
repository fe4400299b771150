//! GetObject: an object, or a range of it, as a stream of bytes. The SDK retries a request until its response begins. A body
//! that breaks later is resumed by this file from the byte where it broke, with a range request for the same etag. Every
//! attempt is billed. A read fails after as many attempts in a row without a new byte as a request has attempts, and a body
//! that stalls is bounded only by the deadline of the call.
//!
//! If all those attempts ended without an error of the connection, the content is truncated in S3.

mod breaks;
mod byte_range;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;
use futures::future::BoxFuture;

use self::breaks::{Break, reason};
use self::byte_range::{content_range, header};
use super::super::error::{Error, Kind};
use super::super::meter::{self, Meter};
use super::super::request::{Cause, Failure, Request};
use super::{Location, S3, request};
use crate::call::Call;
use crate::figure::AwsOperation;

/// Backoff before the second attempt at a body; doubled for each further one without a new byte.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const TRUNCATED: &str = "content ends before its announced length";
const MISMATCHED: &str = "content does not match its S3 checksum";

/// What to read.
#[derive(Clone)]
pub struct Wanted {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The bucket's region, if it is not the client's.
    pub region: Option<String>,
    /// The version of the object; `None`: the current one.
    pub version_id: Option<String>,
    /// The bytes to read, one at least; `None`: all.
    pub range: Option<Range<u64>>,
    /// The etag that the object must have.
    pub if_match: Option<String>,
}

/// Why an object could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The object is not the one that is wanted, or every attempt failed in a way that shows that it is damaged in S3.
    #[error("{0}")]
    Damaged(&'static str),
    /// The content that was read does not match S3's checksum. [`ObjectBody::restart`] reads it again.
    #[error("{MISMATCHED}")]
    Checksum,
    /// S3 returned an error, or could not be reached.
    #[error(transparent)]
    Store(#[from] Error),
}

/// An object that is being read.
pub struct ObjectBody {
    s3: S3,
    call: Call,
    wanted: Wanted,
    /// The object's user-defined metadata, names in lower case.
    metadata: HashMap<String, String>,
    /// The size of the whole object.
    object_bytes: u64,
    /// The etag of the first response, which later ones must have.
    etag: Option<String>,
    /// What is read.
    range: Range<u64>,
    /// How many bytes of the range have been returned.
    received: u64,
    response: Option<Response>,
    ended: bool,
    attempts: Attempts,
    /// How often content did not match its checksum.
    mismatches: u32,
}

/// A response whose body is being read. The attempt lasts as long as the meter.
struct Response {
    body: ByteStream,
    _meter: Arc<Meter>,
}

/// The attempts at one object.
#[derive(Default)]
struct Attempts {
    /// All that were sent.
    sent: u32,
    /// The last ones in a row, as far as they brought no new byte.
    barren: u32,
    /// How the bodies of those broke.
    breaks: Vec<Break>,
}

impl S3 {
    /// Opens an object: waits until the response to the first request begins. The SDK verifies the checksum of a whole
    /// object, if S3 has one.
    ///
    /// # Errors
    ///
    /// `Missing` if the object or bucket does not exist, `Damaged` if it has another etag or ends before the range.
    pub async fn open_object(&self, call: &Call, wanted: Wanted) -> Result<ObjectBody, DownloadError> {
        let mut attempts = Attempts::default();
        let (output, response) = self
            .send_get(
                call,
                &wanted,
                wanted.range.as_ref(),
                wanted.if_match.as_deref(),
                &mut attempts,
            )
            .await?;
        let announced = output
            .content_length
            .and_then(|length| u64::try_from(length).ok());
        let described = match &wanted.range {
            None => announced.map(|length| (0..length, length)),
            Some(range) => output
                .content_range
                .as_deref()
                .and_then(content_range)
                .filter(|(sent, _)| sent.start == range.start && sent.end <= range.end),
        };
        let Some((range, object_bytes)) = described else {
            return Err(misdescribed(&wanted.request()).into());
        };
        Ok(ObjectBody {
            s3: self.clone(),
            call: call.clone(),
            metadata: output.metadata.unwrap_or_default(),
            object_bytes,
            etag: output.e_tag,
            range,
            received: 0,
            response: Some(response),
            ended: false,
            attempts,
            mismatches: 0,
            wanted,
        })
    }

    /// Sends a request, with the attempts that are left, and waits until its response begins.
    async fn send_get(
        &self,
        call: &Call,
        wanted: &Wanted,
        range: Option<&Range<u64>>,
        if_match: Option<&str>,
        attempts: &mut Attempts,
    ) -> Result<(GetObjectOutput, Response), DownloadError> {
        let region = wanted.region.as_deref();
        let get = self
            .client(region)
            .get_object()
            .bucket(&wanted.bucket)
            .key(&wanted.key)
            .set_version_id(wanted.version_id.clone())
            .set_range(range.map(header))
            .set_if_match(if_match.map(str::to_owned));
        let sending: BoxFuture<'_, Result<GetObjectOutput, SdkError<GetObjectError, _>>> =
            if attempts.sent == 0 && range.is_none() {
                Box::pin(get.send())
            } else {
                let left = self.max_attempts().saturating_sub(attempts.barren).max(1);
                let mut config = aws_sdk_s3::config::Builder::new()
                    .retry_config(RetryConfig::standard().with_max_attempts(left));
                if range.is_some() {
                    // stores that send the checksum of the whole object with a range exist
                    config = config.response_checksum_validation(ResponseChecksumValidation::WhenRequired);
                }
                Box::pin(get.customize().config_override(config).send())
            };
        let request = wanted.request();
        let sent = meter::send_streamed(call, &request, attempts.sent, sending).await;
        let (mut output, meter) = sent.map_err(|failure| refused(&request, &failure))?;
        attempts.barren += meter.sent().saturating_sub(attempts.sent).max(1);
        attempts.sent = meter.sent();
        let body = std::mem::take(&mut output.body);
        Ok((output, Response { body, _meter: meter }))
    }

    /// The attempts that a request has, and a body without a new byte.
    fn max_attempts(&self) -> u32 {
        let retries = self.client.config().retry_config();
        retries.map_or(1, RetryConfig::max_attempts)
    }
}

impl ObjectBody {
    /// The object's user-defined metadata, names in lower case.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The size of the whole object.
    pub fn object_bytes(&self) -> u64 {
        self.object_bytes
    }

    /// The number of bytes that are read: of the object, or of the range as far as the object has it.
    pub fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The next bytes, each of which is counted; `None` at the end. Not to be called again after an error.
    ///
    /// # Errors
    ///
    /// `Damaged` if the object was replaced meanwhile or is truncated, `Checksum` at the end of a whole object, and the
    /// errors of any request.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            let mut response = match self.response.take() {
                Some(response) => response,
                None if self.ended => return Ok(None),
                None => self.resume().await?,
            };
            let deadline = self.call.deadline().into();
            let broken = match tokio::time::timeout_at(deadline, response.body.next()).await {
                Err(_elapsed) => return Err(deadline_passed(&self.wanted.request()).into()),
                Ok(Some(Ok(chunk))) => {
                    self.response = Some(response);
                    match self.accept(&chunk)? {
                        true => return Ok(Some(chunk)),
                        false => continue,
                    }
                }
                Ok(None) => Break::Short,
                Ok(Some(Err(error))) => match reason(&error) {
                    Break::Checksum => return Err(DownloadError::Checksum),
                    broken => broken,
                },
            };
            drop(response);
            if self.received == self.bytes() {
                self.ended = true;
                return Ok(None);
            }
            self.attempts.breaks.push(broken);
            if self.attempts.barren >= self.s3.max_attempts() {
                return Err(self.verdict());
            }
        }
    }

    /// Begins again after content that did not match its checksum.
    ///
    /// # Errors
    ///
    /// `Damaged` if it never matches.
    pub fn restart(&mut self) -> Result<(), DownloadError> {
        self.mismatches += 1;
        if self.mismatches >= self.s3.max_attempts() {
            return Err(DownloadError::Damaged(MISMATCHED));
        }
        self.received = 0;
        self.response = None;
        Ok(())
    }

    /// Counts a chunk. Returns whether it has bytes.
    fn accept(&mut self, chunk: &Bytes) -> Result<bool, DownloadError> {
        let bytes = chunk.len() as u64;
        if bytes == 0 {
            return Ok(false);
        }
        self.call.add_downloaded(bytes);
        self.received += bytes;
        if self.received > self.bytes() {
            return Err(DownloadError::Damaged("content exceeds its announced length"));
        }
        self.attempts.barren = 0;
        self.attempts.breaks.clear();
        Ok(true)
    }

    /// Requests what has not been received yet.
    async fn resume(&mut self) -> Result<Response, DownloadError> {
        wait(&self.call, &self.wanted.request(), self.attempts.breaks.len()).await?;
        let rest = self.range.start + self.received..self.range.end;
        let is_whole = self.wanted.range.is_none() && self.received == 0;
        let range = (!is_whole).then_some(&rest);
        let etag = self.etag.as_deref().or(self.wanted.if_match.as_deref());
        let (output, response) = self
            .s3
            .send_get(&self.call, &self.wanted, range, etag, &mut self.attempts)
            .await?;
        let is_rest = match range {
            None => output.content_length.map(i64::unsigned_abs) == Some(self.object_bytes),
            Some(_) => {
                let sent = output.content_range.as_deref().and_then(content_range);
                sent == Some((rest, self.object_bytes))
            }
        };
        match is_rest {
            true => Ok(response),
            false => Err(misdescribed(&self.wanted.request()).into()),
        }
    }

    /// The error after as many attempts in a row without a new byte as there may be, from how their bodies broke.
    fn verdict(&self) -> DownloadError {
        if breaks::show_truncation(&self.attempts.breaks, self.s3.max_attempts()) {
            return DownloadError::Damaged(TRUNCATED);
        }
        let request = self.wanted.request();
        request
            .local_error(Kind::Unavailable, "the response body failed")
            .into()
    }
}

impl Wanted {
    fn request(&self) -> Request<'_> {
        let location = Location {
            bucket: &self.bucket,
            key: &self.key,
            region: self.region.as_deref(),
        };
        request(AwsOperation::GetObject, location)
    }
}

/// The error of a request that failed.
fn refused(request: &Request<'_>, failure: &Failure<GetObjectError>) -> DownloadError {
    let status = match &failure.cause {
        Cause::Sdk(error) => error.raw_response().map(|response| response.status().as_u16()),
        Cause::Deadline => None,
    };
    match status {
        Some(412) => DownloadError::Damaged("the object has another etag"),
        Some(416) => DownloadError::Damaged("the object ends before the range"),
        Some(_) | None => DownloadError::Store(request.error(failure)),
    }
}

fn misdescribed(request: &Request<'_>) -> Error {
    request.local_error(
        Kind::Unavailable,
        "the response has no length, or another range than requested",
    )
}

fn deadline_passed(request: &Request<'_>) -> Error {
    request.local_error(Kind::Deadline { sent: false }, "deadline exceeded")
}

async fn wait(call: &Call, request: &Request<'_>, breaks: usize) -> Result<(), Error> {
    let doubled = u32::try_from(breaks.saturating_sub(1)).unwrap_or(u32::MAX).min(6);
    let waiting = FIRST_WAIT * 2_u32.pow(doubled);
    let waited = tokio::time::timeout_at(call.deadline().into(), tokio::time::sleep(waiting)).await;
    call.add_backoff(waiting);
    waited.map_err(|_elapsed| deadline_passed(request))
}

#[cfg(test)]
impl S3 {
    /// The whole content of an object.
    pub(crate) async fn whole_object(
        &self,
        call: &Call,
        location: Location<'_>,
    ) -> Result<Bytes, DownloadError> {
        let wanted = Wanted {
            bucket: location.bucket.to_owned(),
            key: location.key.to_owned(),
            region: None,
            version_id: None,
            range: None,
            if_match: None,
        };
        let mut body = self.open_object(call, wanted).await?;
        let mut content = Vec::new();
        loop {
            match body.next().await {
                Ok(Some(chunk)) => content.extend_from_slice(&chunk),
                Ok(None) => return Ok(content.into()),
                Err(DownloadError::Checksum) => {
                    content.clear();
                    body.restart()?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
