//! The kind of error that a failed request has: by AWS's error code, else by the response's status.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::figure::{AwsOperation, Service};

use super::cause;
use super::error::{Doubt, Endpoint, Error, Kind, Resource};
use super::request::{Cause, Failure, Request, SdkFailure};

impl Request<'_> {
    /// The error for a failure of this request.
    pub(super) fn error<E: SdkFailure>(&self, failure: &Failure<E>) -> Error {
        let doubt = if self.is_write { failure.doubt } else { Doubt::None };
        let (kind, request_id, cause) = match &failure.cause {
            Cause::Deadline => (
                Kind::Deadline {
                    sent: doubt != Doubt::None,
                },
                None,
                "deadline exceeded".to_owned(),
            ),
            Cause::Sdk(error) => (self.kind(error), request_id(error), cause::text(self, error)),
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
            endpoint: failure.endpoint.clone().map(Endpoint::new).map(Box::new),
            cause: cause.into(),
        }
    }

    /// The error for an SDK error of a request that belongs to no call.
    pub(super) fn sdk_error<E: SdkFailure>(
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

    /// An error that this program found itself.
    pub(super) fn local_error(&self, kind: Kind, cause: &str) -> Error {
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
            // no response, or an unreadable one: a write is in doubt then
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
                Kind::Unavailable
            }
            // the SDK's enum is non-exhaustive: a future variant says no more about the outcome than these
            _ => Kind::Unavailable,
        }
    }

    fn kind_of_code(&self, code: &str, message: Option<&str>, status: u16) -> Kind {
        match code {
            "ConditionalCheckFailedException" => Kind::ConditionFailed { item: None },
            "ResourceNotFoundException" => self.missing(Resource::Table),
            "NotFoundException" => self.missing(Resource::Key),
            "NoSuchBucket" => self.missing(Resource::Bucket),
            "NoSuchKey" | "NoSuchVersion" | "NotFound" => self.missing(Resource::Object),
            "DisabledException" | "KMSInvalidStateException" | "InvalidKeyUsageException" => {
                Kind::KeyUnusable
            }
            "InvalidCiphertextException" => Kind::InvalidCiphertext,
            "IncorrectKeyException" => Kind::IncorrectKey,
            "ItemCollectionSizeLimitExceededException" | "EntityTooLarge" => Kind::TooLarge,
            "ValidationException" if message.is_some_and(is_about_size) => Kind::TooLarge,
            "TransactionConflictException" | "ReplicatedWriteConflictException" => Kind::Throttled,
            "IdempotentParameterMismatchException" => Kind::TokenMismatch,
            "KeyUnavailableException" | "DependencyTimeoutException" | "KMSInternalException" => {
                Kind::Unavailable
            }
            code if is_throttling(code) => Kind::Throttled,
            "AccessDeniedException"
                if self.operation == AwsOperation::Decrypt && is_about_ciphertext(message) =>
            {
                Kind::UnknownKey
            }
            "AccessDenied" | "AccessDeniedException" => self.denied(),
            code if is_about_credentials(code) => Kind::Denied,
            // codes are open strings: the status classifies those without a kind above
            _ => self.kind_of_status(status),
        }
    }

    fn kind_of_status(&self, status: u16) -> Kind {
        match status {
            401 | 403 => self.denied(),
            429 => Kind::Throttled,
            400..500 => Kind::Refused,
            // 5xx, and a success whose body cannot be parsed
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

/// If an earlier attempt of a write may have been applied, only a failed condition is an outcome; and the condition may
/// have failed because of that attempt, which the commit protocol of `write` finds out.
fn in_doubt(kind: Kind) -> Kind {
    match kind {
        Kind::ConditionFailed { item } => Kind::ConditionFailed { item },
        Kind::Deadline { sent } => Kind::Deadline { sent },
        // all attempts have one token: if one had been applied, the others would have succeeded
        Kind::TransactionCancelled { .. } | Kind::TokenMismatch => kind,
        Kind::Missing { .. }
        | Kind::Throttled
        | Kind::Conflict
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

/// Whether a denial is about the key that the ciphertext refers to: it is damaged, or of a foreign key. Some stores send
/// no message then, while denials by policies name the action: `… is not authorized to perform: kms:Decrypt …`.
fn is_about_ciphertext(message: Option<&str>) -> bool {
    message.is_none_or(|text| {
        text.is_empty() || text.contains("ciphertext refers to a customer master key that does not exist")
    })
}

/// The codes that the SDK retries as throttling.
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

/// DynamoDB has no separate code for "item size has exceeded the maximum allowed size".
pub(super) fn is_about_size(message: &str) -> bool {
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
