//! How a call may end that was malformed.

use tonic::Code;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the status of a gRPC response.
    Status(Code, String),
    /// With an HTTP status alone.
    Http(u16),
    /// A response without a status.
    Incomplete,
    /// Its stream was reset, or its connection closed, for this reason of HTTP/2.
    Reason(u32),
    /// The connection was closed below HTTP/2.
    Closed,
}

/// What is expected of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The caller may not be known.
    Unauthenticated,
    /// Any clear error; what looks malformed may also happen to be valid.
    Clear,
    /// The call is valid.
    Served,
}

/// The HTTP/2 error that only a fault of the server explains (RFC 9113, 7).
const INTERNAL_ERROR: u32 = 2;

impl Ending {
    /// Whether it is what is expected.
    pub(crate) fn check(&self, expected: Expected) -> Result<(), String> {
        let is_expected = match (self, expected) {
            (Ending::Status(code, message), Expected::Clear) => {
                is_clear(*code) && (*code == Code::Ok || !message.is_empty())
            }
            (Ending::Status(code, message), Expected::Unauthenticated) => {
                *code == Code::Unauthenticated && !message.is_empty()
            }
            (Ending::Status(code, _), Expected::Served) => *code == Code::Ok,
            (Ending::Http(status), Expected::Clear | Expected::Unauthenticated) => {
                (400..500).contains(status)
            }
            (Ending::Reason(reason), Expected::Clear | Expected::Unauthenticated) => {
                *reason != INTERNAL_ERROR
            }
            (Ending::Closed, Expected::Clear | Expected::Unauthenticated) => true,
            (Ending::Incomplete, _)
            | (Ending::Http(_) | Ending::Reason(_) | Ending::Closed, Expected::Served) => false,
        };
        match is_expected {
            true => Ok(()),
            false => Err(format!("expected {expected:?}, but it ended with {self:?}")),
        }
    }
}

/// Whether malformed input may lead to this code: never to one that means a fault of the server.
fn is_clear(code: Code) -> bool {
    match code {
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
        Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss => false,
    }
}

/// Whether an error code of HTTP/2 blames the peer.
pub(crate) fn blames_the_peer(reason: u32) -> bool {
    reason != INTERNAL_ERROR
}
