//! The keyring of one call: requests each data key from KMS once, however many values use it, even concurrently. Keeps no
//! key beyond its call, unless the settings say so ([`KeyCache`]), and never retries: the SDK does.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::data_key::DataKey;
use super::gate::Gate;
use super::key_cache::{CacheLimits, KeyCache, Purpose};
use super::keys::{Context, KeyIds, SealingKey, Wrapped};
use crate::aws::{Error, Kind, Kms};
use crate::call::Call;

/// Decrypted data keys that one call keeps. A call decrypts at most one per encrypted value of its items, so only a Scan
/// or Query with more values evicts the oldest. With some 500 bytes each, the keys of a call stay below 8 MiB.
const MAX_OPENED_KEYS: usize = 16_384;

/// Creates the keyrings of calls.
#[derive(Clone)]
pub struct Keyring {
    kms: Kms,
    in_flight: usize,
    gate: Arc<Gate>,
    cache: Option<Arc<KeyCache>>,
}

/// The data keys of one call. Clones share them; they are zeroised with the last clone.
#[derive(Clone)]
pub struct CallKeys {
    shared: Arc<Shared>,
}

struct Shared {
    kms: Kms,
    call: Call,
    permits: Semaphore,
    gate: Arc<Gate>,
    cache: Option<Arc<KeyCache>>,
    /// By key id, context and whether it may come from the cache; at most one per encrypted attribute of the models that
    /// the call writes.
    generated: Mutex<HashMap<(String, Context, bool), Slot<SealingKey>>>,
    /// At most [`MAX_OPENED_KEYS`], evicted by hand: an unbounded cache reserves no memory up front. `None` before the first
    /// one, since most calls decrypt nothing.
    opened: Mutex<Option<LruCache<Wrapped, Slot<DataKey>>>>,
}

/// Filled by the first user while the others wait. A failure is kept for the call: a request that KMS rejected (after the
/// SDK's retries) is not sent again for every other value.
type Slot<T> = Arc<OnceCell<Result<Arc<T>, Error>>>;

impl Keyring {
    /// Keyrings over this KMS; each call sends at most `in_flight` requests at a time.
    pub fn new(kms: Kms, in_flight: usize) -> Keyring {
        Keyring {
            kms,
            in_flight: in_flight.clamp(1, Semaphore::MAX_PERMITS),
            gate: Arc::new(Gate::new(0)),
            cache: None,
        }
    }

    /// Lets all calls together begin at most `rate` requests a second; 0: no limit.
    #[must_use]
    pub fn with_rate(self, rate: usize) -> Keyring {
        Keyring {
            gate: Arc::new(Gate::new(rate)),
            ..self
        }
    }

    /// Keeps data keys beyond their calls.
    #[must_use]
    pub fn with_cache(self, limits: CacheLimits) -> Keyring {
        Keyring {
            cache: Some(Arc::new(KeyCache::new(limits))),
            ..self
        }
    }

    /// Drops all data keys that are kept beyond their calls. Returns how many.
    pub fn flush(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.flush())
    }

    /// An empty keyring for this call.
    pub fn for_call(&self, call: &Call) -> CallKeys {
        let shared = Shared {
            kms: self.kms.clone(),
            call: call.clone(),
            permits: Semaphore::new(self.in_flight),
            gate: Arc::clone(&self.gate),
            cache: self.cache.clone(),
            generated: Mutex::default(),
            opened: Mutex::default(),
        };
        CallKeys {
            shared: Arc::new(shared),
        }
    }
}

impl CallKeys {
    /// The tenant of the caller.
    pub fn tenant(&self) -> Option<String> {
        self.shared.tenant()
    }

    /// The call.
    pub fn call(&self) -> &Call {
        &self.shared.call
    }

    /// The data key for encrypting under `key_id` in `context`: one `GenerateDataKey` per pair and call, or none if it may
    /// come from the cache and is there.
    ///
    /// # Errors
    ///
    /// The error of KMS, for all users of this key alike.
    pub async fn generate(
        &self,
        key_id: &str,
        context: &Context,
        may_cache: bool,
    ) -> Result<Arc<SealingKey>, Error> {
        let name = (key_id.to_owned(), context.clone(), may_cache);
        let slot = Arc::clone(self.shared.generated.lock().entry(name).or_default());
        slot.get_or_init(|| self.shared.sealing_key(key_id, context, may_cache))
            .await
            .clone()
    }

    /// Decrypts the data key `wrapped`, if one of `key_ids` wrapped it. Sends one `Decrypt` per key tried, once per wrapped
    /// key, context and list of keys in a call, and none if it may come from the cache and is there.
    ///
    /// # Errors
    ///
    /// `IncorrectKey` or `UnknownKey` if none of the keys wrapped it, else the error of KMS; for all users of this key
    /// alike.
    pub async fn open(
        &self,
        wrapped: &Bytes,
        context: &Context,
        key_ids: KeyIds,
        may_cache: bool,
    ) -> Result<Arc<DataKey>, Error> {
        let wrapped = Wrapped {
            key: wrapped.clone(),
            context: context.clone(),
            key_ids,
            may_cache,
        };
        let slot = self.shared.opened_slot(&wrapped);
        slot.get_or_init(|| self.shared.opened_key(&wrapped))
            .await
            .clone()
    }
}

