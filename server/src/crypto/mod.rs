//! Encryption of attribute values: the stored layouts, data keys, and the keyring of one call. Knows nothing of model
//! files, items or gRPC, and never writes a key byte, a plaintext or a ciphertext to a log or an error.

mod data_key;
pub mod envelope;
mod error;
mod gate;
mod key_cache;
mod keyring;
mod keys;
mod locked;
pub mod object;
#[cfg(all(test, feature = "embedded", target_os = "linux"))]
mod residue;
#[cfg(test)]
#[cfg(feature = "embedded")]
pub(crate) mod testing;
mod unwrap;

pub use data_key::DataKey;
pub use key_cache::CacheLimits;
pub use keyring::{CallKeys, Keyring};
pub use keys::{Context, KeyIds, SealingKey};
pub use locked::{Protection, protection};
pub use unwrap::UnwrapError;

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keyring")
    }
}
