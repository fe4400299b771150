//! The entry to reading: the clients, keys and limits that all reads share. Cheap to clone.

use super::page_token::PageTokens;
use crate::aws::Stores;
use crate::crypto::Keyring;

/// Reads stored items.
#[derive(Clone)]
pub struct Reader {
    /// The AWS clients.
    pub stores: Stores,
    /// Data keys.
    pub keyring: Keyring,
    /// Seals and opens page tokens.
    pub page_tokens: PageTokens,
    /// Limits on the objects that are returned inline.
    pub limits: Limits,
}

/// Limits on the objects that are returned inline.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one message, including inline objects.
    pub message_bytes: usize,
    /// Objects that one call reads in parallel.
    pub objects_in_flight: usize,
}
