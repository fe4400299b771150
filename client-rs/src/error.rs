//! The error of this crate: the server's status, or a local failure. Contains no item values.

use std::fmt;
use std::time::Duration;

use prost::Message as _;
use tollgate_proto::Reason;
use tollgate_proto::reason::DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, RpcStatusExt as _, StatusExt as _};

use crate::refusal;
use crate::{CallMetrics, Item, OperationFailure, Partial, ValueError};

/// Why a call failed, with its bill, because failed calls cost too.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    code: Code,
    reason: Option<Reason>,
    message: String,
    violations: Vec<Violation>,
    details: ErrorDetails,
    metrics: CallMetrics,
    key: Option<Item>,
    index: Option<usize>,
    is_of_item: bool,
    current_item: Option<Partial<Item>>,
    failures: Vec<OperationFailure>,
    nothing_sent: bool,
    connection_broke: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// An invalid part of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path, starting at a field of the request: `item.address.lines[2]`, `condition.text`.
    pub field: String,
    /// What is wrong.
    pub description: String,
}

impl Error {
    /// The gRPC status code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// Tollgate's reason. `None` if the error is not from the server (no connection, or a local error), or if this crate
    /// does not know the reason.
    pub fn reason(&self) -> Option<Reason> {
        self.inner.reason
    }

    /// A message for people.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// All invalid parts of the request.
    pub fn violations(&self) -> &[Violation] {
        &self.inner.violations
    }

    /// The bill of the failed call, including retries.
    pub fn metrics(&self) -> &CallMetrics {
        &self.inner.metrics
    }

