//! A key of the settings: that of page tokens, or of the audit log. Never printed.

use std::fmt;

use zeroize::ZeroizeOnDrop;

/// A key of 32 bytes. Never printed, and zeroed when dropped.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// A key with these bytes.
    pub fn new(bytes: [u8; 32]) -> TokenKey {
        TokenKey(bytes)
    }

    /// The bytes of the key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}
