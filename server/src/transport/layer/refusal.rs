//! The errors that the layer itself returns.

use std::time::Duration;

use tollgate_proto::Reason;
use tonic::Status;
use tonic::metadata::MetadataValue;

use super::super::status;
use super::encoding::{ACCEPTED_ENCODINGS, SUPPORTED};
use crate::audit::Unavailable;
use crate::capacity::{Exceeded, LimitReached};
use crate::identity::Refused;

/// Why a call is refused, as the caller sees it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) status: Status,
}

impl Refusal {
    pub(super) fn too_many_calls(reached: LimitReached) -> Refusal {
        let (setting, text) = match reached {
            LimitReached::Server { limit } => (
                "limits.in_flight",
                format!("too many calls: {limit} are in flight"),
            ),
            LimitReached::Overload { limit } => (
                "limits.in_flight",
                format!(
                    "the server is overloaded: {limit} calls are in flight, as many as it can serve in time"
                ),
            ),
            LimitReached::Connection { limit } => (
                "limits.in_flight_per_connection",
                format!("too many calls on this connection: {limit} are in flight"),
            ),
        };
        Refusal {
            reason: Reason::TooManyCalls,
            status: status::over_limit(Reason::TooManyCalls, setting, text),
        }
    }
}

/// The caller has reached one of its limits.
pub(super) fn limit_exceeded(exceeded: &Exceeded) -> Refusal {
    let Exceeded {
        setting,
        value,
        delay,
    } = exceeded;
    let reason = Reason::LimitExceeded;
    let text = format!("the caller has reached its limit {setting}: {value}");
    let status = match delay {
        Some(delay) => status::over_limit_for(reason, setting, text, *delay),
        None => status::over_limit(reason, setting, text),
    };
    Refusal { reason, status }
}

/// The call does not fit into the server's memory.
pub(super) fn out_of_memory() -> Refusal {
    Refusal {
        reason: Reason::OutOfMemory,
        status: status::out_of_memory(),
    }
}

/// The caller has no identity.
pub(super) fn unauthenticated(refused: Refused) -> Refusal {
    refusal(Reason::Unauthenticated, refused.to_string())
}

/// The deadline passed.
pub(super) fn deadline_exceeded() -> Refusal {
    refusal(
        Reason::DeadlineExceeded,
        "the deadline passed before the call completed",
    )
}

/// The request message did not arrive in time.
pub(super) fn receive_timed_out(limit: Duration) -> Refusal {
    let text = format!(
        "the request message did not arrive within limits.receive ({})",
        humantime::format_duration(limit)
    );
    refusal(Reason::DeadlineExceeded, text)
}

/// The request has more messages than its RPC takes.
pub(super) fn too_many_messages() -> Refusal {
    refusal(
        Reason::UndecodableMessage,
        "the request must have exactly one message",
    )
}

/// The messages of the request are compressed in a way that is not supported.
pub(super) fn unsupported_encoding() -> Refusal {
    let text = "grpc-encoding: must be one of gzip, zstd, identity";
    let mut refusal = refusal(Reason::Unimplemented, text);
    let supported = MetadataValue::from_static(SUPPORTED);
    refusal
        .status
        .metadata_mut()
        .insert(ACCEPTED_ENCODINGS, supported);
    refusal
}

/// A message cannot be decompressed.
pub(super) fn not_decompressed(encoding: &str) -> Refusal {
    let text =
        format!("the request message is not valid or complete {encoding}, which its grpc-encoding says");
    refusal(Reason::UndecodableMessage, text)
}

/// A compressed message is too large.
pub(super) fn message_too_large(bytes: usize, limit: usize) -> Refusal {
    too_large(format!(
        "the request message has {bytes} bytes; the limit is {limit}"
    ))
}

/// A message is too large once it is decompressed.
pub(super) fn decompressed_too_large(limit: usize) -> Refusal {
    too_large(format!(
        "the decompressed request message has more than {limit} bytes, which is the limit"
    ))
}

fn too_large(text: String) -> Refusal {
    Refusal {
        reason: Reason::MessageTooLarge,
        status: status::over_limit(Reason::MessageTooLarge, "limits.message_bytes", text),
    }
}

/// The server is draining.
pub(super) fn shutting_down() -> Refusal {
    Refusal {
        reason: Reason::ShuttingDown,
        status: status::retry_later(Reason::ShuttingDown, "the server is shutting down"),
    }
}

/// The line of the call could not be written.
pub(super) fn not_audited(unavailable: Unavailable) -> Refusal {
    Refusal {
        reason: Reason::AuditUnavailable,
        status: status::retry_later(Reason::AuditUnavailable, unavailable.to_string()),
    }
}

/// The caller disconnected early.
pub(super) fn caller_disconnected() -> Refusal {
    refusal(
        Reason::Cancelled,
        "the caller disconnected before sending the whole request",
    )
}

fn refusal(reason: Reason, text: impl Into<String>) -> Refusal {
    Refusal {
        reason,
        status: status::status(reason, text),
    }
}
