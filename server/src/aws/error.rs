//! Why a request to a store failed, as kinds that callers act on. Never holds item values: what the log is told is chosen
//! in `cause`.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::figure::{AwsOperation, Service};
use crate::model::Item;
use crate::telemetry::RequestFacts;

use super::cause;
use super::meter::{Cause, Failure, SdkFailure};

/// A request to a store failed, after the SDK's retries.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{service} {operation}: {kind}", service = .operation.service())]
pub struct Error {
    /// What callers act on.
    pub kind: Kind,
    /// The operation that failed.
    pub operation: AwsOperation,
    /// The service's own id of the last attempt.
    pub request_id: Option<Box<str>>,
    /// Whether an attempt of this write may have been applied although it ended in an error.
    pub doubt: Doubt,
    /// Where the last attempt went; none if nothing was sent over the network.
    pub endpoint: Option<Box<Endpoint>>,
    /// For the log: the service's code, its text where that holds nothing of an item, or the connection's failure.
    pub cause: Box<str>,
}

/// Scheme, host and port. Boxed in errors: few of them are looked at, and all are passed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Box<str>);

/// What callers act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The write's condition did not hold; the item as it is, if there is one.
    ConditionFailed {
        /// As stored: sealed, with pointers.
        item: Option<Item>,
    },
    /// A table, key, bucket or object is not there.
    Missing {
        /// What is missing.
        what: Resource,
        /// Its name.
        name: String,
    },
    /// The service refuses for now.
    Throttled,
    /// The credentials do not allow it.
    Denied,
    /// The KMS key is disabled, pending deletion, or not for us.
    KeyUnusable,
    /// KMS does not open this ciphertext in this context.
    InvalidCiphertext,
    /// The ciphertext was made under another key than the one that was named.
    IncorrectKey,
    /// The ciphertext names a key that KMS does not find or not show: another account's, one that is gone, or the
    /// ciphertext is damaged.
    UnknownKey,
    /// DynamoDB's 400 KB, or an object larger than asked for.
    TooLarge,
    /// The service says that the request is wrong: our own fault or the item's.
    Refused,
    /// The service is down or cannot be reached; nothing was changed.
    Unavailable,
    /// A write was sent, and nobody knows whether it was applied.
    OutcomeUnknown,
    /// The call's deadline passed.
    Deadline {
        /// A write was sent before, and nobody knows whether it was applied.
        sent: bool,
    },
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A DynamoDB table or index.
    Table,
    /// A KMS key.
    Key,
    /// An S3 bucket.
    Bucket,
    /// An S3 object.
    Object,
}

/// Whether something that ended in an error may have been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Certainly not.
    #[default]
    None,
    /// It may have been, but is not under way any longer: the service answered.
    Answered,
    /// It may have been, or may still be: no answer came.
    Lost,
}

/// What a request was about, for its error.
pub(super) struct Request<'a> {
    pub(super) operation: AwsOperation,
    /// The table, KMS key, or bucket.
    pub(super) name: &'a str,
    /// It changes what callers see, so that a lost answer matters.
    pub(super) is_write: bool,
    /// What its span tells beside that.
    pub(super) detail: Detail<'a>,
}

/// What the span of a request to S3 tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detail<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) upload_id: Option<&'a str>,
    pub(super) part_number: Option<i32>,
}

