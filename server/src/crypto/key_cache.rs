//! Data keys that outlive their call, so that KMS is not asked for each item: for writing, one key for many items, within
//! bounds of age, uses and bytes; for reading, the decrypted keys of recent items, within a bound of age. Callers of one
//! tenant never receive a key that was requested for another. Keys are zeroised when the cache drops them and the last
//! call that uses them ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::keys::{Context, KeyIds, SealingKey};
use crate::aws::{Error, Kind};

/// The bounds of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// How long a key is used, from when it was requested.
    pub max_age: Duration,
    /// Calls that one key is used to write in.
    pub max_uses: u64,
    /// Bytes that one key encrypts.
    pub max_bytes: u64,
    /// Keys that are kept; the least recently used goes first.
    pub max_entries: usize,
}

/// What a key is for. Only the same purpose finds it again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// Encrypting.
    Writing {
        /// The tenant of the caller.
        tenant: Option<String>,
        /// The KMS key.
        key_id: String,
        /// The encryption context.
        context: Context,
    },
    /// Decrypting what was encrypted under it.
    Reading {
        /// The tenant of the caller.
        tenant: Option<String>,
        /// The wrapped key.
        wrapped: Bytes,
        /// The encryption context.
        context: Context,
        /// The KMS keys that may have wrapped it.
        key_ids: KeyIds,
    },
}

/// The cache.
pub(super) struct KeyCache {
    limits: CacheLimits,
    entries: Mutex<Entries>,
}

struct Entries {
    by_purpose: LruCache<Purpose, Entry>,
    /// When keys that are too old were last dropped.
    purged_at: Instant,
}

struct Entry {
    slot: Slot,
    requested_at: Instant,
    uses: u64,
}

/// Filled by the first user while the others wait.
type Slot = Arc<OnceCell<Result<Arc<SealingKey>, Error>>>;

impl KeyCache {
    pub(super) fn new(limits: CacheLimits) -> KeyCache {
        KeyCache {
            limits,
            entries: Mutex::new(Entries {
                by_purpose: LruCache::unbounded(),
                purged_at: Instant::now(),
            }),
        }
    }

    /// The key for a purpose, and whether it was found here. If not, it is requested, once for all who wait for it; they
    /// receive the same error too, unless it is the deadline of the call that made the request.
    pub(super) async fn get<F>(
        &self,
        purpose: Purpose,
        request: impl Fn() -> F,
    ) -> (Result<Arc<SealingKey>, Error>, bool)
    where
        F: Future<Output = Result<Arc<SealingKey>, Error>>,
    {
        loop {
            let slot = self.slot(&purpose);
            let mut is_requested = false;
            let outcome = slot.get_or_init(|| {
                is_requested = true;
                request()
            });
            match outcome.await {
                Ok(key) => return (Ok(Arc::clone(key)), !is_requested),
                Err(error) => {
                    self.remove(&purpose, &slot);
                    if is_requested || !matches!(error.kind, Kind::Deadline { .. }) {
                        return (Err(error.clone()), false);
                    }
                }
            }
        }
    }

    /// Drops all keys, and returns how many. A key that is being requested is used by those who wait for it, and is not
    /// kept.
    pub(super) fn flush(&self) -> usize {
        let mut entries = self.entries.lock();
        let count = entries.by_purpose.len();
        entries.by_purpose.clear();
        count
    }

    fn slot(&self, purpose: &Purpose) -> Slot {
        let now = Instant::now();
        let mut entries = self.entries.lock();
        self.purge(&mut entries, now);
        if let Some(entry) = entries.by_purpose.get_mut(purpose)
            && self.is_good(purpose, entry, now)
        {
            entry.uses += 1;
            return Arc::clone(&entry.slot);
        }
        let slot = Slot::default();
        let entry = Entry {
            slot: Arc::clone(&slot),
            requested_at: now,
            uses: 1,
        };
        entries.by_purpose.put(purpose.clone(), entry);
        while entries.by_purpose.len() > self.limits.max_entries.max(1) {
            entries.by_purpose.pop_lru();
        }
        slot
    }

    fn is_good(&self, purpose: &Purpose, entry: &Entry, now: Instant) -> bool {
        let is_young = now.duration_since(entry.requested_at) < self.limits.max_age;
        is_young
            && match purpose {
                Purpose::Reading { .. } => true,
                Purpose::Writing { .. } => {
                    let key = entry.slot.get().and_then(|outcome| outcome.as_ref().ok());
                    entry.uses < self.limits.max_uses
                        && key.is_none_or(|key| key.key.sealed_bytes() < self.limits.max_bytes)
                }
            }
    }

    /// Drops the keys that are too old, from time to time.
    fn purge(&self, entries: &mut Entries, now: Instant) {
        let max_age = self.limits.max_age;
        if now.duration_since(entries.purged_at) < max_age {
            return;
        }
        entries.purged_at = now;
        let old: Vec<Purpose> = entries
            .by_purpose
            .iter()
            .filter(|(_, entry)| now.duration_since(entry.requested_at) >= max_age)
            .map(|(purpose, _)| purpose.clone())
            .collect();
        for purpose in old {
            entries.by_purpose.pop(&purpose);
        }
    }

