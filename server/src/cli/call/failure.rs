//! How a command ends: its outcome, or why it failed. The exit code is decided in the parent.

use std::io;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// An argument is invalid, or a file that it names.
    Arguments(String),
    /// The call failed.
    Call(tollgate_client::Error),
    /// The call failed; the text is a hint, or the place in the input.
    Placed(tollgate_client::Error, String),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<tollgate_client::Error> for Failure {
    fn from(error: tollgate_client::Error) -> Failure {
        Failure::Call(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

/// How a command ended that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Some items failed; their errors are on standard error.
    ItemsFailed,
    /// The server is not serving.
    NotServing,
    /// A dry run found something.
    Found,
}
