//! One AES-256 data key in memory: zeroised when dropped, redacted in `Debug`. Its bytes never leave this file but
//! into the cipher call.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use zeroize::Zeroizing;

use super::envelope::{OpenError, SealError};

/// Bytes of an AES-256 key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a GCM nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of a GCM tag.
pub(super) const TAG_BYTES: usize = 16;

/// Seals under one key with random nonces, after which a repeated nonce is no longer improbable enough
/// (NIST SP 800-38D, section 8.3).
const MAX_SEALS: u64 = 1 << 32;

/// A data key in clear.
pub struct DataKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    seals: AtomicU64,
}

impl DataKey {
    /// The key that these bytes are.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> DataKey {
        DataKey {
            bytes,
            seals: AtomicU64::new(0),
        }
    }

    /// Turns the plaintext in `buffer` into ciphertext and answers its tag.
    ///
    /// # Errors
    ///
    /// `KeyWorn` after 2^32 seals; `TooLong` above AES-GCM's 64 GiB. `buffer` is still plaintext then.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        if self.seals.fetch_add(1, Ordering::Relaxed) >= MAX_SEALS {
            return Err(SealError::KeyWorn);
        }
        let sealed = self
            .cipher()
            .encrypt_inout_detached(nonce.into(), associated_data, buffer.into());
        sealed.map(Into::into).map_err(|_| SealError::TooLong)
    }

    /// Turns the ciphertext in `buffer` into plaintext, where the tag says that all of it is whole.
    ///
    /// # Errors
    ///
    /// `Forged` where it is not; `buffer` is as it was then.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), OpenError> {
        let tag = Tag::from(*tag);
        let opened = self
            .cipher()
            .decrypt_inout_detached(nonce.into(), associated_data, buffer.into(), &tag);
        opened.map_err(|_| OpenError::Forged)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.bytes).into())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DataKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_no_byte() {
        let key = DataKey::new(Zeroizing::new([0xA7; KEY_BYTES]));
        assert_eq!(format!("{key:?}"), "DataKey(redacted)");
    }

    #[test]
    fn a_worn_key_seals_no_more_but_opens() {
        let key = DataKey::new(Zeroizing::new([1; KEY_BYTES]));
        let mut buffer = *b"text";
        let tag = key.seal(&[2; NONCE_BYTES], b"place", &mut buffer).unwrap();
        key.seals.store(MAX_SEALS - 1, Ordering::Relaxed);
        assert!(key.seal(&[3; NONCE_BYTES], b"", &mut [0; 4]).is_ok());
        assert!(matches!(
            key.seal(&[4; NONCE_BYTES], b"", &mut [0; 4]),
            Err(SealError::KeyWorn)
        ));
        key.open(&[2; NONCE_BYTES], b"place", &mut buffer, &tag).unwrap();
        assert_eq!(&buffer, b"text");
    }
}
