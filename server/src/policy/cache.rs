//! Decisions that were made, by a hash of all that they depend on. Bounded: the least recently used go first.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

/// Locks that share the decisions, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// A hash of all that a decision depends on.
pub(super) type CacheKey = [u8; 32];

/// Hashes parts, each after its length, so that no two lists of parts have the same bytes.
#[derive(Default)]
pub(super) struct KeyHasher(Sha256);

impl KeyHasher {
    /// Adds a part.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// The hash of all parts.
    pub(super) fn finish(self) -> CacheKey {
        self.0.finalize().into()
    }
}

/// A bounded cache.
pub(super) struct Cache<V>(Vec<Mutex<LruCache<CacheKey, V>>>);

impl<V: Clone> Cache<V> {
    /// A cache of about this many entries.
    pub(super) fn new(entries: usize) -> Cache<V> {
        let of_shard = NonZeroUsize::new(entries / SHARDS).unwrap_or(NonZeroUsize::MIN);
        let shards = (0..SHARDS).map(|_| Mutex::new(LruCache::new(of_shard)));
        Cache(shards.collect())
    }

    fn shard(&self, key: &CacheKey) -> &Mutex<LruCache<CacheKey, V>> {
        &self.0[usize::from(key[0]) % SHARDS]
    }

    /// The value of this key.
    pub(super) fn get(&self, key: &CacheKey) -> Option<V> {
        self.shard(key).lock().get(key).cloned()
    }

    /// Keeps a value.
    pub(super) fn put(&self, key: CacheKey, value: V) {
        self.shard(&key).lock().put(key, value);
    }

    /// The number of values.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&str]) -> CacheKey {
        let mut hasher = KeyHasher::default();
        parts.iter().for_each(|part| hasher.add(part.as_bytes()));
        hasher.finish()
    }

    #[test]
    fn is_bounded() {
        let cache = Cache::new(64);
        for number in 0..1000 {
            cache.put(key(&[&number.to_string()]), number);
        }
        assert!(cache.len() <= 64);
        assert_eq!(cache.get(&key(&["999"])), Some(999));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
    }
}
