//! The one place that builds a `tonic::Status`: every error of the rooms inside, matched by name, becomes a code, a
//! public text and details (`api.md`, Errors). Causes go to the log, once, here; never to the caller.

#![expect(clippy::disallowed_methods, reason = "this is the one place")]

use std::time::Duration;

use prost::Message as _;
use tollgate_proto::reason::DOMAIN;
use tollgate_proto::{Reason, v1};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, ErrorDetails, StatusExt as _, pb};
use tracing::{error, warn};

use super::encode;
use crate::aws;
use crate::call::Call;
use crate::fault::{Fault, Faults};
use crate::operation::{Error, Opened, ReadError, WriteError};

/// Faults told in one answer. All that an error says travels in headers, and clients take 8 KiB of them: the public
/// text is sent percent-encoded, the details in base64, the bill comes on top.
const MAX_FAULTS: usize = 16;
/// Bytes of the public text.
const MAX_MESSAGE_BYTES: usize = 512;
/// Bytes of the paths and descriptions of faults in the details.
const MAX_FAULT_BYTES: usize = 2048;
/// Bytes of one path, description or name.
const MAX_TEXT_BYTES: usize = 256;
/// An item in error details is left out above this: it travels in a header.
const MAX_CURRENT_ITEM_BYTES: usize = 2048;
/// When to try again after the store throttled or failed.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A status with `ErrorInfo` alone.
pub fn status(reason: Reason, message: impl Into<String>) -> Status {
    with_details(reason, message, info(reason))
}

/// A status that names fields: `BadRequest`.
pub fn invalid(reason: Reason, faults: impl Into<Faults>) -> Status {
    let faults: Faults = faults.into();
    let mut details = info(reason);
    let sent = sent(&faults);
    for (field, description) in &sent {
        details.add_bad_request_violation(field, description);
    }
    with_details(reason, listed(&sent, faults.count()), details)
}

/// A status that names what is not there: `ResourceInfo`.
pub fn unknown_resource(reason: Reason, kind: &str, name: &str) -> Status {
    let name = bounded(name, MAX_TEXT_BYTES);
    let mut details = info(reason);
    details.set_resource_info(format!("tollgate.{kind}"), &name, "", format!("no such {kind}"));
    with_details(reason, format!("there is no {kind} {name:?}"), details)
}

/// A status that names a model that is not served, and one that was meant perhaps.
pub fn unknown_model(name: &str, near: &str) -> Status {
    let name = bounded(name, MAX_TEXT_BYTES);
    let mut details = info(Reason::UnknownModel);
    details.set_resource_info("tollgate.model", &name, "", format!("no such model{near}"));
    with_details(
        Reason::UnknownModel,
        format!("there is no model {name:?}{near}"),
        details,
    )
}

/// A status that tells when to try again: `RetryInfo`.
pub fn retry_later(reason: Reason, message: impl Into<String>) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(RETRY_DELAY));
    with_details(reason, message, details)
}

