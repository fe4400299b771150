//! Maps every error of an operation to a status; the matches name all variants. Causes go to the log, once, here, and
//! never to the caller.

use tollgate_proto::{Reason, v1};
use tonic::Status;
use tonic_types::pb;
use tracing::{error, warn};

use super::encode::item;
use super::status::{self, item_not_found, item_too_large, precondition, retry_later};
use crate::aws;
use crate::call::Call;
use crate::fault::Fault;
use crate::operation::{
    ContentError, Error, Opened, OperationRefusal, ReadError, RefusedOperation, UnreadableAttribute,
    WriteError,
};

/// The status of a failed operation, whose reason is recorded in the call. Logs the cause unless it is the caller's.
pub(super) fn status(call: &Call, failure: Error) -> Status {
    let status = from_operation(call, failure);
    if let Some(reason) = status::reason_of(&status) {
        call.set_reason(reason);
    }
    status
}

/// The status of one item of a page, as a message. The item is counted as failed; the call goes on.
pub(super) fn item_status(call: &Call, failure: ReadError) -> pb::Status {
    let status = from_read(call, failure);
    call.add_failed_item(status.code());
    status::to_message(&status)
}

/// The status of an attribute that could not be read, as a message. The rest of the item is returned.
pub(super) fn unreadable(call: &Call, unreadable: &UnreadableAttribute) -> pb::Status {
    let reason = Reason::ItemInvalid;
    warn!(
        request_id = call.request_id(),
        reason = reason.as_str(),
        attribute = unreadable.attribute,
        "an attribute was left out: {}",
        unreadable.problem
    );
    status::to_message(&status::status(reason, unreadable.problem.to_string()))
}

/// The status of one write of a batch, as a message. The write is counted as failed; the call goes on.
pub(super) fn write_status(call: &Call, failure: Error) -> pb::Status {
    let status = from_operation(call, failure);
    call.add_failed_item(status.code());
    status::to_message(&status)
}

fn from_operation(call: &Call, failure: Error) -> Status {
    let text = failure.to_string();
    match failure {
        Error::UnknownModel { model, near } => status::unknown_model(&model, &near),
        Error::UnknownIndex { index, .. } => status::unknown_index(&index, &text),
        Error::Denied { path, denied } => status::permission_denied(&denied, &path),
        Error::Invalid(faults) => status::invalid(Reason::InvalidField, faults),
        Error::InvalidExpression(faults) => status::invalid(Reason::InvalidExpression, faults),
        Error::Mode(faults) => {
            status::field_preconditions(Reason::EncryptionMode, "ENCRYPTION_MODE", &faults)
        }
        Error::NoUrls => {
            let (setting, description) = ("embedded.http", "is not set");
            precondition(Reason::ResourceMissing, "SETTING", setting, description, text)
        }
        Error::Checksum(faults) => status::invalid(Reason::ChecksumMismatch, faults),
        Error::Interrupted => status::status(Reason::UndecodableMessage, text),
        Error::ItemTooLarge { .. } => item_too_large(&text),
        Error::Read(error) => from_read(call, error),
        Error::Write(error) => from_write(call, error),
        Error::Internal(cause) => internal(call, cause),
    }
}

