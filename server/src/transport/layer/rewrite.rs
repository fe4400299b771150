//! Errors that tonic answers by itself, told as the contract tells errors: with the reason and its code. Errors that
//! carry details, and those of other services' own making, are left as they are.

use http::{HeaderMap, HeaderName};
use tollgate_proto::Reason;
use tonic::{Code, Status};
use tracing::warn;

use super::super::status;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// How tonic's texts on broken requests begin; it calls them INTERNAL.
const BROKEN_REQUESTS: [&str; 4] = [
    "protocol error: ",
    "Unexpected EOF",
    "Missing request message",
    "Error decompressing",
];
/// What tonic's texts on sizes contain.
const TOO_LARGE: [&str; 3] = ["message length too large", "size limit", "more than 4GB"];

/// The public text of an internal error: the cause is for the log.
const INTERNAL: &str = "internal error; the server's log has the cause under the request id";

/// The status that a call ends with, and why, where this room knows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) code: Code,
    pub(super) reason: Option<Reason>,
    /// What the caller is not told, for the log.
    pub(super) cause: Option<String>,
}

impl Rewritten {
    fn as_it_is(code: Code) -> Rewritten {
        Rewritten {
            code,
            reason: None,
            cause: None,
        }
    }

    /// Tells the log what the call's caller is not told.
    pub(super) fn log(&self, request_id: &str) {
        if let Some(cause) = &self.cause {
            warn!(
                request_id,
                cause, "answered by the gRPC library as an internal error"
            );
        }
    }
}

/// Gives a status of tonic's own its details; `None` where there is no status among the headers.
pub(super) fn rewrite(headers: &mut HeaderMap) -> Option<Rewritten> {
    let code = Code::from_bytes(headers.get(GRPC_STATUS)?.as_bytes());
    if code == Code::Ok || headers.contains_key(GRPC_DETAILS) {
        return Some(Rewritten::as_it_is(code));
    }
    let message = Status::from_header_map(headers)
        .map(|status| status.message().to_owned())
        .unwrap_or_default();
    let Some(reason) = reason(code, &message) else {
        return Some(Rewritten::as_it_is(code));
    };
    let (told, cause) = match reason {
        Reason::Internal => (INTERNAL.to_owned(), Some(message)),
        _ if message.is_empty() => ("there is no such method".to_owned(), None),
        _ => (message, None),
    };
    let status = match reason {
        Reason::MessageTooLarge => status::over_limit(reason, "limits.message_bytes", too_large(told)),
        _ => status::status(reason, told),
    };
    // a status that cannot be a header leaves the one that is there
    let _ = status.add_header(headers);
    Some(Rewritten {
        code: reason.code(),
        reason: Some(reason),
        cause,
    })
}

fn reason(code: Code, message: &str) -> Option<Reason> {
    let too_large = TOO_LARGE.iter().any(|part| message.contains(part));
    let broken = BROKEN_REQUESTS.iter().any(|start| message.starts_with(start));
    match code {
        Code::Unimplemented => Some(Reason::Unimplemented),
        Code::OutOfRange | Code::ResourceExhausted if too_large => Some(Reason::MessageTooLarge),
        Code::Internal if broken => Some(Reason::UndecodableMessage),
        Code::Internal | Code::Unknown => Some(Reason::Internal),
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

/// Tonic's text on a size in plain words, with its figures: those of the message and of the limit.
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
            format!("the {message} message has {bytes} bytes; it may have at most {limit}")
        }
        _ => text,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "stands for what a server answers")]
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
    fn sizes_are_told_in_plain_words() {
        let cases = [
            (
                "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                "the request message has 9 bytes; it may have at most 4",
            ),
            (
                "Error, encoded message length too large: found 70 bytes, the limit is: 50 bytes",
                "the response message has 70 bytes; it may have at most 50",
            ),
            ("size limit exceeded", "size limit exceeded"),
        ];
        for (text, plain) in cases {
            assert_eq!(rewritten(Code::OutOfRange, text).1, plain);
        }
    }

    #[test]
    fn errors_of_others_stay() {
        let expected = (Code::NotFound, "service not registered".to_owned(), None);
        assert_eq!(rewritten(Code::NotFound, "service not registered"), expected);
        let mut headers = HeaderMap::new();
        status::status(Reason::Internal, "ours")
            .add_header(&mut headers)
            .unwrap();
        let before = headers.clone();
        assert_eq!(rewrite(&mut headers), Some(Rewritten::as_it_is(Code::Internal)));
        assert_eq!(headers, before);
        assert_eq!(rewrite(&mut HeaderMap::new()), None);
    }
}
