//! The one place that builds a `tonic::Status`: a code, a public text and details, as `docs/errors.md` describes them.
//! Bounds everything that an error says, since it travels in headers.

#![expect(clippy::disallowed_methods, reason = "all statuses are built here")]

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use tollgate_proto::reason::DOMAIN;
use tollgate_proto::{Reason, v1};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, ErrorDetails, StatusExt as _, pb};

use crate::fault::Faults;
use crate::policy::Denied;

/// Faults that one status lists. A status travels in headers, of which clients accept 8 KiB: the public text is
/// percent-encoded, the details are base64, and the bill is added.
const MAX_FAULTS: usize = 16;
/// Bytes of the public text.
const MAX_MESSAGE_BYTES: usize = 512;
/// Bytes of the paths and descriptions of faults in the details.
const MAX_FAULT_BYTES: usize = 2048;
/// Bytes of one path, description or name.
const MAX_TEXT_BYTES: usize = 256;
/// A message in the details is left out above this size.
const MAX_MESSAGE_DETAIL_BYTES: usize = 2048;
/// Bytes of the refused operations of a transaction: enough for the reasons of 100.
const MAX_FAILURES_BYTES: usize = 3 * 1024;
/// When to retry after the store throttled or failed, or a limit was reached.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// The longest delay before a retry: a day.
const MAX_RETRY_DELAY_MS: u32 = 24 * 60 * 60 * 1000;
/// The trailer with the delay before a retry.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A status with only `ErrorInfo`.
pub fn status(reason: Reason, message: impl Into<String>) -> Status {
    with_details(reason, message, info(reason))
}

/// A status of a lost race: `ErrorInfo` with the current version in its metadata.
pub fn version_mismatch(current: u64, message: impl Into<String>) -> Status {
    let reason = Reason::VersionMismatch;
    let metadata = [("current_version".to_owned(), current.to_string())];
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
    with_details(reason, message, details)
}

/// A status of an action that the caller may not do: `ErrorInfo` with the action, the resource and the field of the request
/// in its metadata.
pub fn permission_denied(denied: &Denied, field: &str) -> Status {
    let reason = Reason::PermissionDenied;
    let mut metadata = vec![
        ("action".to_owned(), denied.action.name().to_owned()),
        ("resource".to_owned(), bounded(&denied.resource, MAX_TEXT_BYTES)),
    ];
    let mut message = denied.to_string();
    if !field.is_empty() {
        let field = bounded(field, MAX_TEXT_BYTES);
        message = format!("{field}: {message}");
        metadata.push(("field".to_owned(), field));
    }
    let details = ErrorDetails::with_error_info(
        reason.as_str(),
        DOMAIN,
        metadata.into_iter().collect::<HashMap<_, _>>(),
    );
    with_details(reason, message, details)
}

/// A status that names fields: `BadRequest`.
pub fn invalid(reason: Reason, faults: impl Into<Faults>) -> Status {
    let faults: Faults = faults.into();
    let mut details = info(reason);
    let listed = bounded_faults(&faults);
    for (field, description) in &listed {
        details.add_bad_request_violation(field, description);
    }
    with_details(reason, joined(&listed, faults.count()), details)
}

/// A status that names what does not exist: `ResourceInfo`.
pub fn unknown_resource(reason: Reason, kind: &str, name: &str) -> Status {
    let name = bounded(name, MAX_TEXT_BYTES);
    let mut details = info(reason);
    details.set_resource_info(format!("tollgate.{kind}"), &name, "", format!("no such {kind}"));
    with_details(reason, format!("there is no {kind} {name:?}"), details)
}

/// A status that names an index that the model does not have.
pub fn unknown_index(name: &str, text: &str) -> Status {
    let name = bounded(name, MAX_TEXT_BYTES);
    let mut details = info(Reason::UnknownIndex);
    details.set_resource_info("tollgate.index", &name, "", "no such index");
    with_details(Reason::UnknownIndex, bounded(text, MAX_TEXT_BYTES), details)
}

/// A status that names a model that is not served; `near` suggests another one, or is empty.
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

/// A status that says when to retry: `RetryInfo`.
pub fn retry_later(reason: Reason, message: impl Into<String>) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(RETRY_DELAY));
    with_details(reason, message, details)
}

/// A status of one of the server's limits: `QuotaFailure`, and when to retry if a retry helps.
pub fn over_limit(reason: Reason, setting: &str, description: impl Into<String>) -> Status {
    over_limit_for(reason, setting, description, RETRY_DELAY)
}

/// Like [`over_limit`], of a limit that is reached for at least this long. Clients of gRPC that retry by themselves read
/// the delay in the trailer (<https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback>), others in
/// `RetryInfo`.
pub fn over_limit_for(
    reason: Reason,
    setting: &str,
    description: impl Into<String>,
    delay: Duration,
) -> Status {
    let description = description.into();
    let mut details = info(reason);
    details.add_quota_failure_violation(setting, &description);
    if !reason.retry_helps() {
        return with_details(reason, description, details);
    }
    let delay_ms = u32::try_from(delay.as_micros().div_ceil(1000)).unwrap_or(u32::MAX);
    let delay_ms = delay_ms.min(MAX_RETRY_DELAY_MS);
    details.set_retry_info(Some(Duration::from_millis(delay_ms.into())));
    let mut status = with_details(reason, description, details);
    status.metadata_mut().insert(PUSHBACK, delay_ms.into());
    status
}

