//! The keyring of one call: each data key is asked of KMS once, however many values it seals or opens, and however
//! many of them ask at the same time. Never keeps a key beyond its call, and never retries: the SDK does.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::data_key::DataKey;
use crate::aws::{Error, Kms};
use crate::billing::Call;

/// A KMS encryption context.
pub type Context = BTreeMap<String, String>;

/// Opened keys that one call remembers. A call opens at most one per encrypted value of its items, so only a Scan or
/// Query of more values than this forgets its oldest; at some 500 bytes each a call's keys stay below 8 MiB.
const MAX_OPENED_KEYS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// What calls get their keyrings from.
#[derive(Clone)]
pub struct Keyring {
    kms: Kms,
    in_flight: usize,
}

/// The data keys of one call; clones share them. They are zeroised with the last clone.
#[derive(Clone)]
pub struct CallKeys {
    shared: Arc<Shared>,
}

/// A new data key and its wrapped form, which is stored beside what it seals.
pub struct SealingKey {
    /// The key in clear.
    pub key: DataKey,
    /// KMS's `CiphertextBlob`.
    pub wrapped: Bytes,
}

struct Shared {
    kms: Kms,
    call: Call,
    permits: Semaphore,
    /// By key id and context; at most one per encrypted attribute of the models that the call writes.
    generated: Mutex<HashMap<(String, Context), Slot<SealingKey>>>,
    /// By wrapped key and context.
    opened: Mutex<LruCache<(Bytes, Context), Slot<DataKey>>>,
}

/// Filled by the first that asks; the others wait. A failure stays for the call: what KMS refused once (after the
/// SDK's retries) is not asked again for every other value.
type Slot<T> = Arc<OnceCell<Result<Arc<T>, Error>>>;

impl Keyring {
    /// A keyring over KMS whose calls have at most `in_flight` requests to it at a time each.
    pub fn new(kms: Kms, in_flight: usize) -> Keyring {
        Keyring {
            kms,
            in_flight: in_flight.clamp(1, Semaphore::MAX_PERMITS),
        }
    }

    /// The keys of this call, none yet.
    pub fn for_call(&self, call: &Call) -> CallKeys {
        let shared = Shared {
            kms: self.kms.clone(),
            call: call.clone(),
            permits: Semaphore::new(self.in_flight),
            generated: Mutex::default(),
            opened: Mutex::new(LruCache::new(MAX_OPENED_KEYS)),
        };
        CallKeys {
            shared: Arc::new(shared),
        }
    }
}

impl CallKeys {
    /// The call's key for sealing under `key_id` in `context`: one `GenerateDataKey` per pair in a call.
    ///
    /// # Errors
    ///
    /// What KMS answered, the same to all who asked.
    pub async fn generate(&self, key_id: &str, context: &Context) -> Result<Arc<SealingKey>, Error> {
        let name = (key_id.to_owned(), context.clone());
        let slot = Arc::clone(locked(&self.shared.generated).entry(name).or_default());
        slot.get_or_init(|| self.shared.ask_generate(key_id, context))
            .await
            .clone()
    }

    /// The data key that `wrapped` holds: one `Decrypt` per wrapped key and context in a call.
    ///
    /// # Errors
    ///
    /// What KMS answered, the same to all who asked.
    pub async fn open(&self, wrapped: &Bytes, context: &Context) -> Result<Arc<DataKey>, Error> {
        let name = (wrapped.clone(), context.clone());
        let slot = Arc::clone(locked(&self.shared.opened).get_or_insert(name, Slot::default));
        slot.get_or_init(|| self.shared.ask_decrypt(wrapped, context))
            .await
            .clone()
    }
}

impl Shared {
    async fn ask_generate(&self, key_id: &str, context: &Context) -> Result<Arc<SealingKey>, Error> {
        let _permit = self.permit().await;
        let generated = self.kms.generate_data_key(&self.call, key_id, context).await?;
        let key = DataKey::new(generated.plaintext);
        Ok(Arc::new(SealingKey {
            key,
            wrapped: Bytes::from(generated.wrapped),
        }))
    }

    async fn ask_decrypt(&self, wrapped: &[u8], context: &Context) -> Result<Arc<DataKey>, Error> {
        let _permit = self.permit().await;
        let bytes = self.kms.decrypt(&self.call, wrapped, context).await?;
        Ok(Arc::new(DataKey::new(bytes)))
    }

    async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits
            .acquire()
            .await
            .expect("the semaphore is never closed")
    }
}

/// Nothing that holds these locks can leave a map half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
