//! Stored values that are not ciphertexts, and values that cannot be encrypted.

use std::collections::HashMap;

use super::super::json;
use super::super::plaintext::{self, Kind};
use super::*;
use crate::model::limits::{MAX_ENCRYPTED_DEPTH, MAX_WRAPPED_KEY_BYTES};

#[test]
fn rejects_another_data_key_by_its_commitment() {
    let envelope = Envelope::read(&sealed(&text("x"))).unwrap();
    let other = DataKey::new(Zeroizing::new([9; 32]));
    assert_eq!(envelope.open(&other, &place(), "ssn"), Err(OpenError::Commitment));
}

#[test]
fn nonces_are_not_reused() {
    let ciphertexts: Vec<Value> = (0..64).map(|_| sealed(&text("same"))).collect();
    for (index, ciphertext) in ciphertexts.iter().enumerate() {
        assert!(!ciphertexts[..index].contains(ciphertext));
    }
}

#[test]
fn rejects_malformed_ciphertexts() {
    let cases = [
        (text("plain"), OpenError::NotEncrypted),
        (text("enc:AAAA"), OpenError::NotEncrypted),
        (number("1"), OpenError::NotEncrypted),
        (Value::M(HashMap::new()), OpenError::NotEncrypted),
        (Value::B(Bytes::new()), OpenError::NotEncrypted),
        (Value::B(bytes(&[3, 1, 0, 1])), OpenError::UnknownFormat(3)),
        (Value::B(bytes(&[1, 0, 1])), OpenError::UnknownFormat(1)),
        (Value::B(bytes(&[2])), OpenError::Malformed),
        (Value::B(bytes(&[2, 0, 0, 1])), OpenError::Malformed),
        (Value::B(bytes(&[4])), OpenError::Malformed),
        (Value::B(bytes(&[4, 5, 0, 1])), OpenError::Malformed),
        (Value::B(bytes(&[2, 5, 0, 1])), OpenError::Malformed),
        (text("ENC:"), OpenError::Malformed),
        (text("ENC:A"), OpenError::Malformed),
        (text("ENC:!!!!"), OpenError::Malformed),
        (text("ENC:Ag=="), OpenError::UnknownFormat(2)),
        (text("ENC:AQ=="), OpenError::Malformed),
    ];
    for (index, (stored, expected)) in cases.iter().enumerate() {
        assert_eq!(Envelope::read(stored).err(), Some(*expected), "case {index}");
    }
}

#[test]
fn checks_lengths_before_use() {
    for id in [2, 4] {
        let mut claims = vec![id, 1, 0xff, 0xff];
        claims.resize(100_000, 0);
        assert_eq!(
            Envelope::read(&Value::B(claims.into())).err(),
            Some(OpenError::Malformed)
        );
        let none = [&[id, 1, 0, 0][..], &[0; 100]].concat();
        assert_eq!(
            Envelope::read(&Value::B(none.into())).err(),
            Some(OpenError::Malformed)
        );
    }
    for wrapped in [&[][..], &[0; MAX_WRAPPED_KEY_BYTES + 1]] {
        let rejected = seal(
            EncryptionFormat::Sealed,
            &text("x"),
            &key(),
            wrapped,
            &place(),
            "ssn",
        );
        assert_eq!(rejected.err(), Some(SealError::WrappedKey));
    }
}

/// Nested lists with this many levels.
fn nested(levels: usize) -> Value {
    (1..levels).fold(Value::Bool(true), |inner, _| Value::L(vec![inner]))
}

#[test]
fn bounds_depth_when_writing_and_reading() {
    let deepest = nested(MAX_ENCRYPTED_DEPTH);
    assert_eq!(open(&sealed(&deepest), &place(), "ssn"), Ok(deepest));
    let rejected = seal(
        EncryptionFormat::Sealed,
        &nested(MAX_ENCRYPTED_DEPTH + 1),
        &key(),
        WRAPPED,
        &place(),
        "ssn",
    );
    assert_eq!(rejected.err(), Some(SealError::TooDeep));
    for levels in [MAX_ENCRYPTED_DEPTH + 1, 1000, 100_000] {
        let deeper = format!(
            "{}{}{}",
            r#"{"L":["#.repeat(levels - 1),
            r#"{"BOOL":true}"#,
            "]}".repeat(levels - 1)
        );
        assert_eq!(
            json::read(deeper.as_bytes()),
            Err(OpenError::Plaintext),
            "{levels}"
        );
    }
}

#[test]
fn rejects_objects() {
    let object = Value::L(vec![Value::Object(Box::default())]);
    let rejected = seal(
        EncryptionFormat::Sealed,
        &object,
        &key(),
        WRAPPED,
        &place(),
        "ssn",
    );
    assert_eq!(rejected.err(), Some(SealError::Object));
}

#[test]
fn rejects_a_plaintext_of_another_kind() {
    let read = |kind, plain: &[u8]| plaintext::read(kind, Zeroizing::new(plain.to_vec()));
    assert_eq!(read(Kind::S, &[0xff]), Err(OpenError::Plaintext));
    assert_eq!(read(Kind::N, b"1.0"), Err(OpenError::Plaintext));
    assert_eq!(read(Kind::N, b"one"), Err(OpenError::Plaintext));
    assert_eq!(read(Kind::N, &[0xff]), Err(OpenError::Plaintext));
}

#[test]
fn only_the_context_of_sealed_names_the_table() {
    let own = BTreeMap::from([("app".to_owned(), "billing".to_owned())]);
    let mut with_table = own.clone();
    with_table.insert("tollgate:table".to_owned(), "users".to_owned());
    assert_eq!(context(EncryptionFormat::Sealed, &own, "users"), with_table);
    assert_eq!(context(EncryptionFormat::Pydynox, &own, "users"), own);
}
