//! One request to a store: what it is about, and how it fails. Sends nothing.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::call::RequestFacts;
use crate::figure::AwsOperation;

use super::error::Doubt;

/// What a request is about, for its span and its error.
pub(super) struct Request<'a> {
    pub(super) operation: AwsOperation,
    /// The table, KMS key, or bucket.
    pub(super) name: &'a str,
    /// It changes what callers see, so that a lost response matters.
    pub(super) is_write: bool,
    /// Further attributes of its span.
    pub(super) detail: Detail<'a>,
}

/// The attributes that only spans of S3 requests have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detail<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) upload_id: Option<&'a str>,
    pub(super) part_number: Option<i32>,
}

/// How a request failed, after the SDK's retries.
pub(super) struct Failure<E> {
    pub(super) cause: Cause<E>,
    pub(super) doubt: Doubt,
    /// Scheme, host and port of the last attempt; `None` if nothing was sent over the network.
    pub(super) endpoint: Option<Box<str>>,
}

/// Why a request has no output.
pub(super) enum Cause<E> {
    /// The deadline of the call was exceeded.
    Deadline,
    /// The SDK's error.
    Sdk(Box<SdkError<E, HttpResponse>>),
}

/// The bounds of the SDK's service errors.
pub(super) trait SdkFailure: StdError + ProvideErrorMetadata + Send + Sync + 'static {}

impl<E: StdError + ProvideErrorMetadata + Send + Sync + 'static> SdkFailure for E {}

impl<'a> Request<'a> {
    /// A request that changes nothing, about this table, KMS key or bucket.
    pub(super) fn new(operation: AwsOperation, name: &'a str) -> Request<'a> {
        Request {
            operation,
            name,
            is_write: false,
            detail: Detail::default(),
        }
    }

    /// The attributes of its span.
    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            operation: self.operation,
            name: Some(self.name),
            key: self.detail.key,
            upload_id: self.detail.upload_id,
            part_number: self.detail.part_number,
        }
    }
}
