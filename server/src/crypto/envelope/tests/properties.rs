//! Properties of all values: they are decrypted in their place, and nothing else is.

use proptest::prelude::*;

use super::super::json;
use super::*;

fn any_number() -> impl Strategy<Value = crate::model::Number> {
    "-?[0-9]{1,18}(\\.[0-9]{1,18})?".prop_map(|text| text.parse().unwrap())
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::S),
        any_number().prop_map(Value::N),
        any_bytes().prop_map(Value::B),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        proptest::collection::btree_set(any::<String>(), 1..4).prop_map(Value::SS),
        proptest::collection::btree_set(any_number(), 1..4).prop_map(Value::NS),
        proptest::collection::btree_set(any_bytes(), 1..4).prop_map(Value::BS),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::L),
            proptest::collection::hash_map(any::<String>(), inner, 0..5).prop_map(Value::M),
        ]
    })
}

fn stored_bytes(stored: &Value) -> &[u8] {
    match stored {
        Value::B(bytes) => bytes,
        Value::S(text) => text.as_bytes(),
        other => panic!("a ciphertext is B or S, not {}", other.type_name()),
    }
}

/// The stored value with other bytes; `None` if it is a string and they are not UTF-8.
fn with_bytes(stored: &Value, changed: Vec<u8>) -> Option<Value> {
    match stored {
        Value::B(_) => Some(Value::B(changed.into())),
        _ => String::from_utf8(changed).ok().map(Value::S),
    }
}

proptest! {
    #[test]
    fn decrypts_what_it_encrypted(value in any_value()) {
        prop_assert_eq!(open(&sealed(&value), &place(), "ssn"), Ok(value));
    }

    #[test]
    fn equal_values_have_equal_plaintexts(value in any_value()) {
        let again = match &value {
            // another map, with a different order of iteration
            Value::M(fields) => Value::M(fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
            other => other.clone(),
        };
        let write = |value: &Value| sealed::write(value, &key(), WRAPPED, &NONCE, &place(), "ssn").unwrap();
        prop_assert_eq!(write(&value), write(&again));
    }

    #[test]
    fn pydynox_and_this_program_read_each_other(plain: String, nonce: [u8; 12]) {
        let theirs = text(&super::pydynox::encrypt(&plain, &nonce));
        prop_assert_eq!(open(&theirs, &place(), "ssn"), Ok(text(&plain)));
        let ours = seal(EncryptionFormat::Pydynox, &text(&plain), &key(), WRAPPED, &place(), "ssn").unwrap();
        let Value::S(ours) = ours else { panic!("pydynox stores strings") };
        prop_assert_eq!(super::pydynox::decrypt(&ours), plain);
    }

    #[test]
    fn rejects_a_changed_byte(value in any_value(), at: prop::sample::Index, flip in 1..=255_u8, plain: String) {
        let pydynox = seal(EncryptionFormat::Pydynox, &text(&plain), &key(), WRAPPED, &place(), "ssn").unwrap();
        for stored in [sealed(&value), pydynox] {
            let mut changed = stored_bytes(&stored).to_vec();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            if let Some(changed) = with_bytes(&stored, changed) {
                prop_assert!(open(&changed, &place(), "ssn").is_err());
            }
        }
    }

    #[test]
    fn rejects_truncated_and_extended_values(value in any_value(), at: prop::sample::Index, more in "[A-Za-z0-9=]{1,8}", plain: String) {
        let pydynox = seal(EncryptionFormat::Pydynox, &text(&plain), &key(), WRAPPED, &place(), "ssn").unwrap();
        for stored in [sealed(&value), pydynox] {
            let whole = stored_bytes(&stored);
            let cut = with_bytes(&stored, whole[..at.index(whole.len())].to_vec()).unwrap();
            prop_assert!(open(&cut, &place(), "ssn").is_err());
            let longer = with_bytes(&stored, [whole, more.as_bytes()].concat()).unwrap();
            prop_assert!(open(&longer, &place(), "ssn").is_err());
        }
    }

    #[test]
    fn rejects_values_of_another_place(value in any_value(), partition: String, sort in any_number(), attribute: String) {
        let stored = sealed(&value);
        let home = (text("USER#1"), number("42"));
        let there = (text(&partition), Value::N(sort));
        let places = [
            (Place::new("users2", &home.0, Some(&home.1)).unwrap(), "ssn", false),
            (Place::new("users", &there.0, Some(&home.1)).unwrap(), "ssn", there.0 == home.0),
            (Place::new("users", &home.0, Some(&there.1)).unwrap(), "ssn", there.1 == home.1),
            (Place::new("users", &home.0, Some(&text("42"))).unwrap(), "ssn", false),
            (Place::new("users", &home.0, None).unwrap(), "ssn", false),
            (place(), attribute.as_str(), attribute == "ssn"),
        ];
        for (place, attribute, is_home) in &places {
            prop_assert_eq!(open(&stored, place, attribute).is_ok(), *is_home);
        }
    }

    #[test]
    fn rejects_another_key(value in any_value(), other: [u8; 32]) {
        let envelope = Envelope::read(&sealed(&value)).unwrap();
        let opened = envelope.open(&DataKey::new(Zeroizing::new(other)), &place(), "ssn");
        prop_assert_eq!(opened.is_ok(), other == KEY);
    }

    #[test]
    fn any_bytes_are_read_or_rejected(noise: Vec<u8>, tail: Vec<u8>, letters in "ENC:[A-Za-z0-9+/]*={0,2}") {
        prop_assert!(open(&Value::B(noise.clone().into()), &place(), "ssn").is_err());
        for id in [2, 4] {
            let plausible = [&[id, 1, 0, 16][..], WRAPPED, &tail].concat();
            prop_assert!(open(&Value::B(plausible.into()), &place(), "ssn").is_err());
        }
        prop_assert!(open(&text(&letters), &place(), "ssn").is_err());
        let _ = json::read(&noise);
        let _ = open(&text(&String::from_utf8_lossy(&noise)), &place(), "ssn");
    }

    #[test]
    fn accepted_json_is_written_identically(value in any_value(), at: prop::sample::Index, letter in "[ -~]") {
        let value = Value::L(vec![value]);
        let mut changed = Vec::new();
        json::write(&value, &mut changed).unwrap();
        prop_assert_eq!(json::length(&value), Ok(changed.len()));
        let at = at.index(changed.len());
        changed[at] = letter.as_bytes()[0];
        if let Ok(read) = json::read(&changed) {
            let mut again = Vec::new();
            json::write(&read, &mut again).unwrap();
            prop_assert_eq!(again, changed);
        }
    }
}
