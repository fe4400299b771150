//! The SHA-256 of a whole content.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::key;

/// The largest content that is hashed on an async thread; larger contents are hashed on a blocking thread.
const MAX_INLINE_HASH_BYTES: usize = 256 * 1024;

/// SHA-256 in lower-case hex.
pub async fn sha256_hex(content: Bytes) -> String {
    if content.len() <= MAX_INLINE_HASH_BYTES {
        return key::hex(&Sha256::digest(&content));
    }
    let hashed = tokio::task::spawn_blocking(move || key::hex(&Sha256::digest(&content))).await;
    hashed.expect("hashing does not panic, and nobody aborts it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_are_equal_on_async_and_blocking_threads() {
        let small = Bytes::from_static(b"abc");
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(small).await, digest);
        let large = Bytes::from(vec![0; MAX_INLINE_HASH_BYTES + 1]);
        assert_eq!(sha256_hex(large.clone()).await, key::hex(&Sha256::digest(&large)));
    }
}