    fn remove(&self, purpose: &Purpose, slot: &Slot) {
        let mut entries = self.entries.lock();
        let is_same = |entry: &Entry| Arc::ptr_eq(&entry.slot, slot);
        if entries.by_purpose.peek(purpose).is_some_and(is_same) {
            entries.by_purpose.pop(purpose);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use zeroize::Zeroizing;

    use super::*;
    use crate::aws::Doubt;
    use crate::crypto::DataKey;
    use crate::figure::AwsOperation;

    fn limits() -> CacheLimits {
        CacheLimits {
            max_age: Duration::from_secs(60),
            max_uses: 3,
            max_bytes: 10,
            max_entries: 2,
        }
    }

    fn writing(tenant: Option<&str>, key_id: &str) -> Purpose {
        Purpose::Writing {
            tenant: tenant.map(str::to_owned),
            key_id: key_id.to_owned(),
            context: Context::new(),
        }
    }

    fn reading(wrapped: &'static str) -> Purpose {
        Purpose::Reading {
            tenant: None,
            wrapped: Bytes::from_static(wrapped.as_bytes()),
            context: Context::new(),
            key_ids: vec!["alias/a".to_owned()],
        }
    }

    fn key() -> Arc<SealingKey> {
        Arc::new(SealingKey {
            key: Arc::new(DataKey::new(Zeroizing::new([7; 32]))),
            wrapped: Bytes::new(),
        })
    }

    fn error(kind: Kind) -> Error {
        Error {
            kind,
            operation: AwsOperation::Decrypt,
            request_id: None,
            doubt: Doubt::None,
            endpoint: None,
            cause: "injected".into(),
        }
    }

    async fn found(cache: &KeyCache, purpose: Purpose) -> bool {
        let (outcome, is_found) = cache.get(purpose, async || Ok(key())).await;
        assert!(outcome.is_ok());
        is_found
    }

    #[tokio::test]
    async fn keys_for_writing_are_used_up() {
        let cache = KeyCache::new(limits());
        let uses: Vec<bool> = [found(&cache, writing(None, "a")).await]
            .into_iter()
            .chain([
                found(&cache, writing(None, "a")).await,
                found(&cache, writing(None, "a")).await,
                found(&cache, writing(None, "a")).await,
            ])
            .collect();
        assert_eq!(uses, [false, true, true, false]);
        let (used, _) = cache.get(writing(None, "b"), async || Ok(key())).await;
        used.unwrap()
            .key
            .seal_attribute(&[0; 12], b"", &mut [0; 10])
            .unwrap();
        assert!(
            !found(&cache, writing(None, "b")).await,
            "it has encrypted 10 bytes"
        );
    }

    #[tokio::test]
    async fn keys_for_reading_are_bounded_by_age_alone() {
        let cache = KeyCache::new(limits());
        assert!(!found(&cache, reading("a")).await);
        for _ in 0..10 {
            assert!(found(&cache, reading("a")).await);
        }
        let old = KeyCache::new(CacheLimits {
            max_age: Duration::ZERO,
            ..limits()
        });
        assert!(!found(&old, reading("a")).await);
        assert!(!found(&old, reading("a")).await);
        assert!(old.entries.lock().by_purpose.len() <= 1, "old keys are dropped");
    }

    #[tokio::test]
    async fn tenants_and_purposes_share_no_key() {
        let cache = KeyCache::new(CacheLimits {
            max_entries: 100,
            ..limits()
        });
        for purpose in [
            writing(None, "a"),
            writing(Some("one"), "a"),
            writing(Some("two"), "a"),
            writing(None, "b"),
            reading("a"),
        ] {
            assert!(!found(&cache, purpose).await);
        }
        assert!(found(&cache, writing(Some("one"), "a")).await);
        assert_eq!((cache.flush(), cache.flush()), (5, 0));
        assert!(!found(&cache, reading("a")).await);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_first() {
        let cache = KeyCache::new(limits());
        assert!(!found(&cache, reading("a")).await);
        assert!(!found(&cache, reading("b")).await);
        assert!(found(&cache, reading("a")).await);
        assert!(!found(&cache, reading("c")).await);
        assert!(found(&cache, reading("a")).await);
        assert!(!found(&cache, reading("b")).await);
    }

    #[tokio::test]
    async fn one_request_serves_all_who_wait_and_a_failure_is_not_kept() {
        let cache = KeyCache::new(limits());
        let requests = AtomicUsize::new(0);
        let fail = async || {
            requests.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err(error(Kind::InvalidCiphertext))
        };
        let outcomes = join_all((0..10).map(|_| cache.get(reading("a"), fail))).await;
        assert!(
            outcomes
                .iter()
                .all(|(outcome, is_found)| outcome.is_err() && !is_found)
        );
        assert_eq!(requests.load(Ordering::Relaxed), 1);
        assert!(!found(&cache, reading("a")).await);
        assert!(found(&cache, reading("a")).await);
    }

    #[tokio::test]
    async fn the_deadline_of_one_call_does_not_fail_another() {
        let cache = KeyCache::new(limits());
        let late = async || {
            tokio::task::yield_now().await;
            Err(error(Kind::Deadline { sent: false }))
        };
        let (first, second) = tokio::join!(cache.get(reading("a"), late), async {
            cache.get(reading("a"), async || Ok(key())).await
        });
        assert!(first.0.is_err());
        assert!(second.0.is_ok());
    }
}
