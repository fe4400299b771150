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
