//! A second implementation of the stored formats of encrypted strings, from docs/storage.md: tests store and read values
//! without the gateway.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use hkdf::Hkdf;
use sha2::Sha256;

const NONCE: [u8; 12] = [7; 12];

/// Where a value belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) partition: &'a str,
    pub(crate) sort: &'a str,
    pub(crate) attribute: &'a str,
}

/// A data key with its wrapped form.
pub(crate) type DataKey = ([u8; 32], Vec<u8>);

fn derived(key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, key)
        .expand(info, &mut out)
        .expect("as it is documented");
    out
}

fn associated_data(id: u8, place: Place<'_>) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        &[id],
        &[1],
        place.table.as_bytes(),
        &[b"S", place.partition.as_bytes()].concat(),
        &[b"S", place.sort.as_bytes()].concat(),
        place.attribute.as_bytes(),
    ];
    let with_length = |part: &&[u8]| {
        [
            &u32::try_from(part.len())
                .expect("as it is documented")
                .to_be_bytes()[..],
            part,
        ]
        .concat()
    };
    parts.iter().flat_map(with_length).collect()
}

fn encrypted(key: &[u8; 32], text: &str, associated_data: &[u8]) -> Vec<u8> {
    let payload = Payload {
        msg: text.as_bytes(),
        aad: associated_data,
    };
    Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(NONCE), payload)
        .expect("as it is documented")
}

fn length(wrapped: &[u8]) -> [u8; 2] {
    u16::try_from(wrapped.len())
        .expect("as it is documented")
        .to_be_bytes()
}

/// A string in format `sealed`, id 4.
pub(crate) fn sealed_4((key, wrapped): &DataKey, place: Place<'_>, text: &str) -> AttributeValue {
    let associated = associated_data(4, place);
    let own = derived(key, &[b"tollgate attribute v4", &associated[..]].concat());
    let commitment = derived(key, b"tollgate commit v4");
    let ciphertext = encrypted(&own, text, &associated);
    let parts = [
        &[4, 1],
        &length(wrapped)[..],
        wrapped,
        &commitment,
        &NONCE,
        &ciphertext,
    ];
    AttributeValue::B(Blob::new(parts.concat()))
}

/// A string in format `sealed`, id 2.
pub(crate) fn sealed_2((key, wrapped): &DataKey, place: Place<'_>, text: &str) -> AttributeValue {
    let ciphertext = encrypted(key, text, &associated_data(2, place));
    let parts = [&[2, 1], &length(wrapped)[..], wrapped, &NONCE, &ciphertext];
    AttributeValue::B(Blob::new(parts.concat()))
}

/// A string in format `pydynox`.
pub(crate) fn pydynox((key, wrapped): &DataKey, text: &str) -> AttributeValue {
    let ciphertext = encrypted(key, text, &[]);
    let parts = [&[1], &length(wrapped)[..], wrapped, &NONCE, &ciphertext].concat();
    AttributeValue::S(format!("ENC:{}", aws_smithy_types::base64::encode(parts)))
}

/// The wrapped key of a stored value of id 4.
pub(crate) fn wrapped_key(stored: &[u8]) -> &[u8] {
    let length = usize::from(u16::from_be_bytes([stored[2], stored[3]]));
    &stored[4..4 + length]
}

/// Opens a stored value of id 4; checks its layout on the way.
pub(crate) fn open_4(key: &[u8; 32], place: Place<'_>, stored: &[u8]) -> String {
    assert_eq!(stored[..2], [4, 1]);
    let rest = &stored[4 + wrapped_key(stored).len()..];
    let (commitment, rest) = rest.split_at(32);
    assert_eq!(commitment, derived(key, b"tollgate commit v4"));
    let (nonce, ciphertext) = rest.split_first_chunk::<12>().expect("as it is documented");
    let associated = associated_data(4, place);
    let own = derived(key, &[b"tollgate attribute v4", &associated[..]].concat());
    let payload = Payload {
        msg: ciphertext,
        aad: &associated,
    };
    let plain = Aes256Gcm::new(&own.into())
        .decrypt(&Nonce::from(*nonce), payload)
        .expect("as it is documented");
    String::from_utf8(plain).expect("as it is documented")
}