fn from_read(call: &Call, failure: ReadError) -> Status {
    let text = failure.to_string();
    match failure {
        ReadError::ItemNotFound { model } | ReadError::ObjectNotFound { model, .. } => {
            item_not_found(&model, text)
        }
        ReadError::EtagMismatch => precondition(
            Reason::EtagMismatch,
            "ETAG",
            "if_match",
            "differs from the object's etag",
            text,
        ),
        ReadError::OffsetTooLarge { size_bytes } => status::invalid(
            Reason::InvalidField,
            Fault::new("offset", format_args!("exceeds the object's {size_bytes} bytes")),
        ),
        ReadError::InvalidPageToken(description) => {
            status::invalid(Reason::InvalidPageToken, Fault::new("page_token", description))
        }
        ReadError::ObjectTooLarge { .. } | ReadError::ResponseTooLarge { .. } => {
            status::over_limit(Reason::MessageTooLarge, "limits.message_bytes", text)
        }
        ReadError::ForeignPointer { attribute } => precondition(
            Reason::ForeignPointer,
            "FOREIGN_POINTER",
            &attribute,
            &text,
            text.as_str(),
        ),
        ReadError::ObjectChanged { .. } => retry_later(Reason::ObjectChanged, text),
        ReadError::DataLoss { reason, .. } => {
            warn!(
                request_id = call.request_id(),
                reason = reason.as_str(),
                "stored data failed verification: {text}"
            );
            status::status(reason, text)
        }
        ReadError::KeyNotAccepted { attribute, tried } => {
            warn!(
                request_id = call.request_id(),
                reason = Reason::KeyNotAccepted.as_str(),
                attribute,
                tried = tried.join(", "),
                "a stored value is encrypted under a key that its attribute does not accept"
            );
            let description = "is encrypted under a key that is neither `key_id` nor in `accepts`";
            precondition(Reason::KeyNotAccepted, "KMS_KEY", &attribute, description, text)
        }
        ReadError::Tenant(_) => status::status(Reason::PermissionDenied, text),
        ReadError::Store(cause) => from_store(call, &cause),
        ReadError::OutOfMemory(_) => status::out_of_memory(),
        ReadError::Internal(cause) => internal(call, cause),
    }
}

fn from_write(call: &Call, failure: WriteError) -> Status {
    let text = failure.to_string();
    match failure {
        WriteError::ItemTooLarge { .. } => item_too_large(&text),
        WriteError::Invalid(faults) => status::invalid(Reason::InvalidField, faults),
        WriteError::Content {
            error: ContentError::Encoding(_),
            ..
        } => internal(call, "the content could not be encoded"),
        WriteError::Content { attribute, error } => content_refused(&attribute, error),
        WriteError::ObjectChanged { .. } => retry_later(Reason::ObjectChanged, text),
        WriteError::ItemNotFound { model } => item_not_found(&model, text),
        WriteError::WrongModel { model } => precondition(
            Reason::WrongModel,
            "MODEL",
            &model,
            "the item is of another model",
            text,
        ),
        WriteError::AlreadyExists { .. } => status::status(Reason::AlreadyExists, text),
        WriteError::VersionMismatch { current } => status::version_mismatch(current, text),
        WriteError::OutOfBounds { attribute, limits } => precondition(
            Reason::ConditionFailed,
            "BOUNDS",
            &format!("item.{attribute}"),
            &format!("must be {limits} after the update"),
            text,
        ),
        WriteError::Misfit(misfit) => precondition(
            Reason::ConditionFailed,
            "UPDATE",
            "update.text",
            &misfit.to_string(),
            text,
        ),
        WriteError::RequestInFlight => retry_later(Reason::RequestInFlight, text),
        WriteError::MarkerInvalid { .. } => {
            warn!(
                request_id = call.request_id(),
                "stored data cannot be read: {text}"
            );
            status::status(Reason::ItemInvalid, text)
        }
        WriteError::OtherRequest => status::invalid(
            Reason::IdempotencyMismatch,
            Fault::new("request_id", OTHER_REQUEST),
        ),
        WriteError::IndexKey(error) => precondition(
            Reason::ConditionFailed,
            "INDEX_KEY",
            &format!("item.{}", error.attribute),
            &error.problem,
            text,
        ),
        WriteError::Tenant(_) => status::status(Reason::PermissionDenied, text),
        WriteError::Unverified(error) => from_read(call, error.into()),
        WriteError::Cancelled(refused) => cancelled(refused),
        WriteError::ConditionFailed { current } => condition_failed(text, current),
        WriteError::Store(cause) => from_store(call, &cause),
        WriteError::Internal(cause) => internal(call, cause),
    }
}

