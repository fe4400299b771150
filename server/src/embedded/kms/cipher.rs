//! AES-256-GCM with a random 24-byte nonce: XAES-256-GCM (<https://c2sp.org/XAES-256-GCM>). It derives a key per
//! message, so that one KMS key can encrypt far more than the 2^32 messages that AES-GCM with random nonces allows.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{Block, BlockCipherEncrypt};
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use super::super::keys::{KEY_BYTES, Key, random_bytes};
use super::error::Fault;

/// Bytes of the nonce at the start of a message.
const NONCE_BYTES: usize = 24;
/// The first half of the nonce derives the key, the second half is the AES-GCM nonce.
const HALF_BYTES: usize = NONCE_BYTES / 2;
/// Bytes of the tag that GCM appends.
const TAG_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;
/// The field polynomial of the CMAC subkeys.
const CMAC_POLYNOMIAL: u8 = 0x87;

/// How much longer a message is than its plaintext.
pub(super) const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Encrypts a plaintext; returns nonce, ciphertext and tag.
pub(super) fn seal(key: &Key, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Fault> {
    seal_with(key, &random_bytes()?, associated, plaintext)
}

/// Decrypts the result of [`seal`]; `None` if authentication fails.
pub(super) fn open(key: &Key, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (cipher, nonce) = derive(key, nonce);
    let payload = Payload {
        msg: ciphertext,
        aad: associated,
    };
    cipher.decrypt(&nonce.into(), payload).ok().map(Zeroizing::new)
}

fn seal_with(
    key: &Key,
    nonce: &[u8; NONCE_BYTES],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Fault> {
    let (cipher, gcm_nonce) = derive(key, nonce);
    let payload = Payload {
        msg: plaintext,
        aad: associated,
    };
    let ciphertext = cipher
        .encrypt(&gcm_nonce.into(), payload)
        .map_err(|_| Fault::Internal)?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

/// The cipher and AES-GCM nonce of one message.
fn derive(key: &Key, nonce: &[u8; NONCE_BYTES]) -> (Aes256Gcm, [u8; HALF_BYTES]) {
    let aes = Aes256::new((&**key).into());
    let mut subkey = Zeroizing::new([0; BLOCK_BYTES]);
    encrypt_block(&aes, &mut subkey);
    double(&mut subkey);
    let mut derived: Key = Zeroizing::new([0; KEY_BYTES]);
    for (counter, half) in (1_u8..).zip(derived.as_chunks_mut::<BLOCK_BYTES>().0) {
        half[..4].copy_from_slice(&[0, counter, b'X', 0]);
        half[4..].copy_from_slice(&nonce[..HALF_BYTES]);
        half.iter_mut()
            .zip(subkey.iter())
            .for_each(|(byte, mask)| *byte ^= mask);
        encrypt_block(&aes, half);
    }
    let mut gcm_nonce = [0; HALF_BYTES];
    gcm_nonce.copy_from_slice(&nonce[HALF_BYTES..]);
    (Aes256Gcm::new((&*derived).into()), gcm_nonce)
}

fn encrypt_block(aes: &Aes256, bytes: &mut [u8; BLOCK_BYTES]) {
    let block: &mut Block<Aes256> = bytes.into();
    aes.encrypt_block(block);
}

/// Doubles in GF(2^128), as in the derivation of the first CMAC subkey.
fn double(block: &mut [u8; BLOCK_BYTES]) {
    let value = u128::from_be_bytes(*block);
    let carried = if value >> 127 == 1 {
        u128::from(CMAC_POLYNOMIAL)
    } else {
        0
    };
    *block = ((value << 1) ^ carried).to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The two test vectors of the specification: one without and one with the carry of the doubling.
    #[test]
    fn matches_the_test_vectors_of_the_specification() {
        let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let cases = [
            (
                0x01,
                &b""[..],
                "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
            ),
            (
                0x03,
                &b"c2sp.org/XAES-256-GCM"[..],
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ];
        for (byte, associated, expected) in cases {
            let key = Zeroizing::new([byte; KEY_BYTES]);
            let sealed = seal_with(&key, &nonce, associated, b"XAES-256-GCM").unwrap();
            assert_eq!(hex(&sealed[NONCE_BYTES..]), expected);
            assert_eq!(
                open(&key, associated, &sealed).unwrap().as_slice(),
                b"XAES-256-GCM"
            );
        }
    }

    #[test]
    fn rejects_any_flipped_or_missing_byte() {
        let key = Zeroizing::new([7; KEY_BYTES]);
        let sealed = seal(&key, b"place", b"secret").unwrap();
        assert_eq!(sealed.len(), b"secret".len() + OVERHEAD_BYTES);
        for position in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[position] ^= 1;
            assert!(open(&key, b"place", &flipped).is_none());
            assert!(open(&key, b"place", &sealed[..position]).is_none());
        }
        assert!(open(&key, b"other place", &sealed).is_none());
        assert!(open(&Zeroizing::new([8; KEY_BYTES]), b"place", &sealed).is_none());
    }
}