    /// How long to wait before the next attempt, if the server requests it.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.details.retry_info().and_then(|info| info.retry_delay)
    }

    /// All `google.rpc` details from the server.
    pub fn details(&self) -> &ErrorDetails {
        &self.inner.details
    }

    /// Whether the error concerns one item of a stream, or one request of a batch. The stream continues after such an error.
    pub fn is_of_item(&self) -> bool {
        self.inner.is_of_item
    }

    /// The key of an item of a Query or Scan that the server could not read.
    pub fn key(&self) -> Option<&Item> {
        self.inner.key.as_ref()
    }

    /// Which request of a batch or transaction failed.
    pub fn index(&self) -> Option<usize> {
        self.inner.index
    }

    /// The current item, if a condition was not met, `ReturnValues::AllOld` was requested and the item is small.
    pub fn current_item(&self) -> Option<&Partial<Item>> {
        self.inner.current_item.as_ref()
    }

    /// The refused operations of a transaction.
    pub fn failures(&self) -> &[OperationFailure] {
        &self.inner.failures
    }

    /// Whether it is certain that the call changed nothing.
    pub fn nothing_changed(&self) -> bool {
        self.inner.nothing_sent || self.inner.reason.is_some_and(Reason::nothing_changed)
    }

    /// Whether the connection broke before the response was complete.
    pub(crate) fn connection_broke(&self) -> bool {
        self.inner.connection_broke
    }

    pub(crate) fn local(code: Code, message: impl Into<String>) -> Error {
        let inner = Inner {
            code,
            reason: None,
            message: message.into(),
            violations: Vec::new(),
            details: ErrorDetails::new(),
            metrics: CallMetrics::default(),
            key: None,
            index: None,
            is_of_item: false,
            current_item: None,
            failures: Vec::new(),
            nothing_sent: true,
            connection_broke: false,
            source: None,
        };
        Error {
            inner: Box::new(inner),
        }
    }

    /// A value of the request is invalid.
    pub(crate) fn invalid_value(field: &str, error: ValueError) -> Error {
        let error = error.in_field(field);
        let violation = Violation {
            field: error.path().to_owned(),
            description: error.message().to_owned(),
        };
        let mut local = Error::local(Code::InvalidArgument, format!("invalid value: {error}"));
        local.inner.violations = vec![violation];
        local.caused_by(error)
    }

    /// An item in a response does not match the caller's type.
    pub(crate) fn type_mismatch(error: ValueError) -> Error {
        let mut local = Error::local(
            Code::Internal,
            format!("the item does not match the type: {error}"),
        );
        local.inner.nothing_sent = false;
        local.caused_by(error)
    }

    /// An item of a response lacks attributes, and the caller's type is for complete items.
    pub(crate) fn incomplete(names: &[&str]) -> Error {
        let what = match names.is_empty() {
            true => String::new(),
            false => format!(" ({})", names.join(", ")),
        };
        let message = format!("attributes are left out of the item{what}: read it as Partial<T>");
        let mut error = Error::local(Code::FailedPrecondition, message);
        error.inner.nothing_sent = false;
        error
    }

    /// An error that a response contains as a message.
    pub(crate) fn from_message(status: &tonic_types::Status) -> Error {
        let mut error = Error::local(Code::from(status.code), status.message.clone());
        error.inner.nothing_sent = false;
        error.inner.current_item = refusal::current_item(status);
        error.inner.failures = refusal::failures(status);
        error.with_details(status.get_error_details())
    }

    /// An item of a page that could not be read, with its key.
    pub(crate) fn for_item(status: &tonic_types::Status, key: Item) -> Error {
        let mut error = Error::from_message(status).of_item();
        error.inner.key = Some(key);
        error
    }

    /// Of one item: the stream continues.
    pub(crate) fn of_item(mut self) -> Error {
        self.inner.is_of_item = true;
        self
    }

    /// Of one request of a batch or transaction.
    pub(crate) fn at_index(mut self, index: usize) -> Error {
        self.inner.index = Some(index);
        self
    }

    pub(crate) fn invalid_address(error: tonic::transport::Error) -> Error {
        Error::local(Code::InvalidArgument, "invalid address").caused_by(error)
    }

    pub(crate) fn connection_failed(address: &str, error: tonic::transport::Error) -> Error {
        let place = without_user(address);
        Error::local(Code::Unavailable, format!("cannot connect to {place}")).caused_by(error)
    }

    pub(crate) fn deadline() -> Error {
        let mut error = Error::local(
            Code::DeadlineExceeded,
            "the deadline passed before the server responded",
        );
        error.inner.nothing_sent = false;
        error
    }

    /// What was received is not the object's content.
    pub(crate) fn damaged(message: &str) -> Error {
        let mut error = Error::local(Code::DataLoss, message);
        error.inner.nothing_sent = false;
        error
    }

    /// The content could not be read where it comes from, or written where it goes.
    pub(crate) fn of_content(verb: &str, error: std::io::Error) -> Error {
        let mut local = Error::local(Code::Unknown, format!("cannot {verb} the content: {error}"));
        local.inner.nothing_sent = false;
        local.caused_by(error)
    }

    /// The call only checked its request.
    pub(crate) fn no_object() -> Error {
        Error::local(
            Code::Internal,
            "the response has no object: the request was only checked",
        )
    }

    /// Replaces the bill with that of a series of calls, the last of which failed.
    #[must_use]
    pub fn with_bill(self, metrics: CallMetrics) -> Error {
        self.with_metrics(metrics)
    }

    pub(crate) fn with_metrics(mut self, metrics: CallMetrics) -> Error {
        self.inner.metrics = metrics;
        self
    }

    pub(crate) fn take_metrics(&mut self) -> CallMetrics {
        std::mem::take(&mut self.inner.metrics)
    }

    fn caused_by(mut self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.inner.source = Some(Box::new(error));
        self
    }

    fn with_details(mut self, details: ErrorDetails) -> Error {
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        self.inner.reason = info.and_then(|info| Reason::from_text(&info.reason));
        if let Some(request) = details.bad_request() {
            let violations = request.field_violations.iter();
            self.inner.violations = violations
                .map(|violation| Violation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect();
        }
        self.inner.details = details;
        self
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        let details = status.get_error_details();
        // the timer of the client ends a call with CANCELLED
        let is_late = has_source::<tonic::TimeoutExpired>(&status);
        let mut error = match is_late {
            true => Error::deadline(),
            false => Error::local(status.code(), status.message()).with_details(details),
        };
        // a status from the server has no local cause
        error.inner.connection_broke = !is_late && std::error::Error::source(&status).is_some();
        if let Ok(message) = tonic_types::Status::decode(status.details()) {
            error.inner.current_item = refusal::current_item(&message);
            error.inner.failures = refusal::failures(&message);
        }
        error.inner.nothing_sent = has_source::<tonic::ConnectError>(&status);
        error.inner.metrics = CallMetrics::from_metadata(status.metadata());
        error.caused_by(status)
    }
}

