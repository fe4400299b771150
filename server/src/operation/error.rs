//! Why an operation failed. `transport::failure` turns each variant into a status.

use std::fmt;

use crate::fault::Faults;
use crate::model::limits::MAX_ITEM_BYTES;
use crate::policy::Denied;
use crate::{read, write};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model of this name is served.
    #[error("there is no model {model:?}{near}")]
    UnknownModel {
        /// The name, shortened.
        model: String,
        /// Suggests a similar name, or is empty.
        near: String,
    },
    /// The model has no such index.
    #[error("{model} has no index {index:?}{}", Known(known))]
    UnknownIndex {
        /// The name, shortened.
        index: String,
        /// The model.
        model: String,
        /// The indexes that the model has.
        known: Vec<String>,
    },
    /// The caller may not do this.
    #[error("{}{denied}", At(path))]
    Denied {
        /// The field of the request; empty: the request as a whole.
        path: String,
        /// The action and the resource.
        denied: Denied,
    },
    /// Fields of the request are invalid.
    #[error("{0}")]
    Invalid(Faults),
    /// An expression is invalid; all other fields are valid.
    #[error("{0}")]
    InvalidExpression(Faults),
    /// The encryption mode of an attribute does not allow the request.
    #[error("{0}")]
    Mode(Faults),
    /// Nobody serves presigned URLs.
    #[error("the embedded backend serves presigned URLs only if `embedded.http` is set")]
    NoUrls,
    /// Contents are not as announced; all other fields are valid.
    #[error("{0}")]
    Checksum(Faults),
    /// The request broke off.
    #[error("the request ended before its last message")]
    Interrupted,
    /// The item exceeds DynamoDB's limit.
    #[error("the item would take {bytes} bytes, more than DynamoDB's {}", MAX_ITEM_BYTES)]
    ItemTooLarge {
        /// Its size as stored, at least.
        bytes: usize,
    },
    /// A read failed.
    #[error(transparent)]
    Read(#[from] read::Error),
    /// A write failed.
    #[error(transparent)]
    Write(#[from] write::Error),
    /// A bug in this program.
    #[error("{0}")]
    Internal(&'static str),
}

/// The indexes of a model, as the error of an unknown one lists them.
struct Known<'a>(&'a [String]);

impl fmt::Display for Known<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => formatter.write_str("; it has none"),
            names => write!(formatter, "; it has {}", names.join(", ")),
        }
    }
}

/// The field of an error.
struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            path => write!(formatter, "{path}: "),
        }
    }
}

/// Characters of a caller's name that an error shows.
const MAX_SHOWN_CHARS: usize = 64;

/// A name from a request, shortened for an error text.
pub(super) fn shorten(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
