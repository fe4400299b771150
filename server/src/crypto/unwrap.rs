//! Why KMS did not decrypt the wrapped data key of a stored value, object or seal.

use crate::aws::{self, Kind};

/// Why a data key could not be unwrapped.
#[derive(Debug)]
pub enum UnwrapError {
    /// The wrapped key is corrupt, or was generated for another encryption context.
    Invalid,
    /// It is wrapped by a KMS key that the model does not name.
    KeyNotAccepted,
    /// The KMS key cannot be used, or the service failed.
    Kms(aws::Error),
}

impl From<aws::Error> for UnwrapError {
    /// Classifies an error of `Decrypt`.
    fn from(error: aws::Error) -> UnwrapError {
        match error.kind {
            Kind::InvalidCiphertext | Kind::UnknownKey => UnwrapError::Invalid,
            Kind::IncorrectKey => UnwrapError::KeyNotAccepted,
            Kind::Missing { .. }
            | Kind::KeyUnusable
            | Kind::ConditionFailed { .. }
            | Kind::TransactionCancelled { .. }
            | Kind::Conflict
            | Kind::TokenMismatch
            | Kind::Throttled
            | Kind::Denied
            | Kind::TooLarge
            | Kind::Refused
            | Kind::Unavailable
            | Kind::OutcomeUnknown
            | Kind::Deadline { .. } => UnwrapError::Kms(error),
        }
    }
}
