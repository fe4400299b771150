//! What the log is told of a failed request. A text goes in only where it is known to hold nothing of an item: no key, no
//! name of an object, no value. Of everything else the kind is told: status and code here, AWS's request id beside it.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};

use crate::figure::Service;

use super::error::Request;
use super::interceptor::never_connected;
use super::meter::SdkFailure;

/// Longest text that goes into a cause.
const MAX_CAUSE_CHARS: usize = 500;
/// Longest code that is taken for one.
const MAX_CODE_BYTES: usize = 64;
/// What the SDK says when credentials took too long; its type is not public.
const SLOW_CREDENTIALS: &str = "identity resolver timed out";

/// What causes begin with where the endpoint cannot be reached.
pub(super) const NO_CONNECTION: &str = "no connection";

/// What the log is told of a request that ended so.
pub(super) fn of<E: SdkFailure>(request: &Request<'_>, error: &SdkError<E, HttpResponse>) -> String {
    let text = match error {
        SdkError::ServiceError(context) => {
            of_answer(request, context.raw().status().as_u16(), context.err().meta())
        }
        _ => of_failure(error),
    };
    in_one_line(&text).chars().take(MAX_CAUSE_CHARS).collect()
}

/// The chain of credential providers has a line for each.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// AWS's code of an error. What does not look like one is none: a proxy may have answered.
pub(super) fn code(error: &impl ProvideErrorMetadata) -> Option<&str> {
    let is_of_codes = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    error
        .code()
        .filter(|code| !code.is_empty() && code.len() <= MAX_CODE_BYTES && code.bytes().all(is_of_codes))
}

fn of_answer(request: &Request<'_>, status: u16, metadata: &ErrorMetadata) -> String {
    let code = code(metadata).unwrap_or("no code");
    let place = place(request);
    match metadata.message() {
        Some(text) if is_without_items(request.operation.service(), code) => {
            format!("{status} {code}{place}: {text}")
        }
        Some(_) | None => format!("{status} {code}{place}"),
    }
}

/// Whether AWS's texts of this code speak of tables, KMS keys, roles and limits alone. Codes that are not known do not.
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

/// Of DynamoDB and KMS both. Not the codes of wrong signatures: their texts quote headers, session tokens among them.
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

/// Where the request went, as the models name it: many texts do not say, and S3's are left out.
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

/// No answer came, or none that can be read.
fn of_failure<E: SdkFailure>(error: &SdkError<E, HttpResponse>) -> String {
    let mut told = Vec::new();
    if let SdkError::DispatchFailure(failure) = error
        && failure.as_connector_error().is_some_and(|e| never_connected(e))
    {
        told.push(NO_CONNECTION.to_owned());
    }
    told.push(error.to_string());
    if let SdkError::ResponseError(context) = error {
        told.push(format!("status {}", context.raw().status().as_u16()));
    }
    told.extend(known_texts(error.source()));
    told.join(": ")
}