/// Of an object whose content cannot be stored.
fn content_refused(attribute: &str, error: ContentError) -> Status {
    let place = format!("item.{attribute}");
    let reason = match error {
        ContentError::Size { .. } | ContentError::Sha256 => Reason::ChecksumMismatch,
        ContentError::Incomplete | ContentError::TooLarge { .. } | ContentError::Encoding(_) => {
            Reason::InvalidField
        }
        ContentError::NotUploaded => {
            let text = error.to_string();
            return precondition(Reason::UploadMissing, "UPLOAD", &place, &text, text.as_str());
        }
    };
    status::invalid(reason, Fault::new(place, error))
}

fn internal(call: &Call, cause: &str) -> Status {
    error!(request_id = call.request_id(), cause, "internal error");
    status::status(
        Reason::Internal,
        "internal error; the server logged the cause with this request ID",
    )
}

fn from_store(call: &Call, cause: &aws::Error) -> Status {
    store_status(call.request_id(), cause)
}

/// The status of a failed request to a store. Logs the cause.
pub(super) fn store_status(request_id: &str, cause: &aws::Error) -> Status {
    let reason = store_reason(&cause.kind);
    error!(
        request_id,
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
        aws::Kind::ConditionFailed { .. } => status::status(reason, CONDITION_NOT_MET),
        aws::Kind::TransactionCancelled { .. } => status::status(reason, "the transaction was cancelled"),
        aws::Kind::Conflict => retry_later(reason, CONFLICT),
        aws::Kind::TokenMismatch => status::invalid(reason, Fault::new("request_id", TOKEN_USED)),
        aws::Kind::Missing { what, name } => missing(reason, *what, name),
        aws::Kind::Throttled => retry_later(reason, "the store is throttling requests; try again later"),
        aws::Kind::Unavailable => retry_later(reason, "the store is unavailable; try again later"),
        aws::Kind::OutcomeUnknown => retry_later(
            reason,
            "the response to a write was lost; read the item to see whether it was applied",
        ),
        aws::Kind::Deadline { sent: true } => {
            status::status(reason, "the deadline passed while a write was in progress")
        }
        aws::Kind::Deadline { sent: false } => status::status(reason, "the deadline passed"),
        aws::Kind::Denied => rejected(reason, "ACCESS", "the store rejected the server's credentials"),
        aws::Kind::KeyUnusable => rejected(
            reason,
            "KMS_KEY",
            "the KMS key is disabled, or this server may not use it",
        ),
        aws::Kind::TooLarge => status::invalid(
            reason,
            Fault::new("item", "exceeds the item size limit of DynamoDB"),
        ),
        aws::Kind::Refused => rejected(reason, "REQUEST", "the store rejected the request"),
        aws::Kind::InvalidCiphertext | aws::Kind::UnknownKey => {
            status::status(reason, "the data key cannot be decrypted")
        }
        aws::Kind::IncorrectKey => rejected(
            reason,
            "KMS_KEY",
            "KMS used a different key than the model specifies",
        ),
    }
}

fn store_reason(kind: &aws::Kind) -> Reason {
    match kind {
        aws::Kind::ConditionFailed { .. } => Reason::ConditionFailed,
        aws::Kind::TransactionCancelled { .. } => Reason::TransactionCancelled,
        aws::Kind::Conflict => Reason::TransactionConflict,
        aws::Kind::TokenMismatch => Reason::IdempotencyMismatch,
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
        aws::Resource::Object => {
            return status::status(reason, "the object that the item points to does not exist");
        }
    };
    precondition(
        reason,
        "MISSING",
        name,
        &format!("no such {what}"),
        format!("the {what} {name:?} of the model does not exist"),
    )
}

fn rejected(reason: Reason, kind: &str, description: &str) -> Status {
    precondition(reason, kind, "", description, description)
}

const CONFLICT: &str = "another transaction is in progress on one of the items; try again later";
const OTHER_REQUEST: &str = "was used in the last 10 minutes with another request";
const TOKEN_USED: &str = "was used in the last 10 minutes with other operations";
const CONDITION_NOT_MET: &str = "condition was not met";

