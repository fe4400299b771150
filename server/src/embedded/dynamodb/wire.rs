//! DynamoDB's HTTP responses: status, headers, and errors as JSON. Never adds an item value to a message.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use dynoxide::DynoxideError;

use super::super::keys::random_bytes;
use super::operation::Operation;

const OK: u16 = 200;
const BAD_REQUEST: u16 = 400;
const SERVER_ERROR: u16 = 500;
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// DynamoDB's request ids have 52 characters.
const REQUEST_ID_BYTES: usize = 26;
const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Prefixes that dynoxide's request types put before a message to choose its error class, longest first. They must not
/// be returned.
const VALIDATION_PREFIXES: [&str; 2] = ["VALIDATION_AS_READ:", "VALIDATION:"];
const ENVELOPED_PREFIX: &str = "VALIDATION_REQUEST:";
const SERIALIZATION_PREFIXES: [&str; 2] = ["SERIALIZATION_AS_READ:", "SERIALIZATION:"];
/// Parts of serde messages for which DynamoDB returns a ValidationException.
const VALIDATION_PARTS: [&str; 4] = [
    "missing field",
    "unknown variant",
    "invalid type: null",
    "AttributeValue",
];

/// A successful response.
pub(super) fn success(body: Vec<u8>) -> HttpResponse {
    respond(OK, body)
}

/// The error of an operation, with its item or cancellation reasons if it has any.
pub(super) fn failure(operation: Operation, error: &DynoxideError) -> HttpResponse {
    let status = error.status_code();
    if status >= SERVER_ERROR {
        return internal_error();
    }
    match error {
        DynoxideError::EnvelopedValidation(message) if operation.envelopes_validation() => {
            let enveloped = format!("1 validation error detected: {message}");
            respond(
                status,
                DynoxideError::ValidationException(enveloped)
                    .to_json()
                    .into_bytes(),
            )
        }
        // the variants of dynoxide, each with its own JSON
        _ => respond(status, error.to_json().into_bytes()),
    }
}

/// DynamoDB's response to an internal failure; the SDK retries it.
pub(super) fn internal_error() -> HttpResponse {
    let error = DynoxideError::InternalServerError("Internal server error".to_owned());
    respond(SERVER_ERROR, error.to_json().into_bytes())
}

/// The response to a missing or unknown `x-amz-target`.
pub(super) fn unknown_operation() -> HttpResponse {
    respond(
        BAD_REQUEST,
        br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#.to_vec(),
    )
}

/// The response to a streaming body, which DynamoDB clients never send.
pub(super) fn unreadable_body() -> HttpResponse {
    respond(
        BAD_REQUEST,
        br#"{"__type":"com.amazon.coral.service#SerializationException"}"#.to_vec(),
    )
}

/// The error for a body that is not a valid request, with the error class that dynoxide's own server chooses.
pub(super) fn unreadable(failure: &serde_json::Error) -> DynoxideError {
    let message = failure.to_string();
    if let Some(rest) = message.strip_prefix(ENVELOPED_PREFIX) {
        return DynoxideError::EnvelopedValidation(without_position(rest));
    }
    for prefix in VALIDATION_PREFIXES {
        if let Some(rest) = message.strip_prefix(prefix) {
            return DynoxideError::ValidationException(without_position(rest));
        }
    }
    for prefix in SERIALIZATION_PREFIXES {
        if let Some(rest) = message.strip_prefix(prefix) {
            return DynoxideError::SerializationException(without_position(rest));
        }
    }
    if message.contains("empty AttributeValue") {
        return DynoxideError::ValidationException(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
                .to_owned(),
        );
    }
    if VALIDATION_PARTS.iter().any(|part| message.contains(part)) {
        return DynoxideError::ValidationException(without_position(&message));
    }
    // other messages of serde may quote a value
    DynoxideError::SerializationException("Unexpected field type".to_owned())
}

/// Removes the ` at line N column N` that serde_json appends.
fn without_position(message: &str) -> String {
    match message.rsplit_once(" at line ") {
        Some((text, position)) if position.contains("column") => text.to_owned(),
        Some(_) | None => message.to_owned(),
    }
}

fn respond(status: u16, body: Vec<u8>) -> HttpResponse {
    let status = status.try_into().expect("three-digit statuses are valid");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    let headers = response.headers_mut();
    headers.insert("content-type", CONTENT_TYPE);
    headers.insert("x-amzn-requestid", request_id());
    response
}

fn request_id() -> String {
    // if the random source fails, an id of zeroes is better than a failed call
    let bytes = random_bytes::<REQUEST_ID_BYTES>().unwrap_or_default();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(HEX_DIGITS[usize::from(digit)]))
        .collect()
}
