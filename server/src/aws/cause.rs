//! The cause of a failed request, as logged. AWS's message is included only if it is known to quote nothing of an item:
//! no key, no object name, no value. All other failures are logged by status and code, with AWS's request id beside them.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};

use crate::figure::Service;

use super::connection::never_connected;
use super::error::NO_CONNECTION;
use super::request::{Request, SdkFailure};

/// Characters of a cause.
const MAX_CAUSE_CHARS: usize = 500;
/// Bytes of an error code.
const MAX_CODE_BYTES: usize = 64;
/// The start of the SDK's error for credentials that took too long; its type is not public.
const SLOW_CREDENTIALS: &str = "identity resolver timed out";

/// The cause to log for this error of a request.
pub(super) fn text<E: SdkFailure>(request: &Request<'_>, error: &SdkError<E, HttpResponse>) -> String {
    let text = match error {
        SdkError::ServiceError(context) => {
            service_error_text(request, context.raw().status().as_u16(), context.err().meta())
        }
        SdkError::ConstructionFailure(_)
        | SdkError::TimeoutError(_)
        | SdkError::DispatchFailure(_)
        | SdkError::ResponseError(_) => transport_error_text(error),
        // the SDK's enum is non-exhaustive: of a future variant only texts that are known to be safe are included
        _ => transport_error_text(error),
    };
    in_one_line(&text).chars().take(MAX_CAUSE_CHARS).collect()
}

/// The credential provider chain reports each provider on its own line.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// AWS's error code. Anything else in its place is ignored: the response may be a proxy's.
pub(super) fn code(error: &impl ProvideErrorMetadata) -> Option<&str> {
    let is_code_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    error
        .code()
        .filter(|code| !code.is_empty() && code.len() <= MAX_CODE_BYTES && code.bytes().all(is_code_byte))
}

fn service_error_text(request: &Request<'_>, status: u16, metadata: &ErrorMetadata) -> String {
    let code = code(metadata).unwrap_or("no code");
    let place = place(request);
    match metadata.message() {
        Some(text) if is_without_items(request.operation.service(), code) => {
            format!("{status} {code}{place}: {text}")
        }
        Some(_) | None => format!("{status} {code}{place}"),
    }
}

/// Whether AWS's messages with this code are only about tables, KMS keys, roles and limits. Unknown codes are not
/// trusted.
fn is_without_items(service: Service, code: &str) -> bool {
    match service {
        // `… is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::BUCKET/KEY`, and so on
        Service::S3 => false,
        Service::DynamoDb => {
            is_without_items_anywhere(code)
                || matches!(
                    code,
                    "ProvisionedThroughputExceededException"
                        | "RequestLimitExceeded"
                        | "ResourceInUseException"
                        | "ResourceNotFoundException"
                )
        }
        Service::Kms => {
            is_without_items_anywhere(code)
                || matches!(
                    code,
                    "AlreadyExistsException"
                        | "DisabledException"
                        | "IncorrectKeyException"
                        | "InvalidKeyUsageException"
                        | "KMSInvalidStateException"
                        | "KeyUnavailableException"
                        | "NotFoundException"
                )
        }
    }
}

/// Codes of both DynamoDB and KMS. Signature errors are not among them: their messages quote headers, which may hold
/// session tokens.
fn is_without_items_anywhere(code: &str) -> bool {
    matches!(
        code,
        "AccessDeniedException"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "LimitExceededException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "OptInRequired"
            | "SubscriptionRequiredException"
            | "ThrottlingException"
            | "UnrecognizedClientException"
    )
}

/// The resource, as the models name it: many messages do not name it, and S3's are left out.
fn place(request: &Request<'_>) -> String {
    let Some(name) = request.facts().name else {
        return String::new();
    };
    match request.operation.service() {
        Service::DynamoDb => format!(", table {name}"),
        Service::Kms => format!(", key {name}"),
        Service::S3 => format!(", bucket {name}"),
    }
}