impl Error {
    /// Where the last attempt went: scheme, host and port.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_ref().map(|endpoint| endpoint.0.as_ref())
    }

    /// The service's name.
    pub fn service_name(&self) -> &'static str {
        self.operation.service().name()
    }

    /// What an operator should look at, for the log.
    pub fn check(&self) -> &'static str {
        match &self.kind {
            Kind::ConditionFailed { .. } => "the condition and the item",
            Kind::Missing { what, .. } => match what {
                Resource::Table => {
                    "whether the table was made, the region, and the account of the credentials"
                }
                Resource::Key => "whether the key and its alias were made, the region, and the account",
                Resource::Bucket => "whether the bucket was made, and its region",
                Resource::Object => "whether somebody removed the object",
            },
            Kind::Throttled => "the table's capacity and the service's quotas",
            Kind::Denied => "the credentials and their policy; tollgate iam prints what is needed",
            Kind::KeyUnusable => "the key's state and policy, and the policy of the credentials",
            Kind::InvalidCiphertext | Kind::UnknownKey => {
                "which key sealed the value, and whether it was copied from another item"
            }
            Kind::IncorrectKey => "which key the alias points to, and whether `accepts` has the old one",
            Kind::TooLarge => "the size of the item",
            Kind::Refused => "the region, the endpoint and the clock",
            Kind::Unavailable if self.cause.contains("credential") || self.cause.contains("identity") => {
                "the credentials: AWS_PROFILE, AWS_ACCESS_KEY_ID, the role of this machine or pod"
            }
            Kind::Unavailable if self.cause.starts_with(cause::NO_CONNECTION) => {
                "the endpoint (AWS_ENDPOINT_URL, aws.endpoint_url), DNS, the network and its proxies"
            }
            Kind::Unavailable => "the health of the service, and proxies between",
            Kind::OutcomeUnknown => "the item, before the write is repeated",
            Kind::Deadline { .. } => {
                "the deadline of the caller, limits.deadline, the network, and the service"
            }
        }
    }
}

impl Request<'_> {
    /// For its span.
    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            operation: self.operation,
            name: Some(self.name),
            key: self.detail.key,
            upload_id: self.detail.upload_id,
            part_number: self.detail.part_number,
        }
    }

    /// The error of a failed request.
    pub(super) fn error<E: SdkFailure>(&self, failure: &Failure<E>) -> Error {
        let doubt = if self.is_write { failure.doubt } else { Doubt::None };
        let (kind, request_id, cause) = match &failure.cause {
            Cause::Deadline => (
                Kind::Deadline {
                    sent: doubt != Doubt::None,
                },
                None,
                "the deadline passed".to_owned(),
            ),
            Cause::Sdk(error) => (self.kind(error), request_id(error), cause::of(self, error)),
        };
        Error {
            kind: if doubt == Doubt::None {
                kind
            } else {
                in_doubt(kind)
            },
            operation: self.operation,
            request_id,
            doubt,
            endpoint: failure.endpoint.clone().map(Endpoint).map(Box::new),
            cause: cause.into(),
        }
    }

    /// The error of a request without a call.
    pub(super) fn failed<E: SdkFailure>(
        &self,
        error: SdkError<E, HttpResponse>,
        endpoint: Option<Box<str>>,
    ) -> Error {
        self.error(&Failure {
            cause: Cause::Sdk(Box::new(error)),
            doubt: Doubt::None,
            endpoint,
        })
    }

    /// An error of this side, before anything was sent.
    pub(super) fn refused(&self, cause: &str) -> Error {
        self.unsent(Kind::Refused, cause)
    }

    /// An error that is no answer of the service.
    pub(super) fn unsent(&self, kind: Kind, cause: &str) -> Error {
        Error {
            kind,
            operation: self.operation,
            request_id: None,
            doubt: Doubt::None,
            endpoint: None,
            cause: cause.into(),
        }
    }

    fn kind<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>) -> Kind {
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let metadata = context.err().meta();
                self.kind_of_code(metadata.code().unwrap_or_default(), metadata.message(), status)
            }
            SdkError::ConstructionFailure(_) => Kind::Refused,
            // no answer, or none that can be read: a write is in doubt then
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
                Kind::Unavailable
            }
            // the SDK's enum is open; what it may add is no answer either
            _ => Kind::Unavailable,
        }
    }

    fn kind_of_code(&self, code: &str, message: Option<&str>, status: u16) -> Kind {
        match code {
            "ConditionalCheckFailedException" => Kind::ConditionFailed { item: None },
            "ResourceNotFoundException" => self.missing(Resource::Table),
            "NotFoundException" => self.missing(Resource::Key),
            "NoSuchBucket" => self.missing(Resource::Bucket),
            "NoSuchKey" | "NotFound" => self.missing(Resource::Object),
            "DisabledException" | "KMSInvalidStateException" | "InvalidKeyUsageException" => {
                Kind::KeyUnusable
            }
            "InvalidCiphertextException" => Kind::InvalidCiphertext,
            "IncorrectKeyException" => Kind::IncorrectKey,
            "ItemCollectionSizeLimitExceededException" | "EntityTooLarge" => Kind::TooLarge,
            "ValidationException" if message.is_some_and(is_about_size) => Kind::TooLarge,
            "TransactionConflictException" | "ReplicatedWriteConflictException" => Kind::Throttled,
            "KeyUnavailableException" | "DependencyTimeoutException" | "KMSInternalException" => {
                Kind::Unavailable
            }
            code if is_throttling(code) => Kind::Throttled,
            "AccessDeniedException" if self.operation == AwsOperation::Decrypt && names_no_key(message) => {
                Kind::UnknownKey
            }
            "AccessDenied" | "AccessDeniedException" => self.denied(),
            code if is_about_credentials(code) => Kind::Denied,
            _ => self.kind_of_status(status),
        }
    }

    fn kind_of_status(&self, status: u16) -> Kind {
        match status {
            401 | 403 => self.denied(),
            429 => Kind::Throttled,
            400..500 => Kind::Refused,
            // 5xx, and what cannot be read as the answer that it is
            _ => Kind::Unavailable,
        }
    }

    fn missing(&self, what: Resource) -> Kind {
        Kind::Missing {
            what,
            name: self.name.to_owned(),
        }
    }

    fn denied(&self) -> Kind {
        match self.operation.service() {
            Service::Kms => Kind::KeyUnusable,
            Service::DynamoDb | Service::S3 => Kind::Denied,
        }
    }
}

