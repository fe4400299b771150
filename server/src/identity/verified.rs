//! JWTs that were verified, by their hash, so that a signature is verified once and not for every call. Only valid tokens
//! get in, so callers without one cannot evict any.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::caller::Caller;

/// Tokens of different shards never wait for each other.
const SHARDS: usize = 32;
/// Tokens per shard.
const MAX_TOKENS: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");

/// What verified a token: its issuer, and the generation of that issuer's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verifier {
    pub(super) issuer: usize,
    pub(super) generation: u64,
}

/// The verified tokens.
pub(super) struct Verified([Shard; SHARDS]);

type Shard = Mutex<LruCache<[u8; 32], (Verifier, Arc<Caller>)>>;

impl Verified {
    pub(super) fn new() -> Verified {
        Verified(std::array::from_fn(|_| Mutex::new(LruCache::new(MAX_TOKENS))))
    }

    /// The caller of a token, and what verified it.
    pub(super) fn get(&self, hash: &[u8; 32]) -> Option<(Verifier, Arc<Caller>)> {
        self.shard(hash).lock().get(hash).cloned()
    }

    pub(super) fn put(&self, hash: [u8; 32], verifier: Verifier, caller: Arc<Caller>) {
        self.shard(&hash).lock().put(hash, (verifier, caller));
    }

    /// Forgets a token that is no longer valid.
    pub(super) fn remove(&self, hash: &[u8; 32]) {
        self.shard(hash).lock().pop(hash);
    }

    fn shard(&self, hash: &[u8; 32]) -> &Shard {
        &self.0[usize::from(hash[0]) % SHARDS]
    }
}