/// The texts of an error and its sources, as far as they are known to quote no request: `failed to apply endpoint … to
/// request …` and `… cannot be used as a header value` do.
fn known_texts(error: Option<&(dyn StdError + 'static)>) -> Vec<String> {
    let mut is_known = false;
    let mut texts = Vec::new();
    for cause in std::iter::successors(error, |&cause| cause.source()) {
        is_known |= is_of_connection(cause) || is_of_credentials(cause);
        // of a connector's own failures the text is one word
        if is_known || cause.is::<ConnectorError>() {
            texts.push(cause.to_string());
        }
    }
    texts
}

/// Sockets, TLS and HTTP: what they say, and what their sources say, is of the connection.
fn is_of_connection(cause: &(dyn StdError + 'static)) -> bool {
    let connector = cause.downcast_ref::<ConnectorError>();
    connector.is_some_and(|error| error.is_io() || error.is_timeout())
        || cause.is::<io::Error>()
        || cause.is::<hyper::Error>()
        || cause.is::<hyper_util::client::legacy::Error>()
}

/// Credentials are found before anything of a request is looked at.
fn is_of_credentials(cause: &(dyn StdError + 'static)) -> bool {
    cause.is::<CredentialsError>() || cause.to_string().starts_with(SLOW_CREDENTIALS)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::get_item::GetItemError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::operation::BuildError;

    use super::super::error::Detail;
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

    /// The cause of an answer with this code, and a text that holds a mark.
    fn answered(request: &Request<'_>, code: &str) -> String {
        let text = format!("User: role is not authorized on resource: {MARK}");
        let metadata = ErrorMetadata::builder().code(code).message(text).build();
        let error = SdkError::service_error(GetItemError::generic(metadata), response(400));
        of(request, &error)
    }

    fn unanswered(error: &SdkError<GetItemError, HttpResponse>) -> String {
        of(&table(), error)
    }

    fn dispatch(error: impl Into<Box<dyn StdError + Send + Sync>>) -> String {
        unanswered(&SdkError::dispatch_failure(ConnectorError::other(
            error.into(),
            None,
        )))
    }

    #[test]
    fn of_s3_no_text_is_told_whatever_the_code() {
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
            let cause = answered(&request(AwsOperation::PutObject, "files"), code);
            assert_eq!(cause, format!("400 {code}, bucket files"));
        }
    }

    #[test]
    fn texts_that_may_quote_items_or_headers_are_left_out() {
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
            assert_eq!(answered(&table(), code), format!("400 {code}, table users"));
            let key = request(AwsOperation::GenerateDataKey, "alias/app");
            assert_eq!(answered(&key, code), format!("400 {code}, key alias/app"));
        }
    }

    #[test]
    fn texts_of_tables_keys_and_roles_are_what_an_operator_needs() {
        let told = "User: role is not authorized on resource";
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
            let cause = answered(&table(), code);
            assert!(
                cause.starts_with(&format!("400 {code}, table users: {told}")),
                "{cause}"
            );
        }
        for code in of_both.iter().chain(&of_kms) {
            let cause = answered(&request(AwsOperation::GenerateDataKey, "alias/app"), code);
            assert!(
                cause.starts_with(&format!("400 {code}, key alias/app: {told}")),
                "{cause}"
            );
        }
        let decrypt = request(AwsOperation::Decrypt, "alias/old");
        for code in ["DisabledException", "IncorrectKeyException"] {
            let cause = answered(&decrypt, code);
            assert!(
                cause.starts_with(&format!("400 {code}, key alias/old: {told}")),
                "{cause}"
            );
        }
        assert!(
            !answered(&table(), "NotFoundException").contains(told),
            "each service has its own"
        );
    }

    #[test]
    fn what_is_no_code_is_not_told_for_one() {
        for code in [
            "",
            "a code",
            "docs/MARK-5ecr3t",
            "<html>",
            "ü",
            &"A".repeat(MAX_CODE_BYTES + 1),
        ] {
            assert_eq!(answered(&table(), code), "400 no code, table users", "{code}");
        }
    }

    #[test]
    fn causes_are_bounded() {
        let error = io::Error::other("x".repeat(10_000));
        assert_eq!(dispatch(error).len(), MAX_CAUSE_CHARS);
    }

    #[test]
    fn without_an_answer_only_connections_and_credentials_are_quoted() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let cause = unanswered(&SdkError::dispatch_failure(ConnectorError::io(refused.into())));
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
        let cause = unanswered(&SdkError::construction_failure(header));
        assert_eq!(cause, "failed to construct request");
        let cause = unanswered(&SdkError::response_error(quotes.as_str(), response(502)));
        assert_eq!(cause, "response error: status 502");
        let broken = io::Error::other("early eof");
        let cause = unanswered(&SdkError::response_error(broken, response(200)));
        assert_eq!(cause, "response error: status 200: early eof");
        let cause = unanswered(&SdkError::timeout_error(quotes));
        assert_eq!(cause, "request has timed out");
    }
}