impl Shared {
    fn opened_slot(&self, wrapped: &Wrapped) -> Slot<DataKey> {
        let mut opened = self.opened.lock();
        let opened = opened.get_or_insert_with(LruCache::unbounded);
        let slot = Arc::clone(opened.get_or_insert(wrapped.clone(), Slot::default));
        if opened.len() > MAX_OPENED_KEYS {
            opened.pop_lru();
        }
        slot
    }

    async fn sealing_key(
        &self,
        key_id: &str,
        context: &Context,
        may_cache: bool,
    ) -> Result<Arc<SealingKey>, Error> {
        let request = || self.request_generate(key_id, context);
        let Some(cache) = self.cache.as_ref().filter(|_| may_cache) else {
            return request().await;
        };
        let purpose = Purpose::Writing {
            tenant: self.tenant(),
            key_id: key_id.to_owned(),
            context: context.clone(),
        };
        let (key, is_cached) = cache.get(purpose, request).await;
        if is_cached {
            self.call.add_key_cache_hit();
        }
        key
    }

    async fn opened_key(&self, wrapped: &Wrapped) -> Result<Arc<DataKey>, Error> {
        let request = || self.request_decrypt(wrapped);
        let Some(cache) = self.cache.as_ref().filter(|_| wrapped.may_cache) else {
            return request().await.map(|key| Arc::clone(&key.key));
        };
        let purpose = Purpose::Reading {
            tenant: self.tenant(),
            wrapped: wrapped.key.clone(),
            context: wrapped.context.clone(),
            key_ids: wrapped.key_ids.clone(),
        };
        let (key, is_cached) = cache.get(purpose, request).await;
        if is_cached {
            self.call.add_key_cache_hit();
        }
        key.map(|key| Arc::clone(&key.key))
    }

    /// The tenant of the caller.
    fn tenant(&self) -> Option<String> {
        self.call.caller()?.tenant.clone()
    }

    async fn request_generate(&self, key_id: &str, context: &Context) -> Result<Arc<SealingKey>, Error> {
        let _permit = self.permit().await;
        let _turn = self.gate.enter(self.call.deadline()).await;
        let generated = self.kms.generate_data_key(&self.call, key_id, context).await;
        let generated = generated.inspect_err(|error| self.heed(error))?;
        let key = Arc::new(DataKey::new(generated.plaintext));
        Ok(Arc::new(SealingKey {
            key,
            wrapped: Bytes::from(generated.wrapped),
        }))
    }

    /// Tries the keys in order. A key that is unusable does not prevent trying the next; but if no key succeeds, its error
    /// is returned, since it may have been the right one. A key is also skipped if KMS reports, instead of a wrong key, a
    /// ciphertext of an unknown key: that may be damage as well.
    async fn request_decrypt(&self, wrapped: &Wrapped) -> Result<Arc<SealingKey>, Error> {
        let Wrapped {
            key,
            context,
            key_ids,
            may_cache: _,
        } = wrapped;
        let _permit = self.permit().await;
        let mut incorrect = None;
        let mut unknown = None;
        let mut unusable = None;
        for key_id in key_ids {
            let _turn = self.gate.enter(self.call.deadline()).await;
            let decrypted = self.kms.decrypt(&self.call, key_id, key, context).await;
            match decrypted.inspect_err(|error| self.heed(error)) {
                Ok(bytes) => {
                    return Ok(Arc::new(SealingKey {
                        key: Arc::new(DataKey::new(bytes)),
                        wrapped: key.clone(),
                    }));
                }
                Err(error) => match error.kind {
                    Kind::IncorrectKey => incorrect = Some(error),
                    Kind::UnknownKey => unknown = Some(error),
                    Kind::KeyUnusable | Kind::Missing { .. } => unusable = unusable.or(Some(error)),
                    Kind::ConditionFailed { .. }
                    | Kind::TransactionCancelled { .. }
                    | Kind::Conflict
                    | Kind::TokenMismatch
                    | Kind::Throttled
                    | Kind::Denied
                    | Kind::InvalidCiphertext
                    | Kind::TooLarge
                    | Kind::Refused
                    | Kind::Unavailable
                    | Kind::OutcomeUnknown
                    | Kind::Deadline { .. } => return Err(error),
                },
            }
        }
        Err(unusable
            .or(incorrect)
            .or(unknown)
            .expect("an encrypted attribute has at least one key"))
    }

    /// Lets all calls wait after KMS throttled a request.
    fn heed(&self, error: &Error) {
        if error.kind == Kind::Throttled {
            self.gate.pause();
        }
    }

    async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits
            .acquire()
            .await
            .expect("the semaphore is never closed")
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::crypto::testing::keyring;
    use crate::model::testing::KEY_ID;

    fn key_ids() -> KeyIds {
        vec![KEY_ID.to_owned()]
    }

    fn context(app: &str) -> Context {
        Context::from([("app".to_owned(), app.to_owned())])
    }

