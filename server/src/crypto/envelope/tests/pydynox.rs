//! Format `pydynox`, against a second implementation from its documented layout.

use std::collections::HashMap;

use aes_gcm::aead::{Aead, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

pub(super) fn encrypt(plain: &str, nonce: &[u8; 12]) -> String {
    let cipher = aes_gcm::Aes256Gcm::new(&KEY.into());
    let mut blob = vec![1, 0, u8::try_from(WRAPPED.len()).unwrap()];
    blob.extend(WRAPPED);
    blob.extend(nonce);
    blob.extend(cipher.encrypt(nonce.into(), plain.as_bytes()).unwrap());
    format!("ENC:{}", STANDARD.encode(blob))
}

pub(super) fn decrypt(stored: &str) -> String {
    let blob = STANDARD.decode(&stored[4..]).unwrap();
    assert_eq!((blob[0], blob[1]), (1, 0));
    let (wrapped, rest) = blob[3..].split_at(usize::from(blob[2]));
    assert_eq!(wrapped, WRAPPED);
    let (nonce, ciphertext) = rest.split_first_chunk::<12>().unwrap();
    let plain = aes_gcm::Aes256Gcm::new(&KEY.into())
        .decrypt(nonce.into(), ciphertext)
        .unwrap();
    String::from_utf8(plain).unwrap()
}

#[test]
fn pydynox_supports_only_strings() {
    for value in [
        number("1"),
        Value::Null,
        Value::B(bytes(b"x")),
        Value::M(HashMap::new()),
    ] {
        let rejected = seal(
            EncryptionFormat::Pydynox,
            &value,
            &key(),
            WRAPPED,
            &place(),
            "ssn",
        );
        assert_eq!(rejected.err(), Some(SealError::NotAString));
    }
}
