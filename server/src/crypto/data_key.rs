//! One AES-256 data key in locked memory: zeroised when dropped, redacted in `Debug`. Passes its bytes, and those of the keys
//! derived from it, only to the cipher.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::error::{OpenError, SealError};
pub(super) use super::locked::KEY_BYTES;
use super::locked::LockedKey;

/// Bytes of a GCM nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of a GCM tag.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes of a key commitment.
pub(super) const COMMITMENT_BYTES: usize = 32;

/// Bytes of the MAC of an object or item, and of a SHA-256.
pub(super) const MAC_BYTES: usize = 32;

/// The HKDF info of a commitment.
const COMMIT_INFO: &[u8] = b"tollgate commit v4";
/// The HKDF info of an attribute's key, before the associated data.
const ATTRIBUTE_INFO: &[u8] = b"tollgate attribute v4";
/// The HKDF info of an object's commitment.
const OBJECT_COMMIT_INFO: &[u8] = b"tollgate commit v3";
/// The HKDF info of an object's key; with salt.
const OBJECT_INFO: &[u8] = b"tollgate object v1";
/// The HKDF info of the key of an object's MAC; with salt.
const DIGEST_INFO: &[u8] = b"tollgate digest v1";

/// The HKDF info of the key of an item's seal.
const ITEM_SEAL_INFO: &[u8] = b"tollgate seal v5";

/// Encryptions under one key with random nonces; beyond them a repeated nonce is too likely (NIST SP 800-38D, section
/// 8.3).
const MAX_SEALS: u64 = 1 << 32;

/// A data key in plaintext.
pub struct DataKey {
    bytes: LockedKey,
    /// What HKDF extracts from it, from which every other key is derived; computed once, for a key that is used often.
    extracted: OnceLock<LockedKey>,
    /// What ciphertexts have of it.
    commitment: OnceLock<[u8; COMMITMENT_BYTES]>,
    seals: AtomicU64,
    sealed_bytes: AtomicU64,
}

impl DataKey {
    /// A data key from its bytes.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> DataKey {
        let locked = LockedKey::new(&bytes);
        // the copy on the stack or heap is zeroised
        drop(bytes);
        DataKey {
            bytes: locked,
            extracted: OnceLock::new(),
            commitment: OnceLock::new(),
            seals: AtomicU64::new(0),
            sealed_bytes: AtomicU64::new(0),
        }
    }

    /// The bytes, for a test that searches the memory for them.
    #[cfg(all(test, feature = "embedded", target_os = "linux"))]
    pub(super) fn with_bytes<T>(&self, uses: impl FnOnce(&[u8; KEY_BYTES]) -> T) -> T {
        self.bytes.with(uses)
    }

    /// The commitment to this key: HKDF-SHA256 of it, without salt. AES-GCM alone does not commit to its key: a ciphertext
    /// can be crafted that is authentic under two keys.
    pub(super) fn commitment(&self) -> [u8; COMMITMENT_BYTES] {
        *self.commitment.get_or_init(|| {
            let mut commitment = [0; COMMITMENT_BYTES];
            self.derive(&[COMMIT_INFO], &mut commitment);
            commitment
        })
    }

    /// Encrypts `buffer` in place under the attribute's key, and returns the tag. That key is derived from the associated
    /// data, so that no two attributes share one.
    ///
    /// # Errors
    ///
    /// `KeyExhausted` after 2^32 encryptions, `TooLong` above AES-GCM's 64 GiB; `buffer` is unchanged then.
    pub(super) fn seal_attribute(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        self.count_seal()?;
        self.count_bytes(buffer);
        let key = self.attribute_key(associated_data);
        encrypt(&key, nonce, associated_data, buffer)
    }

    /// Decrypts `buffer` in place, if it was encrypted under this key for this attribute.
    ///
    /// # Errors
    ///
    /// `Commitment` if it was encrypted under another key, which is checked before decrypting; `Authentication` if the tag
    /// does not match. `buffer` is unchanged then.
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

    /// Encrypts `buffer` in place under the data key itself, and returns the tag.
    ///
    /// # Errors
    ///
    /// See [`DataKey::seal_attribute`].
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        self.count_seal()?;
        self.count_bytes(buffer);
        self.bytes
            .with(|key| encrypt(key, nonce, associated_data, buffer))
    }

    /// Decrypts `buffer` in place, if the tag matches under the data key itself.
    ///
    /// # Errors
    ///
    /// `Authentication` if it does not; `buffer` is unchanged then.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), OpenError> {
        self.bytes
            .with(|key| decrypt(key, nonce, associated_data, buffer, tag))
    }

    /// The commitment of objects to this key.
    pub(super) fn object_commitment(&self) -> [u8; COMMITMENT_BYTES] {
        let mut commitment = [0; COMMITMENT_BYTES];
        self.derive(&[OBJECT_COMMIT_INFO], &mut commitment);
        commitment
    }

    /// The keys of a new object with this salt.
    ///
    /// # Errors
    ///
    /// `KeyExhausted` after 2^32 encryptions.
    pub(super) fn sealing_object_keys(&self, salt: &[u8]) -> Result<ObjectKeys, SealError> {
        self.count_seal()?;
        Ok(self.object_keys(salt))
    }

    /// The keys of an object with this salt.
    pub(super) fn object_keys(&self, salt: &[u8]) -> ObjectKeys {
        let with_salt = self.bytes.with(|key| Hkdf::<Sha256>::new(Some(salt), key));
        let derive = |info: &[u8]| {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            with_salt
                .expand(info, &mut *key)
                .expect("32 bytes are one block of SHA-256");
            key
        };
        ObjectKeys {
            content: derive(OBJECT_INFO),
            digest: derive(DIGEST_INFO),
        }
    }

    /// The MAC of what the seal of an item covers. HKDF's extraction is an HMAC under its salt.
    pub(super) fn item_mac(&self, text: &[u8]) -> [u8; MAC_BYTES] {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.derive(&[ITEM_SEAL_INFO], &mut key);
        Hkdf::<Sha256>::extract(Some(&*key), text).0.into()
    }

    /// Whether this is the MAC of what the seal of an item covers.
    pub(super) fn is_item_mac(&self, text: &[u8], mac: &[u8; MAC_BYTES]) -> bool {
        self.item_mac(text).ct_eq(mac).into()
    }

    /// The bytes of values that were encrypted under this key. Objects have a key for each.
    pub(super) fn sealed_bytes(&self) -> u64 {
        self.sealed_bytes.load(Ordering::Relaxed)
    }

    fn count_bytes(&self, buffer: &[u8]) {
        self.sealed_bytes
            .fetch_add(buffer.len() as u64, Ordering::Relaxed);
    }

    fn count_seal(&self) -> Result<(), SealError> {
        if self.seals.fetch_add(1, Ordering::Relaxed) >= MAX_SEALS {
            return Err(SealError::KeyExhausted);
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
        self.extracted()
            .with(|extracted| Hkdf::<Sha256>::from_prk(extracted))
            .expect("32 bytes are one block of SHA-256")
            .expand_multi_info(info, out)
            .expect("32 bytes are one block of SHA-256");
    }

    fn extracted(&self) -> &LockedKey {
        self.extracted.get_or_init(|| {
            let extracted = self.bytes.with(|key| Hkdf::<Sha256>::extract(None, key).0);
            LockedKey::new(&Zeroizing::new(extracted.into()))
        })
    }
}

