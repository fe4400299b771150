//! Why a value cannot be encrypted, or a stored value cannot be decrypted. Never holds a value or a ciphertext.

use crate::model::limits::MAX_ENCRYPTED_DEPTH;

/// Why a value cannot be encrypted: always a defect of this program or a limit, never the content of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The format stores only strings.
    #[error("format pydynox supports only strings")]
    NotAString,
    /// An object is stored as a pointer, which is what is encrypted.
    #[error("cannot encrypt an object, only its pointer")]
    Object,
    /// Lists and maps are nested deeper than [`MAX_ENCRYPTED_DEPTH`].
    #[error("value is nested deeper than {MAX_ENCRYPTED_DEPTH} levels")]
    TooDeep,
    /// The wrapped key is empty or longer than [`MAX_WRAPPED_KEY_BYTES`](crate::model::limits::MAX_WRAPPED_KEY_BYTES).
    #[error("wrapped key is empty or too long")]
    WrappedKey,
    /// The value exceeds AES-GCM's limit of 64 GiB.
    #[error("value is too long for AES-GCM")]
    TooLong,
    /// The data key has encrypted 2^32 values.
    #[error("data key has reached its limit of encryptions")]
    KeyExhausted,
    /// The operating system's random source failed.
    #[error("the system random source failed")]
    Random,
}

/// Why a stored value cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not start like a ciphertext.
    #[error("value is not encrypted")]
    NotEncrypted,
    /// Its format id is not one of this version.
    #[error("unknown format id {0}")]
    UnknownFormat(u8),
    /// It starts like a ciphertext, but its lengths or its base64 are wrong.
    #[error("ciphertext is malformed or truncated")]
    Malformed,
    /// It was encrypted under another data key than the one that it carries.
    #[error("key commitment does not match the data key")]
    Commitment,
    /// It was changed, or belongs to another item, table, attribute or key.
    #[error("authentication failed for this item and attribute")]
    Authentication,
    /// It is authentic, but its plaintext is not of the recorded type.
    #[error("decrypted bytes do not match the recorded type")]
    Plaintext,
}
