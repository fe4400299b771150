//! Rewrites errors that tonic returns itself to the contract's form, with a reason and its code. Errors that have details
//! already, and errors of other services, are left unchanged.

use http::{HeaderMap, HeaderName};
use tollgate_proto::Reason;
use tonic::{Code, Status};
use tracing::warn;

use super::super::status;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// How tonic's messages about malformed requests start; their code is INTERNAL.
const MALFORMED_REQUESTS: [&str; 5] = [
    "protocol error: ",
    // of the health service, which does not decode with this program's codec
    "failed to decode Protobuf message",
    "Unexpected EOF",
    "Missing request message",
    "Error decompressing",
];
/// What tonic's messages about sizes contain.
const TOO_LARGE: [&str; 3] = ["message length too large", "size limit", "more than 4GB"];

/// The public message of an internal error. The cause is only logged.
const INTERNAL: &str = "internal error; the server's log has the cause under the request id";

/// The final status of a call, and its reason if that is known here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) code: Code,
    pub(super) reason: Option<Reason>,
    /// The cause that the response omits, for the log.
    pub(super) cause: Option<String>,
}

/// What tonic's error is about.
#[derive(Clone, Copy, Debug)]
enum Problem {
    UnknownMethod,
    TooLarge,
    Malformed,
    Internal,
}

impl Rewritten {
    fn unchanged(code: Code) -> Rewritten {
        Rewritten {
            code,
            reason: None,
            cause: None,
        }
    }

    /// Logs the cause that the response omits.
    pub(super) fn log(&self, request_id: &str) {
        if let Some(cause) = &self.cause {
            warn!(request_id, cause, "the gRPC library returned an internal error");
        }
    }
}

/// Adds details to a status of tonic. Returns `None` if the headers have no status.
pub(super) fn rewrite(headers: &mut HeaderMap) -> Option<Rewritten> {
    let code = Code::from_bytes(headers.get(GRPC_STATUS)?.as_bytes());
    if code == Code::Ok || headers.contains_key(GRPC_DETAILS) {
        return Some(Rewritten::unchanged(code));
    }
    let message = Status::from_header_map(headers)
        .map(|status| status.message().to_owned())
        .unwrap_or_default();
    let Some(problem) = problem(code, &message) else {
        return Some(Rewritten::unchanged(code));
    };
    let reason = problem.reason();
    let (status, cause) = match problem {
        Problem::UnknownMethod if message.is_empty() => (status::status(reason, "no such method"), None),
        Problem::UnknownMethod | Problem::Malformed => (status::status(reason, message), None),
        Problem::TooLarge => (
            status::over_limit(reason, "limits.message_bytes", too_large(message)),
            None,
        ),
        Problem::Internal => (status::status(reason, INTERNAL), Some(message)),
    };
    // if the new status cannot be encoded, the old one stays
    let _ = status.add_header(headers);
    Some(Rewritten {
        code: reason.code(),
        reason: Some(reason),
        cause,
    })
}

impl Problem {
    fn reason(self) -> Reason {
        match self {
            Problem::UnknownMethod => Reason::Unimplemented,
            Problem::TooLarge => Reason::MessageTooLarge,
            Problem::Malformed => Reason::UndecodableMessage,
            Problem::Internal => Reason::Internal,
        }
    }
}

fn problem(code: Code, message: &str) -> Option<Problem> {
    let too_large = TOO_LARGE.iter().any(|part| message.contains(part));
    let malformed = MALFORMED_REQUESTS.iter().any(|start| message.starts_with(start));
    match code {
        Code::Unimplemented => Some(Problem::UnknownMethod),
        Code::OutOfRange | Code::ResourceExhausted if too_large => Some(Problem::TooLarge),
        Code::Internal if malformed => Some(Problem::Malformed),
        Code::Internal | Code::Unknown => Some(Problem::Internal),
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
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}

/// Rephrases tonic's message about a size, with the size and the limit.
fn too_large(text: String) -> String {
    let message = if text.contains("encoded message") && !text.contains("decoded message") {
        "response"
    } else {
        "request"
    };
    let mut figures = text
        .split(|character: char| !character.is_ascii_digit())
        .filter(|figure| !figure.is_empty());
    match (figures.next(), figures.next(), figures.next()) {
        (Some(bytes), Some(limit), None) => {
            format!("the {message} message has {bytes} bytes; the limit is {limit}")
        }
        _ => text,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "stands for the responses of a server")]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    fn rewritten(code: Code, message: &str) -> (Code, String, Option<String>) {
        let mut headers = HeaderMap::new();
        Status::new(code, message).add_header(&mut headers).unwrap();
        let rewritten = rewrite(&mut headers).unwrap();
        let status = Status::from_header_map(&headers).unwrap();
        assert_eq!(rewritten.code, status.code());
        let info = status.get_details_error_info();
        (
            status.code(),
            status.message().to_owned(),
            info.map(|info| info.reason),
        )
    }

    #[test]
    fn tonics_own_errors_get_reasons() {
        let cases = [
            (Code::Unimplemented, "", Reason::Unimplemented),
            (
                Code::Unimplemented,
                "Content is compressed with `br` which isn't supported",
                Reason::Unimplemented,
            ),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                Reason::MessageTooLarge,
            ),
            (
                Code::Internal,
                "Unexpected EOF decoding stream.",
                Reason::UndecodableMessage,
            ),
            (
                Code::Internal,
                "Missing request message.",
                Reason::UndecodableMessage,
            ),
            (
                Code::Internal,
                "failed to decode Protobuf message: buffer underflow",
                Reason::UndecodableMessage,
            ),
            (Code::Internal, "something else", Reason::Internal),
        ];
        for (code, message, reason) in cases {
            let (new_code, text, info) = rewritten(code, message);
            assert_eq!(
                (new_code, info.as_deref()),
                (reason.code(), Some(reason.as_str())),
                "{message}"
            );
            assert!(!text.is_empty() && !text.contains("something else"), "{text}");
        }
    }

    #[test]
    fn rephrases_messages_about_sizes() {
        let cases = [
            (
                "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                "the request message has 9 bytes; the limit is 4",
            ),
            (
                "Error, encoded message length too large: found 70 bytes, the limit is: 50 bytes",
                "the response message has 70 bytes; the limit is 50",
            ),
            ("size limit exceeded", "size limit exceeded"),
        ];
        for (text, plain) in cases {
            assert_eq!(rewritten(Code::OutOfRange, text).1, plain);
        }
    }

    #[test]
    fn leaves_other_errors_unchanged() {
        let expected = (Code::NotFound, "service not registered".to_owned(), None);
        assert_eq!(rewritten(Code::NotFound, "service not registered"), expected);
        let mut headers = HeaderMap::new();
        status::status(Reason::Internal, "ours")
            .add_header(&mut headers)
            .unwrap();
        let before = headers.clone();
        assert_eq!(rewrite(&mut headers), Some(Rewritten::unchanged(Code::Internal)));
        assert_eq!(headers, before);
        assert_eq!(rewrite(&mut HeaderMap::new()), None);
    }
}
