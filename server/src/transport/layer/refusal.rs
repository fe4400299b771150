//! What the layer refuses, and in which words.

use std::time::Duration;

use tollgate_proto::Reason;
use tonic::Status;

use super::super::status;
use crate::capacity::LimitReached;

/// A call that gets no further.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) status: Status,
}

impl Refusal {
    pub(super) fn too_many_calls(reached: LimitReached) -> Refusal {
        let (setting, text) = match reached {
            LimitReached::Server { limit } => {
                ("limits.in_flight", format!("{limit} calls are in flight already"))
            }
            LimitReached::Connection { limit } => (
                "limits.in_flight_per_connection",
                format!("{limit} calls of this connection are in flight already"),
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

/// The deadline passed while the call waited for memory.
pub(super) fn deadline_passed() -> Status {
    status::status(
        Reason::DeadlineExceeded,
        "the deadline passed before the call ended",
    )
}

/// The message did not arrive in time.
pub(super) fn receive_passed(receive: Duration) -> Status {
    let text = format!(
        "the request message did not arrive within limits.receive ({})",
        humantime::format_duration(receive)
    );
    status::status(Reason::DeadlineExceeded, text)
}

/// The server drains.
pub(super) fn shutting_down() -> Refusal {
    Refusal {
        reason: Reason::ShuttingDown,
        status: status::retry_later(Reason::ShuttingDown, "the server is shutting down"),
    }
}

/// The caller left before its request was there.
pub(super) fn caller_left() -> Status {
    status::status(Reason::Cancelled, "the caller left before its request was here")
}