/// A status of one of our own limits: `QuotaFailure`, and `RetryInfo` where a retry helps.
pub fn over_limit(reason: Reason, setting: &str, description: impl Into<String>) -> Status {
    let description = description.into();
    let mut details = info(reason);
    details.add_quota_failure_violation(setting, &description);
    if reason.retry_helps() {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    with_details(reason, description, details)
}

/// The status of a call that does not fit into `limits.memory`.
pub fn out_of_memory() -> Status {
    let text = "the server's memory for requests and responses is in use; try again later";
    over_limit(Reason::OutOfMemory, "limits.memory", text)
}

/// The status of a failed operation; logs the cause where the fault is not the caller's.
pub fn of(call: &Call, failure: Error) -> Status {
    let status = public(call, failure);
    if let Some(reason) = reason_of(&status) {
        call.set_reason(reason);
    }
    status
}

/// The same as a message, for one item of a page, which is counted as failed: the call itself goes on.
pub fn of_item(call: &Call, failure: Error) -> pb::Status {
    let status = public(call, failure);
    call.add_failed_item(status.code());
    pb::Status::decode(status.details()).unwrap_or_else(|_| pb::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// The reason that a status of ours carries.
pub fn reason_of(status: &Status) -> Option<Reason> {
    Reason::from_text(&status.get_details_error_info()?.reason)
}

fn public(call: &Call, failure: Error) -> Status {
    let text = failure.to_string();
    match failure {
        Error::UnknownModel { model, near } => unknown_model(&model, &near),
        Error::UnknownIndex { index } => unknown_resource(Reason::UnknownIndex, "index", &index),
        Error::Invalid(faults) => invalid(Reason::InvalidField, faults),
        Error::InvalidExpression(faults) => invalid(Reason::InvalidExpression, faults),
        Error::Mode(faults) => {
            let mut details = info(Reason::EncryptionMode);
            let sent = sent(&faults);
            for (field, description) in &sent {
                details.add_precondition_failure_violation("ENCRYPTION_MODE", field, description);
            }
            with_details(Reason::EncryptionMode, listed(&sent, faults.count()), details)
        }
        Error::ItemTooLarge { .. } => item_too_large(text),
        Error::Read(error) => of_read(call, error),
        Error::Write(error) => of_write(call, error),
        Error::Internal(what) => internal(call, what),
    }
}

fn of_read(call: &Call, failure: ReadError) -> Status {
    let text = failure.to_string();
    match failure {
        ReadError::ItemNotFound { model } => {
            let mut details = info(Reason::ItemNotFound);
            details.set_resource_info(format!("tollgate.{model}"), "", "", "no item has this key");
            with_details(Reason::ItemNotFound, text, details)
        }
        ReadError::InvalidPageToken(what) => {
            invalid(Reason::InvalidPageToken, Fault::new("page_token", what))
        }
        ReadError::ObjectTooLarge { .. } => over_limit(Reason::MessageTooLarge, "limits.message_bytes", text),
        ReadError::ForeignPointer { attribute } => {
            let mut details = info(Reason::ForeignPointer);
            details.add_precondition_failure_violation("FOREIGN_POINTER", attribute, &text);
            with_details(Reason::ForeignPointer, text, details)
        }
        ReadError::ObjectChanged { .. } => retry_later(Reason::ObjectChanged, text),
        ReadError::DataLoss { reason, .. } => {
            warn!(
                request_id = call.request_id(),
                reason = reason.as_str(),
                "stored data does not verify: {text}"
            );
            status(reason, text)
        }
        ReadError::KeyNotAccepted { attribute, tried } => {
            warn!(
                request_id = call.request_id(),
                reason = Reason::KeyNotAccepted.as_str(),
                attribute,
                tried = tried.join(", "),
                "a stored value is sealed under a key that its attribute does not accept"
            );
            let mut details = info(Reason::KeyNotAccepted);
            let description = "is sealed under a key that is neither `key_id` nor in `accepts`";
            details.add_precondition_failure_violation("KMS_KEY", &attribute, description);
            with_details(Reason::KeyNotAccepted, text, details)
        }
        ReadError::Store(cause) => of_store(call, &cause),
        ReadError::OutOfMemory(_) => out_of_memory(),
        ReadError::Internal(what) => internal(call, what),
    }
}

fn of_write(call: &Call, failure: WriteError) -> Status {
    let text = failure.to_string();
    match failure {
        WriteError::ItemTooLarge { .. } => item_too_large(text),
        WriteError::Invalid(faults) => invalid(Reason::InvalidField, faults),
        WriteError::ObjectChanged { .. } => retry_later(Reason::ObjectChanged, text),
        WriteError::ConditionFailed { current } => condition_failed(text, current),
        WriteError::Store(cause) => of_store(call, &cause),
        WriteError::Internal(what) => internal(call, what),
    }
}

fn item_too_large(text: String) -> Status {
    let mut details = info(Reason::ItemTooLarge);
    details.add_bad_request_violation("item", &text);
    with_details(Reason::ItemTooLarge, text, details)
}

fn internal(call: &Call, cause: &str) -> Status {
    error!(request_id = call.request_id(), cause, "internal error");
    status(
        Reason::Internal,
        "internal error; the server's log has the cause under the request id",
    )
}

fn of_store(call: &Call, cause: &aws::Error) -> Status {
    let reason = store_reason(&cause.kind);
    error!(
        request_id = call.request_id(),
        reason = reason.as_str(),
        service = cause.service_name(),
        operation = cause.operation.name(),
        endpoint = cause.endpoint(),
        aws_request_id = cause.request_id.as_deref(),
        cause = cause.cause,
        check = cause.check(),
        "{cause}"
    );
    match &cause.kind {
        aws::Kind::Missing { what, name } => missing(reason, *what, name),
        aws::Kind::Throttled => retry_later(reason, "the store is throttling; try again later"),
        aws::Kind::Unavailable => retry_later(reason, "the store cannot be reached; try again later"),
        aws::Kind::OutcomeUnknown => retry_later(
            reason,
            "a write was sent and its answer was lost; read the item to know what became of it",
        ),
        aws::Kind::Deadline { sent: true } => {
            status(reason, "the deadline passed while a write was under way")
        }
        aws::Kind::Deadline { sent: false } => status(reason, "the deadline passed"),
        aws::Kind::Denied => refused(reason, "ACCESS", "the store refuses the server's credentials"),
        aws::Kind::KeyUnusable => refused(
            reason,
            "KMS_KEY",
            "the KMS key is disabled or not for this server",
        ),
        aws::Kind::TooLarge => invalid(reason, Fault::new("item", "is larger than DynamoDB takes")),
        aws::Kind::Refused => refused(reason, "REQUEST", "the store refuses the request"),
        aws::Kind::InvalidCiphertext | aws::Kind::UnknownKey => status(reason, "the data key does not open"),
        aws::Kind::IncorrectKey => refused(reason, "KMS_KEY", "KMS used another key than the model names"),
        aws::Kind::ConditionFailed { .. } => status(reason, "condition was not met"),
    }
}

fn store_reason(kind: &aws::Kind) -> Reason {
    match kind {
        aws::Kind::ConditionFailed { .. } => Reason::ConditionFailed,
        aws::Kind::Missing {
            what: aws::Resource::Key,
            ..
        }
        | aws::Kind::KeyUnusable => Reason::KeyUnavailable,
        aws::Kind::Missing {
            what: aws::Resource::Table | aws::Resource::Bucket,
            ..
        } => Reason::ResourceMissing,
        aws::Kind::Missing {
            what: aws::Resource::Object,
            ..
        } => Reason::ObjectInvalid,
        aws::Kind::Throttled => Reason::Throttled,
        aws::Kind::Denied | aws::Kind::Refused => Reason::StoreRefused,
        aws::Kind::InvalidCiphertext | aws::Kind::UnknownKey => Reason::CiphertextInvalid,
        aws::Kind::IncorrectKey => Reason::KeyNotAccepted,
        aws::Kind::TooLarge => Reason::ItemTooLarge,
        aws::Kind::Unavailable => Reason::StoreUnavailable,
        aws::Kind::OutcomeUnknown => Reason::OutcomeUnknown,
        aws::Kind::Deadline { .. } => Reason::DeadlineExceeded,
    }
}

fn missing(reason: Reason, what: aws::Resource, name: &str) -> Status {
    let what = match what {
        aws::Resource::Table => "table",
        aws::Resource::Key => "KMS key",
        aws::Resource::Bucket => "bucket",
        aws::Resource::Object => return status(reason, "the object that the item points to is not there"),
    };
    let mut details = info(reason);
    details.add_precondition_failure_violation("MISSING", name, format!("there is no such {what}"));
    with_details(
        reason,
        format!("the {what} {name:?} that the model needs is not there"),
        details,
    )
}

fn refused(reason: Reason, kind: &str, description: &str) -> Status {
    let mut details = info(reason);
    details.add_precondition_failure_violation(kind, "", description);
    with_details(reason, description, details)
}

fn condition_failed(text: String, current: Option<Opened>) -> Status {
    let mut details = info(Reason::ConditionFailed);
    details.add_precondition_failure_violation("CONDITION", "condition", "was not met");
    let plain = with_details(Reason::ConditionFailed, text, details);
    let Some(current) = current else {
        return plain;
    };
    let answer = v1::SaveResponse {
        old_item: encode::item(current.item),
        withheld: current.withheld,
        ..v1::SaveResponse::default()
    };
    if answer.encoded_len() > MAX_CURRENT_ITEM_BYTES {
        return plain;
    }
    let Ok(mut message) = pb::Status::decode(plain.details()) else {
        return plain;
    };
    message.details.push(prost_types::Any {
        type_url: "type.googleapis.com/tollgate.v1.SaveResponse".to_owned(),
        value: answer.encode_to_vec(),
    });
    Status::with_details(plain.code(), plain.message(), message.encode_to_vec().into())
}

fn info(reason: Reason) -> ErrorDetails {
    ErrorDetails::with_error_info(reason.as_str(), DOMAIN, [])
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for this")]
fn with_details(reason: Reason, message: impl Into<String>, details: ErrorDetails) -> Status {
    // the contract's `Reason` speaks of the same `tonic::Code`
    let code: Code = reason.code();
    let message = bounded(&message.into(), MAX_MESSAGE_BYTES);
    Status::with_error_details_vec(code, message, in_order(&details))
}

/// The details with `ErrorInfo` first, where the contract has it; tonic's own order is another one.
fn in_order(details: &ErrorDetails) -> Vec<ErrorDetail> {
    let all: [Option<ErrorDetail>; 6] = [
        details.error_info().cloned().map(Into::into),
        details.bad_request().cloned().map(Into::into),
        details.precondition_failure().cloned().map(Into::into),
        details.quota_failure().cloned().map(Into::into),
        details.resource_info().cloned().map(Into::into),
        details.retry_info().cloned().map(Into::into),
    ];
    all.into_iter().flatten().collect()
}

/// The paths and descriptions of the faults that fit, each cut to its bound.
fn sent(faults: &Faults) -> Vec<(String, String)> {
    let mut left_bytes = MAX_FAULT_BYTES;
    let fitting = faults.iter().take(MAX_FAULTS).map_while(|fault| {
        let (field, description) = (
            bounded(&fault.field, MAX_TEXT_BYTES),
            bounded(&fault.description, MAX_TEXT_BYTES),
        );
        left_bytes = left_bytes.checked_sub(field.len() + description.len())?;
        Some((field, description))
    });
    fitting.collect()
}

/// The faults in one line, and how many more there are than the details have.
fn listed(sent: &[(String, String)], count: usize) -> String {
    let texts: Vec<_> = sent
        .iter()
        .map(|(field, description)| format!("{field}: {description}"))
        .collect();
    let text = texts.join("; ");
    match count - sent.len() {
        0 => text,
        more => {
            let more = format!("; and {more} more");
            // the mark of the cut has three bytes
            bounded(&text, MAX_MESSAGE_BYTES - more.len() - 3) + &more
        }
    }
}

fn bounded(text: &str, most_bytes: usize) -> String {
    if text.len() <= most_bytes {
        return text.to_owned();
    }
    let mut end = most_bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says_fits_the_headers_that_clients_take() {
        let faults: Vec<Fault> = (0..500)
            .map(|index| Fault::new(format!("item.{index}{}", "ä".repeat(4000)), "ö".repeat(4000)))
            .collect();
        let status = invalid(Reason::InvalidField, faults);
        let encoded_bytes = status.message().len() * 3 + status.details().len() * 4 / 3;
        assert!(encoded_bytes < 6 * 1024, "{encoded_bytes}");
        let details = status.get_error_details();
        let sent = details.bad_request().expect("violations").field_violations.len();
        assert!((1..=MAX_FAULTS).contains(&sent));
        assert!(status.message().ends_with(&format!("…; and {} more", 500 - sent)));
    }

    #[test]
    fn the_reason_is_the_first_detail() {
        for status in [
            over_limit(Reason::TooManyCalls, "limits.in_flight", "too many"),
            over_limit(Reason::MessageTooLarge, "limits.message_bytes", "too large"),
            retry_later(Reason::Throttled, "later"),
            unknown_model("Nobody", ""),
            invalid(Reason::InvalidField, Fault::new("item", "is wrong")),
        ] {
            let message = pb::Status::decode(status.details()).expect("a status");
            assert_eq!(
                message.details[0].type_url,
                "type.googleapis.com/google.rpc.ErrorInfo"
            );
            assert!(message.details.len() > 1);
        }
    }

    #[test]
    fn a_current_item_rides_along_where_it_is_small() {
        let of_key = |key: String| Opened {
            item: [("pk".to_owned(), crate::model::Value::S(key))].into(),
            withheld: Vec::new(),
        };
        let small = condition_failed("refused".to_owned(), Some(of_key("A".to_owned())));
        let message = pb::Status::decode(small.details()).expect("a status");
        assert!(
            message
                .details
                .iter()
                .any(|detail| detail.type_url.ends_with("tollgate.v1.SaveResponse"))
        );
        let large = condition_failed("refused".to_owned(), Some(of_key("A".repeat(5000))));
        assert_eq!(
            pb::Status::decode(large.details())
                .expect("a status")
                .details
                .len(),
            2
        );
    }
}
