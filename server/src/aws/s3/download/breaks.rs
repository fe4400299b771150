//! How the bodies of responses break, and what that shows about the object.

use std::error::Error;
use std::io;

use aws_smithy_runtime::client::http::body::content_length_enforcement::ContentLengthError;

/// How the body of a response broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// It ended before its announced length.
    Short,
    /// It does not match S3's checksum.
    Checksum,
    /// The connection failed.
    Connection,
}

/// How a body broke that ended with this error.
pub(super) fn reason(error: &(dyn Error + 'static)) -> Break {
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        if cause.is::<aws_smithy_checksums::body::validate::Error>() {
            return Break::Checksum;
        }
        let is_short = cause.downcast_ref::<io::Error>().is_some_and(|error| {
            // `NotFound`: the embedded engine has the metadata of the body, but not its file
            matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound
            )
        });
        if is_short || cause.is::<ContentLengthError>() {
            return Break::Short;
        }
    }
    Break::Connection
}

/// Whether attempts without a new byte, all at the same byte, show that the object ends there.
pub(super) fn show_truncation(breaks: &[Break], max_attempts: u32) -> bool {
    let are_enough = breaks.len() > 1 || max_attempts == 1;
    are_enough && breaks.iter().all(|broken| *broken == Break::Short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_truncated_only_if_every_attempt_ended_early() {
        assert!(show_truncation(&[Break::Short; 3], 3));
        assert!(show_truncation(&[Break::Short; 2], 3));
        assert!(show_truncation(&[Break::Short], 1));
        for breaks in [
            &[Break::Short, Break::Connection, Break::Short][..],
            &[Break::Connection; 3],
            &[Break::Short],
            &[],
        ] {
            assert!(!show_truncation(breaks, 3), "{breaks:?}");
        }
    }
}
