//! One AES-256 data key in memory: zeroised when dropped, redacted in `Debug`. Its bytes, and those of the keys that are
//! derived from it, leave this file only into the cipher call.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::envelope::{OpenError, SealError};

/// Bytes of an AES-256 key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a GCM nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of a GCM tag.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes of a key commitment.
pub(super) const COMMITMENT_BYTES: usize = 32;

/// What a commitment is derived with.
const COMMIT_INFO: &[u8] = b"tollgate commit v4";
/// What an attribute's key is derived with, before the associated data.
const ATTRIBUTE_INFO: &[u8] = b"tollgate attribute v4";

/// Seals under one key with random nonces, after which a repeated nonce is no longer improbable enough
/// (NIST SP 800-38D, section 8.3).
const MAX_SEALS: u64 = 1 << 32;

/// A data key in plaintext.
pub struct DataKey {
    bytes: KeyBytes,
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

    /// For a test that looks for it in memory.
    #[cfg(all(test, feature = "embedded", target_os = "linux"))]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The value that commits to this key: HKDF-SHA256 of it, without salt. AES-GCM alone does not commit to its key:
    /// one ciphertext can be made that opens under two.
    pub(super) fn commitment(&self) -> [u8; COMMITMENT_BYTES] {
        let mut commitment = [0; COMMITMENT_BYTES];
        self.derive(&[COMMIT_INFO], &mut commitment);
        commitment
    }

    /// Turns the plaintext in `buffer` into ciphertext under the attribute's own key, and returns its tag. The key is
    /// derived from the associated data, so that no two attributes share one.
    ///
    /// # Errors
    ///
    /// `KeyWorn` after 2^32 seals; `TooLong` above AES-GCM's 64 GiB. `buffer` is still plaintext then.
    pub(super) fn seal_attribute(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        self.count_seal()?;
        let key = self.attribute_key(associated_data);
        encrypt(&key, nonce, associated_data, buffer)
    }

    /// Turns the ciphertext in `buffer` into plaintext, if it was sealed under this key for this attribute.
    ///
    /// # Errors
    ///
    /// `Commitment` if another key sealed it, before anything is decrypted; `Forged` if the tag does not verify. `buffer`
    /// is as it was then.
    pub(super) fn open_attribute(
        &self,
        commitment: &[u8; COMMITMENT_BYTES],
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), OpenError> {
        if !bool::from(self.commitment().ct_eq(commitment)) {
            return Err(OpenError::Commitment);
        }
        let key = self.attribute_key(associated_data);
        decrypt(&key, nonce, associated_data, buffer, tag)
    }

    /// Turns the plaintext in `buffer` into ciphertext under the data key itself, and returns its tag.
    ///
    /// # Errors
    ///
    /// As [`DataKey::seal_attribute`].
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        self.count_seal()?;
        encrypt(&self.bytes, nonce, associated_data, buffer)
    }

    /// Turns the ciphertext in `buffer` into plaintext, if the tag verifies under the data key itself.
    ///
    /// # Errors
    ///
    /// `Forged` if it does not; `buffer` is as it was then.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), OpenError> {
        decrypt(&self.bytes, nonce, associated_data, buffer, tag)
    }

    fn count_seal(&self) -> Result<(), SealError> {
        if self.seals.fetch_add(1, Ordering::Relaxed) >= MAX_SEALS {
            return Err(SealError::KeyWorn);
        }
        Ok(())
    }

    fn attribute_key(&self, associated_data: &[u8]) -> KeyBytes {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.derive(&[ATTRIBUTE_INFO, associated_data], &mut key);
        key
    }

    /// HKDF-SHA256 without salt: <https://www.rfc-editor.org/rfc/rfc5869>.
    fn derive(&self, info: &[&[u8]], out: &mut [u8; KEY_BYTES]) {
        Hkdf::<Sha256>::new(None, &*self.bytes)
            .expand_multi_info(info, out)
            .expect("32 bytes are one block of SHA-256");
    }
}

type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

fn encrypt(
    key: &KeyBytes,
    nonce: &[u8; NONCE_BYTES],
    associated_data: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_BYTES], SealError> {
    let sealed = cipher(key).encrypt_inout_detached(nonce.into(), associated_data, buffer.into());
    sealed.map(Into::into).map_err(|_| SealError::TooLong)
}

fn decrypt(
    key: &KeyBytes,
    nonce: &[u8; NONCE_BYTES],
    associated_data: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), OpenError> {
    let tag = Tag::from(*tag);
    let opened = cipher(key).decrypt_inout_detached(nonce.into(), associated_data, buffer.into(), &tag);
    opened.map_err(|_| OpenError::Forged)
}

fn cipher(key: &KeyBytes) -> Aes256Gcm {
    Aes256Gcm::new((&**key).into())
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
        let (mut plain, mut derived) = (*b"text", *b"text");
        let tag = key.seal(&[2; NONCE_BYTES], b"place", &mut plain).unwrap();
        let derived_tag = key
            .seal_attribute(&[2; NONCE_BYTES], b"place", &mut derived)
            .unwrap();
        key.seals.store(MAX_SEALS - 1, Ordering::Relaxed);
        assert!(key.seal(&[3; NONCE_BYTES], b"", &mut [0; 4]).is_ok());
        for refused in [
            key.seal(&[4; NONCE_BYTES], b"", &mut [0; 4]),
            key.seal_attribute(&[4; NONCE_BYTES], b"", &mut [0; 4]),
        ] {
            assert!(matches!(refused, Err(SealError::KeyWorn)));
        }
        key.open(&[2; NONCE_BYTES], b"place", &mut plain, &tag).unwrap();
        key.open_attribute(
            &key.commitment(),
            &[2; NONCE_BYTES],
            b"place",
            &mut derived,
            &derived_tag,
        )
        .unwrap();
        assert_eq!((&plain, &derived), (b"text", b"text"));
    }

    #[test]
    fn the_commitment_is_compared_before_anything_is_decrypted() {
        let key = DataKey::new(Zeroizing::new([1; KEY_BYTES]));
        let mut buffer = *b"text";
        let tag = key
            .seal_attribute(&[2; NONCE_BYTES], b"place", &mut buffer)
            .unwrap();
        let sealed = buffer;
        for at in 0..COMMITMENT_BYTES {
            let mut commitment = key.commitment();
            commitment[at] ^= 1;
            let opened = key.open_attribute(&commitment, &[2; NONCE_BYTES], b"place", &mut buffer, &tag);
            assert_eq!(
                (opened, buffer),
                (Err(OpenError::Commitment), sealed),
                "byte {at}"
            );
        }
        let other = DataKey::new(Zeroizing::new([2; KEY_BYTES]));
        assert_ne!(other.commitment(), key.commitment());
    }

    #[test]
    fn each_place_has_its_own_key() {
        let key = DataKey::new(Zeroizing::new([1; KEY_BYTES]));
        assert_ne!(*key.attribute_key(b"a"), *key.attribute_key(b"b"));
        assert_ne!(*key.attribute_key(b""), *key.bytes);
    }
}