/// Whether an error of this type is among the causes.
fn has_source<E: std::error::Error + 'static>(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<E>() {
            return true;
        }
        source = error.source();
    }
    false
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        match inner.reason {
            Some(reason) => write!(formatter, "{}: {}", reason.as_str(), inner.message),
            None => write!(formatter, "{}: {}", code_name(inner.code), inner.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        formatter
            .debug_struct("Error")
            .field("code", &inner.code)
            .field("reason", &inner.reason)
            .field("message", &inner.message)
            .field("violations", &inner.violations)
            .field("request_id", &inner.metrics.request_id)
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// An address as errors show it: without user name and password, which must not be logged.
fn without_user(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}")
}

/// The name of a gRPC status code, such as `NOT_FOUND`.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::metadata::MetadataMap;

    use super::*;

    fn refused() -> Status {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", DOMAIN, HashMap::new());
        details.add_bad_request_violation("item.age", "less than 0");
        details.set_retry_info(Some(Duration::from_millis(250)));
        let mut trailers = MetadataMap::new();
        trailers.insert("tollgate-request-id", "01J".parse().unwrap());
        trailers.insert("tollgate-kms-calls", "2".parse().unwrap());
        Status::with_error_details_and_metadata(
            Code::InvalidArgument,
            "the item is not valid",
            details,
            trailers,
        )
    }

    #[test]
    fn reads_all_parts_of_a_status() {
        let error = Error::from(refused());
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.reason(), Some(Reason::InvalidField));
        assert_eq!(error.violations()[0].field, "item.age");
        assert_eq!(error.retry_after(), Some(Duration::from_millis(250)));
        assert_eq!(
            (error.metrics().request_id.as_str(), error.metrics().kms_calls),
            ("01J", 2)
        );
        assert!(error.nothing_changed());
        assert_eq!(error.to_string(), "INVALID_FIELD: the item is not valid");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn ignores_reasons_of_other_services() {
        let details = ErrorDetails::with_error_info("THROTTLED", "elsewhere", HashMap::new());
        let error = Error::from(Status::with_error_details(Code::Unavailable, "no", details));
        assert_eq!(error.reason(), None);
        assert!(!error.nothing_changed());
    }

    #[test]
    fn classifies_refused_connections_and_timeouts() {
        let refused = tonic::ConnectError("refused".into());
        assert!(Error::from(Status::from_error(Box::new(refused))).nothing_changed());
        let timer = Error::from(Status::from_error(Box::new(tonic::TimeoutExpired(()))));
        assert_eq!(timer.code(), Code::DeadlineExceeded);
    }

    #[test]
    fn shows_addresses_without_credentials() {
        assert_eq!(without_user("http://127.0.0.1:50051/a"), "http://127.0.0.1:50051");
        assert_eq!(without_user("https://user:hidden@host:1?q=@"), "https://host:1");
    }

    #[test]
    fn invalid_values_name_their_field() {
        let error = Error::invalid_value(
            "item",
            ValueError::new("a float that is not a number").in_field("age"),
        );
        assert_eq!(error.violations()[0].field, "item.age");
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, None));
    }
}