type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// The keys of one object, derived from a data key.
pub(super) struct ObjectKeys {
    content: KeyBytes,
    digest: KeyBytes,
}

impl ObjectKeys {
    /// Encrypts `buffer` in place, and returns the tag. The caller never repeats a nonce.
    ///
    /// # Errors
    ///
    /// `TooLong` above AES-GCM's 64 GiB.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        encrypt(&self.content, nonce, associated_data, buffer)
    }

    /// Decrypts `buffer` in place.
    ///
    /// # Errors
    ///
    /// `Authentication` if the tag does not match; `buffer` is unchanged then.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), OpenError> {
        decrypt(&self.content, nonce, associated_data, buffer, tag)
    }

    /// The MAC of a content's SHA-256. HKDF's extraction is an HMAC under its salt.
    pub(super) fn mac(&self, sha256: &[u8; MAC_BYTES]) -> [u8; MAC_BYTES] {
        Hkdf::<Sha256>::extract(Some(&*self.digest), sha256).0.into()
    }
}

fn encrypt(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    associated_data: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_BYTES], SealError> {
    let sealed = cipher(key).encrypt_inout_detached(nonce.into(), associated_data, buffer.into());
    sealed.map(Into::into).map_err(|_| SealError::TooLong)
}

fn decrypt(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    associated_data: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), OpenError> {
    let tag = Tag::from(*tag);
    let opened = cipher(key).decrypt_inout_detached(nonce.into(), associated_data, buffer.into(), &tag);
    opened.map_err(|_| OpenError::Authentication)
}

fn cipher(key: &[u8; KEY_BYTES]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
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
    fn debug_shows_no_byte() {
        let key = DataKey::new(Zeroizing::new([0xA7; KEY_BYTES]));
        assert_eq!(format!("{key:?}"), "DataKey(redacted)");
    }

    #[test]
    fn an_exhausted_key_only_decrypts() {
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
            assert!(matches!(refused, Err(SealError::KeyExhausted)));
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
    fn compares_the_commitment_before_decrypting() {
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
    fn derives_a_key_for_each_place() {
        let key = DataKey::new(Zeroizing::new([1; KEY_BYTES]));
        assert_ne!(*key.attribute_key(b"a"), *key.attribute_key(b"b"));
        let derived = key.attribute_key(b"");
        key.bytes.with(|bytes| assert_ne!(*derived, *bytes));
    }
}
