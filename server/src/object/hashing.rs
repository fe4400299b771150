//! The SHA-256 of a content that arrives in pieces. It is computed on a blocking thread while more is received and sent.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

/// What is hashed at once; less than that at the end of the content is hashed on an async thread.
const BATCH_BYTES: usize = 256 * 1024;

/// A hash that is being computed.
pub(super) struct Hashing {
    hasher: Hasher,
    /// Pieces that follow.
    pieces: Vec<Bytes>,
    bytes: usize,
}

enum Hasher {
    Here(Sha256),
    /// On a blocking thread.
    There(JoinHandle<Sha256>),
}

impl Hashing {
    pub(super) fn new() -> Hashing {
        Hashing {
            hasher: Hasher::Here(Sha256::new()),
            pieces: Vec::new(),
            bytes: 0,
        }
    }

    /// Hashes the next piece. Waits for those before, as far as they are on a blocking thread: two batches are held at most.
    pub(super) async fn update(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push(piece);
        if self.bytes < BATCH_BYTES {
            return;
        }
        let hasher = self.hasher().await;
        let pieces = std::mem::take(&mut self.pieces);
        self.bytes = 0;
        let hashing = tokio::task::spawn_blocking(move || hashed(hasher, &pieces));
        self.hasher = Hasher::There(hashing);
    }

    /// The hash of all pieces.
    pub(super) async fn finish(mut self) -> [u8; 32] {
        let hasher = self.hasher().await;
        hashed(hasher, &self.pieces).finalize().into()
    }

    /// The hasher of what was passed to it so far.
    async fn hasher(&mut self) -> Sha256 {
        if let Hasher::There(hashing) = &mut self.hasher {
            let hasher = hashing.await;
            self.hasher = Hasher::Here(hasher.expect("hashing does not panic, and nobody aborts it"));
        }
        match &mut self.hasher {
            Hasher::Here(hasher) => std::mem::take(hasher),
            Hasher::There(_) => Sha256::new(),
        }
    }
}

fn hashed(mut hasher: Sha256, pieces: &[Bytes]) -> Sha256 {
    for piece in pieces {
        hasher.update(piece);
    }
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hash_does_not_depend_on_the_pieces() {
        let content: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
        for (bytes, piece_bytes) in [
            (0, 1),
            (1, 1),
            (1_000_003, 1000),
            (1_000_003, 100_000),
            (1_000_003, 1_000_003),
        ] {
            let mut hashing = Hashing::new();
            for piece in content[..bytes].chunks(piece_bytes) {
                hashing.update(Bytes::copy_from_slice(piece)).await;
            }
            let expected: [u8; 32] = Sha256::digest(&content[..bytes]).into();
            assert_eq!(hashing.finish().await, expected, "{bytes} in {piece_bytes}");
        }
    }
}