/// Of a cancelled transaction, with the reason of each operation. A retry helps if all were only busy.
fn cancelled(refused: Vec<RefusedOperation>) -> Status {
    let is_busy = |one: &RefusedOperation| {
        matches!(
            one.refusal,
            OperationRefusal::Conflict | OperationRefusal::Throttled
        )
    };
    let is_conflict = |one: &RefusedOperation| one.refusal == OperationRefusal::Conflict;
    let text = "the transaction was cancelled: operations were refused";
    let is_stale = |one: &RefusedOperation| matches!(one.refusal, OperationRefusal::VersionMismatch { .. });
    let is_changed = |one: &RefusedOperation| matches!(one.refusal, OperationRefusal::ObjectChanged { .. });
    let status = match (refused.iter().all(is_busy), refused.iter().any(is_conflict)) {
        (true, true) => retry_later(Reason::TransactionConflict, CONFLICT),
        (true, false) => retry_later(
            Reason::Throttled,
            "the store is throttling requests; try again later",
        ),
        (false, _) if refused.iter().all(is_stale) => status::status(
            Reason::VersionMismatch,
            "the transaction was cancelled: items have other versions; read them again",
        ),
        (false, _) if refused.iter().all(is_changed) => retry_later(
            Reason::ObjectChanged,
            "the transaction was cancelled: items point to other objects; read them again",
        ),
        (false, _) => precondition(
            Reason::TransactionCancelled,
            "TRANSACTION",
            "operations",
            "were refused",
            text,
        ),
    };
    let failures = refused.into_iter().map(|one| {
        let current = one.current.unwrap_or_default();
        v1::OperationFailure {
            index: u32::try_from(one.index).unwrap_or(u32::MAX),
            reason: refusal_reason(&one.refusal).as_str().to_owned(),
            message: one.refusal.to_string(),
            item: item(current.item),
            withheld: current.withheld,
        }
    });
    status::with_failures(status, failures.collect())
}

fn refusal_reason(refusal: &OperationRefusal) -> Reason {
    match refusal {
        OperationRefusal::ConditionFailed
        | OperationRefusal::OutOfBounds { .. }
        | OperationRefusal::Misfit(_) => Reason::ConditionFailed,
        OperationRefusal::WrongModel => Reason::WrongModel,
        OperationRefusal::AlreadyExists => Reason::AlreadyExists,
        OperationRefusal::NotFound => Reason::ItemNotFound,
        OperationRefusal::VersionMismatch { .. } => Reason::VersionMismatch,
        OperationRefusal::ObjectChanged { .. } => Reason::ObjectChanged,
        OperationRefusal::Conflict => Reason::TransactionConflict,
        OperationRefusal::TooLarge => Reason::ItemTooLarge,
        OperationRefusal::Throttled => Reason::Throttled,
        OperationRefusal::Invalid => Reason::StoreRefused,
    }
}

/// With the current item, in the form of a response, if it was asked for and is small.
fn condition_failed(text: String, current: Option<Opened>) -> Status {
    let status = precondition(
        Reason::ConditionFailed,
        "CONDITION",
        "condition",
        "was not met",
        text,
    );
    let Some(current) = current else {
        return status;
    };
    let response = v1::SaveResponse {
        old_item: item(current.item),
        withheld: current.withheld,
        ..v1::SaveResponse::default()
    };
    status::with_message(status, "tollgate.v1.SaveResponse", &response)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn returns_the_current_item_if_it_is_small() {
        let with_key = |key: String| Opened {
            item: [("pk".to_owned(), crate::model::Value::S(key))].into(),
            ..Opened::default()
        };
        let small = condition_failed("refused".to_owned(), Some(with_key("A".to_owned())));
        let message = pb::Status::decode(small.details()).expect("a status");
        assert!(
            message
                .details
                .iter()
                .any(|detail| detail.type_url.ends_with("tollgate.v1.SaveResponse"))
        );
        let large = condition_failed("refused".to_owned(), Some(with_key("A".repeat(5000))));
        assert_eq!(
            pb::Status::decode(large.details())
                .expect("a status")
                .details
                .len(),
            2
        );
    }
}
