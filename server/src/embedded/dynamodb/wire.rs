//! DynamoDB's answers on the wire: status, headers, and errors in their JSON shape. No value of a caller's item is
//! put into a message here.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use dynoxide::DynoxideError;

use super::super::folder::random_bytes;
use super::dispatch::Operation;

const OK: u16 = 200;
const BAD_REQUEST: u16 = 400;
const SERVER_ERROR: u16 = 500;
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// DynamoDB's request ids have 52 characters.
const REQUEST_ID_BYTES: usize = 26;
const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Marks that dynoxide's request types put before a message to choose its error class, longest first.
/// They end in text that must not reach the wire.
const VALIDATION_MARKS: [&str; 2] = ["VALIDATION_AS_READ:", "VALIDATION:"];
const ENVELOPED_MARK: &str = "VALIDATION_REQUEST:";
const SERIALIZATION_MARKS: [&str; 2] = ["SERIALIZATION_AS_READ:", "SERIALIZATION:"];
/// Parts of serde's own messages that DynamoDB answers with a ValidationException.
const VALIDATION_PARTS: [&str; 4] = [
    "missing field",
    "unknown variant",
    "invalid type: null",
    "AttributeValue",
];

/// A successful answer.
pub(super) fn success(body: Vec<u8>) -> HttpResponse {
    respond(OK, body)
}

/// An operation's error, with its item or cancellation reasons where it has them.
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
        _ => respond(status, error.to_json().into_bytes()),
    }
}

/// What DynamoDB says when it is to blame; the SDK tries again.
pub(super) fn internal_error() -> HttpResponse {
    let error = DynoxideError::InternalServerError("Internal server error".to_owned());
    respond(SERVER_ERROR, error.to_json().into_bytes())
}

/// A missing or unknown `x-amz-target`.
pub(super) fn unknown_operation() -> HttpResponse {
    respond(
        BAD_REQUEST,
        br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#.to_vec(),
    )
}

/// A body that is a stream, which DynamoDB's clients never send.
pub(super) fn unreadable_body() -> HttpResponse {
    respond(
        BAD_REQUEST,
        br#"{"__type":"com.amazon.coral.service#SerializationException"}"#.to_vec(),
    )
}

/// The error class for a body that is not the operation's request, as dynoxide's own server chooses it.
pub(super) fn unreadable(failure: &serde_json::Error) -> DynoxideError {
    let message = failure.to_string();
    if let Some(rest) = message.strip_prefix(ENVELOPED_MARK) {
        return DynoxideError::EnvelopedValidation(without_position(rest));
    }
    for mark in VALIDATION_MARKS {
        if let Some(rest) = message.strip_prefix(mark) {
            return DynoxideError::ValidationException(without_position(rest));
        }
    }
    for mark in SERIALIZATION_MARKS {
        if let Some(rest) = message.strip_prefix(mark) {
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
    // serde's own words may quote a value
    DynoxideError::SerializationException("Unexpected field type".to_owned())
}

/// Cuts the ` at line N column N` that serde_json appends.
fn without_position(message: &str) -> String {
    match message.rsplit_once(" at line ") {
        Some((text, position)) if position.contains("column") => text.to_owned(),
        _ => message.to_owned(),
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
    // an id that is all zeroes for want of random bytes still answers the call
    let bytes = random_bytes::<REQUEST_ID_BYTES>().unwrap_or_default();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(HEX_DIGITS[usize::from(digit)]))
        .collect()
}
