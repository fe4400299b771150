//! Strings and numbers in a plaintext, alone or within JSON. Zeroises what it does not return.

use zeroize::Zeroize;

use crate::crypto::error::OpenError;
use crate::model::Number;

/// A number in canonical text; any other text was not written by this program.
pub(super) fn number(text: &str) -> Result<Number, OpenError> {
    let number: Number = text.parse().map_err(|_| OpenError::Plaintext)?;
    if number.as_str() == text {
        Ok(number)
    } else {
        Err(OpenError::Plaintext)
    }
}

/// A string; bytes that are not UTF-8 are zeroised.
pub(super) fn string(bytes: Vec<u8>) -> Result<String, OpenError> {
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        OpenError::Plaintext
    })
}
