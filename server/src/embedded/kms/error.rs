//! Errors in the form that KMS returns. None contains plaintext, ciphertext or context.

use serde_json::json;

use super::super::error::Error;

const BAD_REQUEST: u16 = 400;
const SERVER_ERROR: u16 = 500;

/// Why a request was refused, with the names and statuses of KMS.
#[derive(Debug)]
pub(super) enum Fault {
    /// No such key or alias.
    NotFound(String),
    /// Not a ciphertext of this KMS, a damaged one, or a different encryption context.
    InvalidCiphertext,
    /// The ciphertext was encrypted under a different key than the request names.
    IncorrectKey,
    /// The key with this ARN is disabled.
    Disabled(String),
    /// The alias with this ARN exists.
    AlreadyExists(String),
    /// The alias name is invalid.
    InvalidAliasName(String),
    /// The maximum number of keys or aliases exists.
    LimitExceeded,
    /// A kind of key that this KMS does not support.
    Unsupported(String),
    /// A value is out of range.
    Validation(String),
    /// The body is not a valid request of the operation.
    Serialization,
    /// The operation does not exist.
    UnknownOperation,
    /// The key file could not be written, or the system random source failed.
    Internal,
}

impl Fault {
    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Internal => SERVER_ERROR,
            Self::NotFound(_)
            | Self::InvalidCiphertext
            | Self::IncorrectKey
            | Self::Disabled(_)
            | Self::AlreadyExists(_)
            | Self::InvalidAliasName(_)
            | Self::LimitExceeded
            | Self::Unsupported(_)
            | Self::Validation(_)
            | Self::Serialization
            | Self::UnknownOperation => BAD_REQUEST,
        }
    }

    /// The JSON body.
    pub(super) fn body(&self) -> Vec<u8> {
        let name = self.name();
        let body = match self.message() {
            Some(message) => json!({ "__type": name, "message": message }),
            None => json!({ "__type": name }),
        };
        body.to_string().into_bytes()
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFoundException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::Disabled(_) => "DisabledException",
            Self::AlreadyExists(_) => "AlreadyExistsException",
            Self::InvalidAliasName(_) => "InvalidAliasNameException",
            Self::LimitExceeded => "LimitExceededException",
            Self::Unsupported(_) => "UnsupportedOperationException",
            Self::Validation(_) => "ValidationException",
            Self::Serialization => "SerializationException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Internal => "KMSInternalException",
        }
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::NotFound(text)
            | Self::InvalidAliasName(text)
            | Self::Unsupported(text)
            | Self::Validation(text) => Some(text.clone()),
            Self::Disabled(arn) => Some(format!("{arn} is disabled.")),
            Self::AlreadyExists(arn) => Some(format!("An alias with the name {arn} already exists")),
            Self::IncorrectKey => Some(
                "The key ID in the request does not identify a CMK that can perform this operation."
                    .to_owned(),
            ),
            Self::LimitExceeded => {
                Some("The key file contains the maximum number of keys or aliases.".to_owned())
            }
            Self::InvalidCiphertext | Self::Serialization | Self::UnknownOperation | Self::Internal => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(failure: Error) -> Self {
        tracing::error!(%failure, "embedded KMS failed");
        Self::Internal
    }
}
