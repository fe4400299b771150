//! Failures inside the engine and their S3 error codes. Never contains stored bytes.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use s3s::{S3Error, S3ErrorCode};

use super::super::error::Error;

/// A refusal in terms of S3, or a failure of the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The request is refused: an S3 error code and its message.
    #[error("{1}")]
    Refused(S3ErrorCode, Cow<'static, str>),
    /// SQLite failed.
    #[error("the index failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A body could not be written or read.
    #[error("a body file failed: {0}")]
    Io(#[from] io::Error),
    /// The store is damaged, or is being closed.
    #[error("{0}")]
    Broken(String),
}

impl Fault {
    /// A refusal with a fixed message.
    pub(super) fn refused(code: S3ErrorCode, text: &'static str) -> Self {
        Self::Refused(code, Cow::Borrowed(text))
    }

    /// A refusal with a formatted message.
    pub(super) fn refused_with(code: S3ErrorCode, text: String) -> Self {
        Self::Refused(code, Cow::Owned(text))
    }

    /// Converts a failure to open or check the file at `path`.
    pub(super) fn into_error(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Sqlite(source) => Error::Sqlite { path, source },
            Self::Io(source) => Error::Io { path, source },
            Self::Broken(problem) => Error::Unusable { path, problem },
            Self::Refused(_, text) => Error::Unusable {
                path,
                problem: text.into_owned(),
            },
        }
    }
}

impl From<Fault> for S3Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(code, text) => Self::with_message(code, text),
            Fault::Sqlite(_) | Fault::Io(_) | Fault::Broken(_) => {
                Self::with_message(S3ErrorCode::InternalError, fault.to_string())
            }
        }
    }
}

/// `NoSuchBucket`, 404.
pub(super) fn no_such_bucket() -> Fault {
    Fault::refused(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist")
}

/// `NoSuchKey`, 404.
pub(super) fn no_such_key() -> Fault {
    Fault::refused(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

/// `NoSuchUpload`, 404.
pub(super) fn no_such_upload() -> Fault {
    Fault::refused(
        S3ErrorCode::NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, \
         or the upload may have been aborted or completed.",
    )
}

/// `PreconditionFailed`, 412.
pub(super) fn precondition_failed() -> Fault {
    Fault::refused(
        S3ErrorCode::PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold",
    )
}

/// `InvalidArgument`, 400.
pub(super) fn invalid_argument(text: &'static str) -> Fault {
    Fault::refused(S3ErrorCode::InvalidArgument, text)
}

/// `InvalidRequest`, 400.
pub(super) fn invalid_request(text: &'static str) -> Fault {
    Fault::refused(S3ErrorCode::InvalidRequest, text)
}

/// Refuses every version except `null`, which is the only version of an object here: `NoSuchVersion`, 404.
pub(super) fn require_null_version(version: Option<&str>) -> Result<(), Fault> {
    if version.is_none_or(|version| version == "null") {
        return Ok(());
    }
    Err(Fault::refused(
        S3ErrorCode::NoSuchVersion,
        "The specified version does not exist.",
    ))
}