/// A write of which an earlier attempt may have been applied has failed only if its condition says so; and even that
/// may be its own doing, which `write` finds out.
fn in_doubt(kind: Kind) -> Kind {
    match kind {
        Kind::ConditionFailed { item } => Kind::ConditionFailed { item },
        Kind::Deadline { sent } => Kind::Deadline { sent },
        Kind::Missing { .. }
        | Kind::Throttled
        | Kind::Denied
        | Kind::KeyUnusable
        | Kind::InvalidCiphertext
        | Kind::IncorrectKey
        | Kind::UnknownKey
        | Kind::TooLarge
        | Kind::Refused
        | Kind::Unavailable
        | Kind::OutcomeUnknown => Kind::OutcomeUnknown,
    }
}

/// Whether a denial says that a blob names no key of ours: a damaged one, or one of another key. Some stores say nothing there, while
/// denials that policies cause name the action: `… is not authorized to perform: kms:Decrypt …`.
fn names_no_key(message: Option<&str>) -> bool {
    message.is_none_or(|text| {
        text.is_empty() || text.contains("ciphertext refers to a customer master key that does not exist")
    })
}

/// The codes that the SDK takes for throttling, too.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "RequestThrottled"
            | "SlowDown"
            | "PriorRequestNotComplete"
    )
}

fn is_about_credentials(code: &str) -> bool {
    matches!(
        code,
        "AuthFailure"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "InvalidToken"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "NotAuthorized"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
    )
}

/// DynamoDB has no code of its own for "item size has exceeded the maximum allowed size".
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("size") && (message.contains("exceeded") || message.contains("maximum"))
}

fn request_id<E>(error: &SdkError<E, HttpResponse>) -> Option<Box<str>> {
    let headers = error.raw_response()?.headers();
    let id = headers
        .get("x-amzn-requestid")
        .or_else(|| headers.get("x-amz-request-id"))?;
    Some(id.into())
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Kind::ConditionFailed { .. } => "the condition does not hold",
            Kind::Missing { what, name } => return write!(formatter, "there is no {what} {name:?}"),
            Kind::Throttled => "throttled",
            Kind::Denied => "not allowed",
            Kind::KeyUnusable => "the key cannot be used",
            Kind::InvalidCiphertext => "the ciphertext does not open",
            Kind::IncorrectKey => "the ciphertext was made under another key",
            Kind::UnknownKey => "the ciphertext names no key that KMS knows",
            Kind::TooLarge => "too large",
            Kind::Refused => "the request was refused",
            Kind::Unavailable => "the service is not available",
            Kind::OutcomeUnknown => "sent, but the outcome is unknown",
            Kind::Deadline { sent: false } => "the deadline passed",
            Kind::Deadline { sent: true } => "the deadline passed with the outcome unknown",
        };
        formatter.write_str(text)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Resource::Table => "table",
            Resource::Key => "key",
            Resource::Bucket => "bucket",
            Resource::Object => "object",
        })
    }
}