/// The text for a request that has no response, or an unreadable one.
fn transport_error_text<E: SdkFailure>(error: &SdkError<E, HttpResponse>) -> String {
    let mut texts = Vec::new();
    if let SdkError::DispatchFailure(failure) = error
        && failure.as_connector_error().is_some_and(|e| never_connected(e))
    {
        texts.push(NO_CONNECTION.to_owned());
    }
    texts.push(error.to_string());
    if let SdkError::ResponseError(context) = error {
        texts.push(format!("status {}", context.raw().status().as_u16()));
    }
    texts.extend(known_texts(error.source()));
    texts.join(": ")
}

/// The texts of an error and its sources that are known not to quote the request. Some do: `failed to apply endpoint …
/// to request …`, `… cannot be used as a header value`.
fn known_texts(error: Option<&(dyn StdError + 'static)>) -> Vec<String> {
    let mut is_known = false;
    let mut texts = Vec::new();
    for cause in std::iter::successors(error, |&cause| cause.source()) {
        is_known |= is_of_connection(cause) || is_of_credentials(cause);
        // a connector error's own text is a single word
        if is_known || cause.is::<ConnectorError>() {
            texts.push(cause.to_string());
        }
    }
    texts
}

/// Errors of sockets, TLS and HTTP: their texts, and those of their sources, are about the connection.
fn is_of_connection(cause: &(dyn StdError + 'static)) -> bool {
    let connector = cause.downcast_ref::<ConnectorError>();
    connector.is_some_and(|error| error.is_io() || error.is_timeout())
        || cause.is::<io::Error>()
        || cause.is::<hyper::Error>()
        || cause.is::<hyper_util::client::legacy::Error>()
}

/// Credentials are resolved before the request is serialized.
fn is_of_credentials(cause: &(dyn StdError + 'static)) -> bool {
    cause.is::<CredentialsError>() || cause.to_string().starts_with(SLOW_CREDENTIALS)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::get_item::GetItemError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::operation::BuildError;

    use super::super::request::Detail;
    use super::*;
    use crate::figure::AwsOperation;

    const MARK: &str = "MARK-5ecr3t";

    fn request(operation: AwsOperation, name: &'static str) -> Request<'static> {
        Request {
            operation,
            name,
            is_write: false,
            detail: Detail {
                key: Some("docs/MARK-5ecr3t/file"),
                ..Detail::default()
            },
        }
    }

    fn table() -> Request<'static> {
        request(AwsOperation::GetItem, "users")
    }

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(MARK))
    }

    /// The cause of an error response with this code, and a message with a mark.
    fn service_error(request: &Request<'_>, code: &str) -> String {
        let message = format!("User: role is not authorized on resource: {MARK}");
        let metadata = ErrorMetadata::builder().code(code).message(message).build();
        let error = SdkError::service_error(GetItemError::generic(metadata), response(400));
        text(request, &error)
    }

    fn sdk_error(error: &SdkError<GetItemError, HttpResponse>) -> String {
        text(&table(), error)
    }

    fn dispatch(error: impl Into<Box<dyn StdError + Send + Sync>>) -> String {
        sdk_error(&SdkError::dispatch_failure(ConnectorError::other(
            error.into(),
            None,
        )))
    }

    #[test]
    fn messages_of_s3_are_never_included() {
        let codes = [
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationHeaderMalformed",
            "InternalError",
            "InvalidArgument",
            "KeyTooLongError",
            "MalformedXML",
            "MetadataTooLarge",
            "NoSuchBucket",
            "NoSuchKey",
            "PermanentRedirect",
            "SignatureDoesNotMatch",
            "SlowDown",
            "ThrottlingException",
        ];
        for code in codes {
            let cause = service_error(&request(AwsOperation::PutObject, "files"), code);
            assert_eq!(cause, format!("400 {code}, bucket files"));
        }
    }

    #[test]
    fn messages_that_may_quote_items_or_headers_are_left_out() {
        let codes = [
            "ConditionalCheckFailedException",
            "DuplicateItemException",
            "IncompleteSignature",
            "InternalServerError",
            "InvalidCiphertextException",
            "InvalidSignatureException",
            "ItemCollectionSizeLimitExceededException",
            "KMSInternalException",
            "SerializationException",
            "SignatureDoesNotMatch",
            "TransactionCanceledException",
            "TransactionConflictException",
            "UnheardOfException",
            "ValidationException",
        ];
        for code in codes {
            assert_eq!(service_error(&table(), code), format!("400 {code}, table users"));
            let key = request(AwsOperation::GenerateDataKey, "alias/app");
            assert_eq!(service_error(&key, code), format!("400 {code}, key alias/app"));
        }
    }

    #[test]
    fn messages_about_tables_keys_and_roles_are_included() {
        let message = "User: role is not authorized on resource";
        let of_both = [
            "AccessDeniedException",
            "ThrottlingException",
            "UnrecognizedClientException",
        ];
        let of_dynamodb = [
            "ProvisionedThroughputExceededException",
            "ResourceNotFoundException",
        ];
        let of_kms = [
            "DisabledException",
            "KMSInvalidStateException",
            "NotFoundException",
        ];
        for code in of_both.iter().chain(&of_dynamodb) {
            let cause = service_error(&table(), code);
            assert!(
                cause.starts_with(&format!("400 {code}, table users: {message}")),
                "{cause}"
            );
        }
        for code in of_both.iter().chain(&of_kms) {
            let cause = service_error(&request(AwsOperation::GenerateDataKey, "alias/app"), code);
            assert!(
                cause.starts_with(&format!("400 {code}, key alias/app: {message}")),
                "{cause}"
            );
        }
        let decrypt = request(AwsOperation::Decrypt, "alias/old");
        for code in ["DisabledException", "IncorrectKeyException"] {
            let cause = service_error(&decrypt, code);
            assert!(
                cause.starts_with(&format!("400 {code}, key alias/old: {message}")),
                "{cause}"
            );
        }
        assert!(
            !service_error(&table(), "NotFoundException").contains(message),
            "each service has its own list of codes"
        );
    }

    #[test]
    fn malformed_codes_are_left_out() {
        for code in [
            "",
            "a code",
            "docs/MARK-5ecr3t",
            "<html>",
            "ü",
            &"A".repeat(MAX_CODE_BYTES + 1),
        ] {
            assert_eq!(
                service_error(&table(), code),
                "400 no code, table users",
                "{code}"
            );
        }
    }

    #[test]
    fn causes_are_bounded() {
        let error = io::Error::other("x".repeat(10_000));
        assert_eq!(dispatch(error).len(), MAX_CAUSE_CHARS);
    }

    #[test]
    fn without_a_response_only_texts_about_connections_and_credentials_are_included() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let cause = sdk_error(&SdkError::dispatch_failure(ConnectorError::io(refused.into())));
        assert_eq!(
            cause,
            "no connection: dispatch failure: io error: connection refused"
        );
        let cause = dispatch(CredentialsError::not_loaded("no providers in chain"));
        assert!(cause.contains("no providers in chain"), "{cause}");
        let cause = dispatch(CredentialsError::not_loaded(
            "attempted:\n  one: no\n  other: no\n",
        ));
        assert!(cause.ends_with("attempted: one: no other: no"), "{cause}");
        let quotes = format!("failed to apply endpoint to request {MARK}");
        assert_eq!(dispatch(quotes.as_str()), "dispatch failure: other");
        let header = BuildError::invalid_field("content_type", format!("`{MARK}` cannot be used"));
        let cause = sdk_error(&SdkError::construction_failure(header));
        assert_eq!(cause, "failed to construct request");
        let cause = sdk_error(&SdkError::response_error(quotes.as_str(), response(502)));
        assert_eq!(cause, "response error: status 502");
        let broken = io::Error::other("early eof");
        let cause = sdk_error(&SdkError::response_error(broken, response(200)));
        assert_eq!(cause, "response error: status 200: early eof");
        let cause = sdk_error(&SdkError::timeout_error(quotes));
        assert_eq!(cause, "request has timed out");
    }
}
