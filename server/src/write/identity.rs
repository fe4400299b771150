//! The identity of a write that has a request id: keyed hashes of the id and of the request, so that what is stored reveals
//! neither. Its repeats have the same identity.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::model::{Item, Value};
use crate::object::digest::sha256_hex;

/// What the key is used for; never changes, since all replicas must derive the same identities.
const PURPOSE: &[u8] = b"tollgate request id v1";

/// How long a request id is remembered.
pub(super) const WINDOW: Duration = Duration::from_secs(600);

/// Bytes of a keyed hash.
const HASH_BYTES: usize = 32;

/// Identifies requests with one key, the same on all replicas.
#[derive(Clone)]
pub struct RequestIds {
    key: [u8; HASH_BYTES],
}

/// The identity of one request.
#[derive(Clone)]
pub struct Identity {
    id: [u8; HASH_BYTES],
    request: [u8; HASH_BYTES],
    seconds: u64,
}

impl RequestIds {
    /// Identities under this key.
    pub fn new(key: &[u8; 32]) -> RequestIds {
        RequestIds {
            key: hmac(PURPOSE, &[key]),
        }
    }

    /// The identity of a request: its id, which belongs to a caller and a model, its hash, and when it arrived.
    pub fn identity(
        &self,
        caller: &[u8],
        model: &str,
        request_id: &str,
        request_hash: &[u8],
        now: SystemTime,
    ) -> Identity {
        Identity {
            id: hmac(
                &self.key,
                &[b"id", caller, model.as_bytes(), request_id.as_bytes()],
            ),
            request: hmac(&self.key, &[b"request", request_hash]),
            seconds: seconds(now),
        }
    }
}

impl Identity {
    /// The hash of the id.
    pub(super) fn id(&self) -> &[u8; HASH_BYTES] {
        &self.id
    }

    /// The hash of the request.
    pub(super) fn request(&self) -> &[u8; HASH_BYTES] {
        &self.request
    }

    /// The same identity, as if the request had arrived then.
    pub(super) fn at(self, now: SystemTime) -> Identity {
        Identity {
            seconds: seconds(now),
            ..self
        }
    }

    /// When the request arrived, in seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }
}

/// The values with the SHA-256 of objects in place of their contents, as the hash of a request needs them.
pub async fn digest_contents(mut values: Item) -> Item {
    for value in values.values_mut() {
        if let Value::Object(object) = value
            && let Some(data) = object.data.take()
        {
            object.data = Some(Bytes::from(sha256_hex(data).await));
        }
    }
    values
}

fn seconds(now: SystemTime) -> u64 {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs()
}

/// HMAC-SHA256 of the length-prefixed parts; HKDF's extraction is one.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    Hkdf::<Sha256>::extract(Some(key), &message).0.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(key: u8, caller: &str, model: &str, id: &str, hash: &[u8]) -> Identity {
        RequestIds::new(&[key; 32]).identity(caller.as_bytes(), model, id, hash, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_id_depends_on_key_caller_and_model() {
        let ids = [
            identity(1, "", "User", "a", b"1"),
            identity(2, "", "User", "a", b"1"),
            identity(1, "me", "User", "a", b"1"),
            identity(1, "", "Order", "a", b"1"),
            identity(1, "", "User", "b", b"1"),
            identity(1, "", "Use", "ra", b"1"),
        ];
        for (index, one) in ids.iter().enumerate() {
            assert!(
                ids[..index].iter().all(|other| other.id() != one.id()),
                "identity {index}"
            );
        }
        let again = identity(1, "", "User", "a", b"2");
        assert_eq!(again.id(), ids[0].id());
        assert_ne!(again.request(), ids[0].request());
    }

    #[test]
    fn is_an_hmac() {
        // RFC 4231, test case 2
        let prefixed = Hkdf::<Sha256>::extract(Some(b"Jefe"), b"what do ya want for nothing?").0;
        assert_eq!(prefixed[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
