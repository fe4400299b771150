//! The stored layouts: golden values of every format, and that nothing else than what was sealed ever opens.

use std::collections::{BTreeSet, HashMap};

use aes_gcm::aead::{Aead, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const KEY: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";
const NONCE: [u8; 12] = *b"\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab";
const WRAPPED: &[u8] = b"wrapped data key";

fn key() -> DataKey {
    DataKey::new(Zeroizing::new(KEY))
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(text: &str) -> Value {
    Value::N(text.parse().unwrap())
}

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn place() -> Place {
    Place::new("users", &text("USER#1"), Some(&number("42"))).unwrap()
}

fn sealed(value: &Value) -> Value {
    seal(EncryptionFormat::Sealed, value, &key(), WRAPPED, &place(), "ssn").unwrap()
}

/// Opens as `load` does: a wrapped key that is not the one that was stored gives no data key.
fn open(stored: &Value, place: &Place, attribute: &str) -> Result<Value, OpenError> {
    let envelope = Envelope::read(stored)?;
    if envelope.wrapped_key() != WRAPPED {
        return Err(OpenError::Forged);
    }
    envelope.open(&key(), place, attribute)
}

fn golden_lines(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
}

fn unhex(hex: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn golden_value(attribute: &str) -> Value {
    let set = |members: [&str; 3]| Value::NS(members.iter().map(|member| member.parse().unwrap()).collect());
    match attribute {
        "string" => text("123-45-6789 ñ"),
        "empty_string" => text(""),
        "number" => number("-12345678901234567890.5"),
        "binary" => Value::B(bytes(&[0, 255, 1, 254])),
        "boolean" => Value::Bool(true),
        "no_sort_key" => text("alone"),
        "map" => Value::M(HashMap::from([
            (
                "a".to_owned(),
                Value::L(vec![
                    number("1.5"),
                    text("z\"\n\u{1}ñ"),
                    Value::B(bytes(&[0, 255])),
                    Value::Bool(false),
                    Value::Null,
                ]),
            ),
            ("b".to_owned(), set(["10", "2", "-3"])),
            (
                "c".to_owned(),
                Value::SS(BTreeSet::from(["y".to_owned(), "x".to_owned()])),
            ),
            (
                "d".to_owned(),
                Value::BS(BTreeSet::from([bytes(&[1]), bytes(&[0])])),
            ),
            ("e".to_owned(), Value::M(HashMap::new())),
        ])),
        other => panic!("no golden value {other}"),
    }
}

/// Of `sealed::write` and what it was before.
type Write = fn(&Value, &DataKey, &[u8], &[u8; 12], &Place, &str) -> Result<Bytes, SealError>;

fn golden_values_open(file: &'static str, write: Write) {
    let alone = Place::new("users", &Value::B(bytes(&[0, 255])), None).unwrap();
    let mut count = 0;
    for (attribute, hex) in golden_lines(file) {
        let place = if attribute == "no_sort_key" {
            &alone
        } else {
            &place()
        };
        let stored = unhex(hex);
        let value = golden_value(attribute);
        assert_eq!(
            open(&Value::B(stored.clone()), place, attribute),
            Ok(value.clone()),
            "{attribute}"
        );
        let again = write(&value, &key(), WRAPPED, &NONCE, place, attribute).unwrap();
        assert_eq!(again, stored, "{attribute} is written otherwise");
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn golden_values_of_format_2_open_forever() {
    golden_values_open(include_str!("../golden/sealed.txt"), sealed::write_id_2);
}

#[test]
fn golden_values_of_format_4_open_forever() {
    golden_values_open(include_str!("../golden/sealed_4.txt"), sealed::write);
}

/// The first golden value of format 4 with one field of its layout changed at a time; `docs/storage.md` lists them.
#[test]
fn refuse_vectors_of_format_4() {
    let (_, hex) = golden_lines(include_str!("../golden/sealed_4.txt"))
        .next()
        .unwrap();
    let whole = unhex(hex);
    let wrapped_end = 4 + WRAPPED.len();
    let flipped = |at: usize| {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        Value::B(changed.into())
    };
    let with_start = |start: &[u8]| Value::B([start, &whole[start.len()..]].concat().into());
    let without_commitment = [&whole[..wrapped_end], &whole[wrapped_end + 32..]].concat();
    let as_id_2 = [&[2], &without_commitment[1..]].concat();
    let cases = [
        ("format id 5", with_start(&[5]), OpenError::UnknownFormat(5)),
        ("format id 2", with_start(&[2]), OpenError::Forged),
        ("as id 2", Value::B(as_id_2.into()), OpenError::Forged),
        ("kind", with_start(&[4, 3]), OpenError::Forged),
        ("unknown kind", with_start(&[4, 5]), OpenError::Layout),
        ("length 0", with_start(&[4, 1, 0, 0]), OpenError::Layout),
        ("length 6145", with_start(&[4, 1, 0x18, 0x01]), OpenError::Layout),
        (
            "commitment, first byte",
            flipped(wrapped_end),
            OpenError::Commitment,
        ),
        (
            "commitment, last byte",
            flipped(wrapped_end + 31),
            OpenError::Commitment,
        ),
        ("nonce", flipped(wrapped_end + 32), OpenError::Forged),
        ("ciphertext", flipped(wrapped_end + 44), OpenError::Forged),
        ("tag", flipped(whole.len() - 1), OpenError::Forged),
        (
            "without commitment",
            Value::B(without_commitment.into()),
            OpenError::Layout,
        ),
        (
            "cut",
            Value::B(whole.slice(..wrapped_end + 32 + 12 + 15)),
            OpenError::Layout,
        ),
    ];
    for (what, stored, expected) in cases {
        let opened = Envelope::read(&stored).and_then(|envelope| envelope.open(&key(), &place(), "string"));
        let is_refused = opened == Err(expected)
            // a shorter value has its commitment elsewhere
            || (what == "without commitment" && opened == Err(OpenError::Commitment));
        assert!(is_refused, "{what}: {opened:?}");
    }
}

#[test]
fn another_data_key_is_found_before_anything_is_decrypted() {
    let envelope = Envelope::read(&sealed(&text("x"))).unwrap();
    let other = DataKey::new(Zeroizing::new([9; 32]));
    assert_eq!(envelope.open(&other, &place(), "ssn"), Err(OpenError::Commitment));
}

#[test]
fn golden_values_of_format_1_open_forever() {
    let mut count = 0;
    for (stored, plain) in golden_lines(include_str!("../golden/pydynox.txt")) {
        assert_eq!(open(&text(stored), &place(), "ssn"), Ok(text(plain)));
        assert_eq!(
            pydynox::write(&text(plain), &key(), WRAPPED, &NONCE).unwrap(),
            stored
        );
        count += 1;
    }
    assert_eq!(count, 3);
}

/// pydynox's side, from its layout alone.
mod pydynox_itself {
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
}

#[test]
fn pydynox_holds_strings_alone() {
    for value in [
        number("1"),
        Value::Null,
        Value::B(bytes(b"x")),
        Value::M(HashMap::new()),
    ] {
        let refused = seal(
            EncryptionFormat::Pydynox,
            &value,
            &key(),
            WRAPPED,
            &place(),
            "ssn",
        );
        assert_eq!(refused.err(), Some(SealError::NotAString));
    }
}

#[test]
fn a_nonce_is_never_used_twice() {
    let ciphertexts: Vec<Value> = (0..64).map(|_| sealed(&text("same"))).collect();
    for (index, ciphertext) in ciphertexts.iter().enumerate() {
        assert!(!ciphertexts[..index].contains(ciphertext));
    }
}

#[test]
fn what_is_no_ciphertext_says_so() {
    let cases = [
        (text("plain"), OpenError::NotSealed),
        (text("enc:AAAA"), OpenError::NotSealed),
        (number("1"), OpenError::NotSealed),
        (Value::M(HashMap::new()), OpenError::NotSealed),
        (Value::B(Bytes::new()), OpenError::NotSealed),
        (Value::B(bytes(&[3, 1, 0, 1])), OpenError::UnknownFormat(3)),
        (Value::B(bytes(&[1, 0, 1])), OpenError::UnknownFormat(1)),
        (Value::B(bytes(&[2])), OpenError::Layout),
        (Value::B(bytes(&[2, 0, 0, 1])), OpenError::Layout),
        (Value::B(bytes(&[4])), OpenError::Layout),
        (Value::B(bytes(&[4, 5, 0, 1])), OpenError::Layout),
        (Value::B(bytes(&[2, 5, 0, 1])), OpenError::Layout),
        (text("ENC:"), OpenError::Layout),
        (text("ENC:A"), OpenError::Layout),
        (text("ENC:!!!!"), OpenError::Layout),
        (text("ENC:Ag=="), OpenError::UnknownFormat(2)),
        (text("ENC:AQ=="), OpenError::Layout),
    ];
    for (index, (stored, expected)) in cases.iter().enumerate() {
        assert_eq!(Envelope::read(stored).err(), Some(*expected), "case {index}");
    }
}

#[test]
fn lengths_are_checked_before_they_are_believed() {
    for id in [2, 4] {
        let mut claims = vec![id, 1, 0xff, 0xff];
        claims.resize(100_000, 0);
        assert_eq!(
            Envelope::read(&Value::B(claims.into())).err(),
            Some(OpenError::Layout)
        );
        let none = [&[id, 1, 0, 0][..], &[0; 100]].concat();
        assert_eq!(
            Envelope::read(&Value::B(none.into())).err(),
            Some(OpenError::Layout)
        );
    }
    for wrapped in [&[][..], &[0; MAX_WRAPPED_KEY_BYTES + 1]] {
        let refused = seal(
            EncryptionFormat::Sealed,
            &text("x"),
            &key(),
            wrapped,
            &place(),
            "ssn",
        );
        assert_eq!(refused.err(), Some(SealError::WrappedKey));
    }
}

/// A list in a list in a list…, so many levels in all.
fn nested(levels: usize) -> Value {
    (1..levels).fold(Value::Bool(true), |inner, _| Value::L(vec![inner]))
}

#[test]
fn depth_is_bounded_on_both_ways() {
    let deepest = nested(MAX_ENCRYPTED_DEPTH);
    assert_eq!(open(&sealed(&deepest), &place(), "ssn"), Ok(deepest));
    let refused = seal(
        EncryptionFormat::Sealed,
        &nested(MAX_ENCRYPTED_DEPTH + 1),
        &key(),
        WRAPPED,
        &place(),
        "ssn",
    );
    assert_eq!(refused.err(), Some(SealError::TooDeep));
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
fn objects_are_sealed_as_pointers_alone() {
    let object = Value::L(vec![Value::Object(Box::default())]);
    let refused = seal(
        EncryptionFormat::Sealed,
        &object,
        &key(),
        WRAPPED,
        &place(),
        "ssn",
    );
    assert_eq!(refused.err(), Some(SealError::Object));
}

#[test]
fn only_the_one_form_of_json_is_read() {
    let wrong = [
        "",
        "null",
        "true",
        r#"{"S":"x"}"#,
        r#"{"N":"1"}"#,
        r#"{"BOOL":"true"}"#,
        r#"{"NULL":false}"#,
        r#"{"BOOL":true} "#,
        r#"{"BOOL": true}"#,
        r#"{"BOOL":true,"BOOL":true}"#,
        r#"{"BOOL":true,"NULL":true}"#,
        r#"{"XX":[]}"#,
        r#"{"OBJECT":{}}"#,
        r#"{"L":[{"N":"1.0"}]}"#,
        r#"{"L":[{"N":1}]}"#,
        r#"{"L":[{"B":"AA"}]}"#,
        r#"{"L":[{"S":"\u0041"}]}"#,
        r#"{"M":{"b":{"NULL":true},"a":{"NULL":true}}}"#,
        r#"{"M":{"a":{"NULL":true},"a":{"NULL":true}}}"#,
        r#"{"SS":[]}"#,
        r#"{"SS":["a","a"]}"#,
        r#"{"SS":["b","a"]}"#,
        r#"{"NS":["10","2"]}"#,
        r#"{"BOOL":true}x"#,
    ];
    for json in wrong {
        assert_eq!(json::read(json.as_bytes()), Err(OpenError::Plaintext), "{json}");
    }
    assert_eq!(
        json::read(br#"{"NS":["2","10"]}"#),
        Ok(Value::NS(["2", "10"].map(|n| n.parse().unwrap()).into()))
    );
}

#[test]
fn a_plaintext_must_be_of_its_kind() {
    let of = |kind, plain: &[u8]| plaintext::read(kind, Zeroizing::new(plain.to_vec()));
    assert_eq!(of(Kind::S, &[0xff]), Err(OpenError::Plaintext));
    assert_eq!(of(Kind::N, b"1.0"), Err(OpenError::Plaintext));
    assert_eq!(of(Kind::N, b"one"), Err(OpenError::Plaintext));
    assert_eq!(of(Kind::N, &[0xff]), Err(OpenError::Plaintext));
}

#[test]
fn the_context_names_the_table_for_sealed_alone() {
    let own = BTreeMap::from([("app".to_owned(), "billing".to_owned())]);
    let mut with_table = own.clone();
    with_table.insert("tollgate:table".to_owned(), "users".to_owned());
    assert_eq!(context(EncryptionFormat::Sealed, &own, "users"), with_table);
    assert_eq!(context(EncryptionFormat::Pydynox, &own, "users"), own);
}

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
        _ => panic!("a ciphertext is B or S"),
    }
}

/// The stored value with other bytes; none where they are no text and it was.
fn with_bytes(stored: &Value, changed: Vec<u8>) -> Option<Value> {
    match stored {
        Value::B(_) => Some(Value::B(changed.into())),
        _ => String::from_utf8(changed).ok().map(Value::S),
    }
}

proptest! {
    #[test]
    fn any_value_comes_back(value in any_value()) {
        prop_assert_eq!(open(&sealed(&value), &place(), "ssn"), Ok(value));
    }

    #[test]
    fn equal_values_have_one_plaintext(value in any_value()) {
        let again = match &value {
            // another map, with its own order of iteration
            Value::M(fields) => Value::M(fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
            other => other.clone(),
        };
        let write = |value: &Value| sealed::write(value, &key(), WRAPPED, &NONCE, &place(), "ssn").unwrap();
        prop_assert_eq!(write(&value), write(&again));
    }

    #[test]
    fn pydynox_and_this_program_read_each_other(plain: String, nonce: [u8; 12]) {
        let theirs = text(&pydynox_itself::encrypt(&plain, &nonce));
        prop_assert_eq!(open(&theirs, &place(), "ssn"), Ok(text(&plain)));
        let ours = seal(EncryptionFormat::Pydynox, &text(&plain), &key(), WRAPPED, &place(), "ssn").unwrap();
        let Value::S(ours) = ours else { panic!("pydynox stores strings") };
        prop_assert_eq!(pydynox_itself::decrypt(&ours), plain);
    }

    #[test]
    fn no_flipped_byte_opens(value in any_value(), at: prop::sample::Index, flip in 1..=255_u8, plain: String) {
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
    fn nothing_cut_or_appended_opens(value in any_value(), at: prop::sample::Index, more in "[A-Za-z0-9=]{1,8}", plain: String) {
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
    fn no_other_place_opens(value in any_value(), partition: String, sort in any_number(), attribute: String) {
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
    fn no_other_key_opens(value in any_value(), other: [u8; 32]) {
        let envelope = Envelope::read(&sealed(&value)).unwrap();
        let opened = envelope.open(&DataKey::new(Zeroizing::new(other)), &place(), "ssn");
        prop_assert_eq!(opened.is_ok(), other == KEY);
    }

    #[test]
    fn any_bytes_are_read_or_refused(noise: Vec<u8>, tail: Vec<u8>, letters in "ENC:[A-Za-z0-9+/]*={0,2}") {
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
    fn json_that_is_read_is_the_one_that_is_written(value in any_value(), at: prop::sample::Index, letter in "[ -~]") {
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
