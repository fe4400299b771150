//! The ciphertext blob that callers store: the id of its key, and the ciphertext that is bound to a context.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | format id `0x01` |
//! | 16 | key id (the UUID's bytes) |
//! | 24 | nonce, random |
//! | rest | XAES-256-GCM ciphertext and 16-byte tag |
//!
//! Associated data: purpose, format id, key id, then the encryption context ordered by name. Every part is preceded by
//! its length, so that different contexts have different encodings.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::super::keys::Key;
use super::cipher::{self, OVERHEAD_BYTES};
use super::error::Fault;
use super::names::KeyId;

const FORMAT: u8 = 1;
const ID_BYTES: usize = 16;
/// Distinguishes blobs from wrapped keys.
const PURPOSE: &[u8] = b"tollgate kms blob";

/// The encryption context; ordered, so that it has one encoding.
pub(super) type Context = BTreeMap<String, String>;

/// Encrypts a plaintext under a key and a context.
pub(super) fn seal(id: KeyId, key: &Key, context: &Context, plaintext: &[u8]) -> Result<Vec<u8>, Fault> {
    let sealed = cipher::seal(key, &associated(FORMAT, id, context), plaintext)?;
    Ok([&[FORMAT], id.bytes().as_slice(), &sealed].concat())
}

/// A parsed blob, not decrypted yet.
pub(super) struct Blob<'a> {
    pub(super) id: KeyId,
    sealed: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Parses the key id and the ciphertext.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let Some((&FORMAT, rest)) = bytes.split_first() else {
            return Err(Fault::InvalidCiphertext);
        };
        let Some((id, sealed)) = rest.split_first_chunk::<ID_BYTES>() else {
            return Err(Fault::InvalidCiphertext);
        };
        if sealed.len() < OVERHEAD_BYTES {
            return Err(Fault::InvalidCiphertext);
        }
        Ok(Self {
            id: KeyId::from_stored(*id),
            sealed,
        })
    }

    /// Decrypts the blob. A damaged blob and a different context return the same error.
    pub(super) fn open(&self, key: &Key, context: &Context) -> Result<Zeroizing<Vec<u8>>, Fault> {
        cipher::open(key, &associated(FORMAT, self.id, context), self.sealed).ok_or(Fault::InvalidCiphertext)
    }
}

fn associated(format: u8, id: KeyId, context: &Context) -> Vec<u8> {
    let mut parts = vec![PURPOSE, std::slice::from_ref(&format), id.bytes()];
    parts.extend(
        context
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]),
    );
    length_prefixed(&parts)
}

/// Joins parts so that different lists have different encodings: the count, then each part with its length.
pub(super) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(8 + parts.iter().map(|part| part.len() + 8).sum::<usize>());
    joined.extend((parts.len() as u64).to_be_bytes());
    for part in parts {
        joined.extend((part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn decrypts_only_with_the_same_context(
            plaintext in vec(any::<u8>(), 0..64),
            context in btree_map(".{0,4}", ".{0,4}", 0..3),
            other in btree_map(".{0,4}", ".{0,4}", 0..3),
        ) {
            let (id, key) = (KeyId::from_bytes([5; 16]), Zeroizing::new([9; 32]));
            let bytes = seal(id, &key, &context, &plaintext).unwrap();
            let blob = Blob::parse(&bytes).unwrap();
            prop_assert_eq!(blob.id, id);
            let opened = blob.open(&key, &context).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
            prop_assert_eq!(blob.open(&key, &other).is_ok(), other == context);
        }

        #[test]
        fn never_panics_or_decrypts_arbitrary_bytes(bytes in vec(any::<u8>(), 0..128)) {
            if let Ok(blob) = Blob::parse(&bytes) {
                prop_assert!(blob.open(&Zeroizing::new([9; 32]), &Context::new()).is_err());
            }
        }
    }
}
