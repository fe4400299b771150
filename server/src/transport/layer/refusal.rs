//! The errors that the layer itself returns.

use std::time::Duration;

use tollgate_proto::Reason;
use tonic::Status;

use super::super::status;
use crate::capacity::LimitReached;
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

/// The server is draining.
pub(super) fn shutting_down() -> Refusal {
    Refusal {
        reason: Reason::ShuttingDown,
        status: status::retry_later(Reason::ShuttingDown, "the server is shutting down"),
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