/// The status of a call that does not fit into `limits.memory`.
pub fn out_of_memory() -> Status {
    let text = "the server's memory for requests and responses is in use; try again later";
    over_limit(Reason::OutOfMemory, "limits.memory", text)
}

/// A status of an item that does not exist: `ResourceInfo` with the model.
pub fn item_not_found(model: &str, message: impl Into<String>) -> Status {
    let mut details = info(Reason::ItemNotFound);
    details.set_resource_info(format!("tollgate.{model}"), "", "", "no item has this key");
    with_details(Reason::ItemNotFound, message, details)
}

/// A status of an item that exceeds DynamoDB's limit: `BadRequest`.
pub fn item_too_large(message: &str) -> Status {
    let mut details = info(Reason::ItemTooLarge);
    details.add_bad_request_violation("item", message);
    with_details(Reason::ItemTooLarge, message, details)
}

/// A status of a failed precondition: `PreconditionFailure` with one violation.
pub fn precondition(
    reason: Reason,
    kind: &str,
    subject: &str,
    description: &str,
    message: impl Into<String>,
) -> Status {
    let mut details = info(reason);
    details.add_precondition_failure_violation(kind, subject, description);
    with_details(reason, message, details)
}

/// A status of failed preconditions of fields: `PreconditionFailure` with one violation for each.
pub fn field_preconditions(reason: Reason, kind: &str, faults: &Faults) -> Status {
    let mut details = info(reason);
    let listed = bounded_faults(faults);
    for (field, description) in &listed {
        details.add_precondition_failure_violation(kind, field, description);
    }
    with_details(reason, joined(&listed, faults.count()), details)
}

/// The status with a message of the contract as an additional detail; without it if the message is too large.
pub fn with_message(status: Status, type_name: &str, message: &impl prost::Message) -> Status {
    if message.encoded_len() > MAX_MESSAGE_DETAIL_BYTES {
        return status;
    }
    with_detail(status, type_name, message)
}

fn with_detail(status: Status, type_name: &str, message: &impl prost::Message) -> Status {
    let Ok(mut details) = pb::Status::decode(status.details()) else {
        return status;
    };
    details.details.push(prost_types::Any {
        type_url: format!("type.googleapis.com/{type_name}"),
        value: message.encode_to_vec(),
    });
    Status::with_details(status.code(), status.message(), details.encode_to_vec().into())
}

/// The status with the refused operations of a transaction: without their items, then without their texts, then only the
/// first ones if they are too many.
pub fn with_failures(status: Status, failures: Vec<v1::OperationFailure>) -> Status {
    let mut failure = v1::TransactionFailure { failures };
    if failure.encoded_len() > MAX_FAILURES_BYTES {
        for one in &mut failure.failures {
            one.item.clear();
            one.withheld.clear();
        }
    }
    if failure.encoded_len() > MAX_FAILURES_BYTES {
        for one in &mut failure.failures {
            one.message.clear();
        }
    }
    while failure.encoded_len() > MAX_FAILURES_BYTES {
        failure.failures.pop();
    }
    with_detail(status, "tollgate.v1.TransactionFailure", &failure)
}

/// The status as a message.
pub fn to_message(status: &Status) -> pb::Status {
    pb::Status::decode(status.details()).unwrap_or_else(|_| pb::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// The reason that a status of this server carries.
pub fn reason_of(status: &Status) -> Option<Reason> {
    Reason::from_text(&status.get_details_error_info()?.reason)
}

fn info(reason: Reason) -> ErrorDetails {
    ErrorDetails::with_error_info(reason.as_str(), DOMAIN, [])
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "every caller builds the details for this call"
)]
fn with_details(reason: Reason, message: impl Into<String>, details: ErrorDetails) -> Status {
    // the contract's `Reason` uses the same `tonic::Code`
    let code: Code = reason.code();
    let message = bounded(&message.into(), MAX_MESSAGE_BYTES);
    Status::with_error_details_vec(code, message, in_order(&details))
}

/// The details with `ErrorInfo` first, as the contract requires; tonic's own order is different.
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

/// The paths and descriptions of the faults that fit, each truncated to its bound.
fn bounded_faults(faults: &Faults) -> Vec<(String, String)> {
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

/// The listed faults in one line, and how many more there are.
fn joined(listed: &[(String, String)], count: usize) -> String {
    let texts: Vec<_> = listed
        .iter()
        .map(|(field, description)| format!("{field}: {description}"))
        .collect();
    let text = texts.join("; ");
    match count - listed.len() {
        0 => text,
        more => {
            let more = format!("; and {more} more");
            // the ellipsis has three bytes
            bounded(&text, MAX_MESSAGE_BYTES - more.len() - 3) + &more
        }
    }
}

fn bounded(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let mut end = max_bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn fits_in_the_headers_that_clients_accept() {
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
    fn puts_the_reason_first() {
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
}
