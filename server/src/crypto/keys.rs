//! What callers of the keyring name and receive.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::data_key::DataKey;

/// A KMS encryption context.
pub type Context = BTreeMap<String, String>;

/// The KMS keys to try for a wrapped data key, in this order.
pub type KeyIds = Vec<String>;

/// A new data key, and its wrapped form to be stored with each value that it encrypts.
pub struct SealingKey {
    /// The key in plaintext.
    pub key: Arc<DataKey>,
    /// KMS's `CiphertextBlob`.
    pub wrapped: Bytes,
}

/// A wrapped key, with the context and keys to decrypt it. A key decrypted for one attribute is not reused for another
/// one that accepts other KMS keys.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Wrapped {
    pub(super) key: Bytes,
    pub(super) context: Context,
    pub(super) key_ids: KeyIds,
    pub(super) may_cache: bool,
}
