//! Secret keys: random bytes and the files they are stored in. Never logs a key.

use std::path::Path;

use zeroize::Zeroizing;

use super::error::Error;
use super::private_file::{read_private, replace_file};

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Larger than any key file.
pub(super) const MAX_KEY_FILE_BYTES: u64 = 4096;

/// 32 secret bytes, zeroized on drop.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Fills an array with bytes from the system random source.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|failure| Error::System(format!("random bytes: {failure}")))?;
    Ok(bytes)
}

/// A new random key.
pub(super) fn random_key() -> Result<Key, Error> {
    random_bytes().map(Zeroizing::new)
}

/// Reads a key file; `None` if it does not exist.
pub(super) fn read_key(path: &Path) -> Result<Option<Key>, Error> {
    let Some(bytes) = read_private(path, MAX_KEY_FILE_BYTES)? else {
        return Ok(None);
    };
    match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(Some(Zeroizing::new(key))),
        Err(_) => {
            let problem = format!(
                "has {} bytes, expected {KEY_BYTES}: restore it from a backup",
                bytes.len()
            );
            Err(Error::unusable(path, problem))
        }
    }
}

/// Reads a key file, or creates it with a random key.
pub(super) fn read_or_create_key(path: &Path) -> Result<Key, Error> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    let key = random_key()?;
    replace_file(path, key.as_slice())?;
    Ok(key)
}