    async fn generated(keyring: &Keyring, call: &Call) -> Arc<SealingKey> {
        let keys = keyring.for_call(call);
        keys.generate(KEY_ID, &context("a"), true).await.unwrap()
    }

    #[tokio::test]
    async fn generates_one_key_per_key_id_and_context() {
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let (a, b) = (context("a"), context("b"));
        let made = join_all((0..20).map(|_| keys.generate(KEY_ID, &a, true))).await;
        let first = made[0].as_ref().unwrap();
        assert!(made.iter().all(|made| Arc::ptr_eq(made.as_ref().unwrap(), first)));
        assert_eq!(call.bill().kms_calls, 1);
        let other = keys.clone().generate(KEY_ID, &b, true).await.unwrap();
        assert_ne!(other.wrapped, first.wrapped);
        assert_eq!(call.bill().kms_calls, 2);
    }

    #[tokio::test]
    async fn decrypts_a_wrapped_key_once_for_concurrent_users() {
        let keyring = keyring().await;
        let context = context("a");
        let made = generated(&keyring, &Call::for_test()).await;

        let call = Call::for_test();
        let keys = keyring.for_call(&call);
        let opened = join_all((0..50).map(|_| keys.open(&made.wrapped, &context, key_ids(), true))).await;
        let first = opened[0].as_ref().unwrap();
        assert!(
            opened
                .iter()
                .all(|opened| Arc::ptr_eq(opened.as_ref().unwrap(), first))
        );
        assert_eq!(call.bill().kms_calls, 1);

        let mut buffer = *b"text";
        let tag = made.key.seal(&[0; 12], b"", &mut buffer).unwrap();
        first.open(&[0; 12], b"", &mut buffer, &tag).unwrap();
        assert_eq!(&buffer, b"text");
    }

    #[tokio::test]
    async fn keeps_a_bounded_number_of_keys() {
        let keys = keyring().await.for_call(&Call::for_test());
        let wrapped = |count: usize| Wrapped {
            key: Bytes::from(count.to_string()),
            context: context("a"),
            key_ids: key_ids(),
            may_cache: true,
        };
        let first = keys.shared.opened_slot(&wrapped(0));
        let second = keys.shared.opened_slot(&wrapped(1));
        for count in 2..=MAX_OPENED_KEYS {
            keys.shared.opened_slot(&wrapped(count));
        }
        assert_eq!(
            keys.shared.opened.lock().as_ref().map(LruCache::len),
            Some(MAX_OPENED_KEYS)
        );
        assert!(Arc::ptr_eq(&second, &keys.shared.opened_slot(&wrapped(1))));
        assert!(!Arc::ptr_eq(&first, &keys.shared.opened_slot(&wrapped(0))));
    }

    #[tokio::test]
    async fn calls_do_not_share_keys() {
        let keyring = keyring().await;
        let (first, second) = (Call::for_test(), Call::for_test());
        let made = generated(&keyring, &first).await;
        let again = generated(&keyring, &second).await;
        assert_ne!(made.wrapped, again.wrapped);
        assert_eq!((first.bill().kms_calls, second.bill().kms_calls), (1, 1));
    }

    #[tokio::test]
    async fn requests_a_rejected_key_once_and_returns_the_error_to_all() {
        let keyring = keyring().await;
        let made = generated(&keyring, &Call::for_test()).await;
        let call = Call::for_test();
        let keys = keyring.for_call(&call);
        let context = context("b");
        let opened = join_all((0..10).map(|_| keys.open(&made.wrapped, &context, key_ids(), true))).await;
        assert!(
            opened
                .iter()
                .all(|opened| matches!(opened, Err(error) if error.kind == Kind::InvalidCiphertext))
        );
        assert_eq!(
            keys.open(&made.wrapped, &context, key_ids(), true)
                .await
                .unwrap_err()
                .kind,
            Kind::InvalidCiphertext
        );
        assert_eq!(call.bill().kms_calls, 1);

        let missing = join_all((0..10).map(|_| keys.generate("alias/nobody", &context, true))).await;
        assert!(
            missing
                .iter()
                .all(|made| matches!(made, Err(error) if matches!(error.kind, Kind::Missing { .. })))
        );
        assert_eq!(call.bill().kms_calls, 2);
    }

    #[tokio::test]
    async fn bounds_concurrent_requests() {
        let call = Call::for_test();
        let keys = keyring().await.for_call(&call);
        let held = keys.shared.permits.acquire_many(4).await.unwrap();
        let contexts: Vec<_> = (0..10).map(|count| context(&count.to_string())).collect();
        let asked = join_all(
            contexts
                .iter()
                .map(|context| keys.generate(KEY_ID, context, true)),
        );
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), asked).await;
        assert!(waited.is_err(), "all permits are held");
        assert_eq!(call.bill().kms_calls, 0);
        drop(held);
        // cancelled users do not block later ones
        let made = join_all(
            contexts
                .iter()
                .map(|context| keys.generate(KEY_ID, context, true)),
        )
        .await;
        assert!(made.iter().all(Result::is_ok));
        assert_eq!(call.bill().kms_calls, 10);
    }
}
