//! KMS's errors as it puts them on the wire. No plaintext, ciphertext or context in any of them.

use serde_json::json;

use super::super::Error;

const BAD_REQUEST: u16 = 400;
const SERVER_ERROR: u16 = 500;

/// Why a request was refused; names and statuses are KMS's.
#[derive(Debug)]
pub(super) enum Fault {
    /// No such key or alias.
    NotFound(String),
    /// Not a ciphertext of this KMS, damaged, or another encryption context.
    InvalidCiphertext,
    /// The ciphertext is of another key than the request names.
    IncorrectKey,
    /// The key is disabled; its ARN.
    Disabled(String),
    /// The alias is taken; its ARN.
    AlreadyExists(String),
    /// An alias name that KMS does not take.
    InvalidAliasName(String),
    /// As many keys or aliases as fit.
    LimitExceeded,
    /// A kind of key that this KMS has not.
    Unsupported(String),
    /// A value out of its bounds.
    Validation(String),
    /// The body is not the operation's request.
    Serialization,
    /// No such operation.
    UnknownOperation,
    /// The key file could not be written, or there were no random bytes.
    Internal,
}

impl Fault {
    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        if matches!(self, Self::Internal) {
            SERVER_ERROR
        } else {
            BAD_REQUEST
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
            Self::LimitExceeded => Some("The key file holds as many keys and aliases as it may.".to_owned()),
            Self::InvalidCiphertext | Self::Serialization | Self::UnknownOperation | Self::Internal => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(failure: Error) -> Self {
        tracing::error!(%failure, "the embedded kms failed");
        Self::Internal
    }
}
