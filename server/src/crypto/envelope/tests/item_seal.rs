//! Seals of items: golden ones, changed ones, and what each covers.

use proptest::prelude::*;

use super::super::item_seal::*;
use super::*;
use crate::model::Coverage;

const CIPHERTEXT: &[u8] = b"\x04\x01ciphertext";

fn write_id() -> WriteId {
    WriteId::of(*b"\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe\xbf")
}

/// What the golden seals cover.
fn values(name: &str) -> Vec<(&'static str, Value)> {
    let ciphertext = ("ssn", Value::B(bytes(CIPHERTEXT)));
    match name {
        "sealed" | "no_sort_key" => vec![ciphertext],
        "no_values" => Vec::new(),
        "all" => vec![
            ("pk", text("USER#1")),
            ("sk", number("42")),
            ciphertext,
            ("name", text("Ada ñ")),
            ("age", number("36")),
            ("active", Value::Bool(true)),
            ("gone", Value::Null),
            ("é", text("")),
        ],
        other => panic!("no golden seal {other}"),
    }
}

fn covered<'a>(values: &'a [(&str, Value)]) -> Covered<'a> {
    values.iter().map(|(name, value)| (*name, value)).collect()
}

fn seal_of(coverage: Coverage, values: &[(&str, Value)]) -> Value {
    seal_item(coverage, &key(), WRAPPED, write_id(), &place(), &covered(values)).unwrap()
}

fn verify(seal: &Value, place: &Place, values: &[(&str, Value)]) -> Result<(), OpenError> {
    let seal = ItemSeal::read(seal)?;
    if seal.wrapped_key() != WRAPPED {
        return Err(OpenError::Authentication);
    }
    let text = seal.text(place, &covered(values))?;
    seal.verify(&key(), &text)
}

fn golden_seals() -> Vec<(&'static str, Bytes)> {
    let lines = include_str!("../../golden/item_seal.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(' ').unwrap();
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (name, (0..hex.len()).step_by(2).map(byte).collect())
        })
        .collect()
}

#[test]
fn reads_and_writes_golden_seals() {
    let without_sort_key = Place::new("users", &Value::B(bytes(&[0, 255])), None).unwrap();
    let golden = golden_seals();
    assert_eq!(golden.len(), 4);
    for (name, stored) in golden {
        let place = match name {
            "no_sort_key" => &without_sort_key,
            _ => &place(),
        };
        let coverage = match name {
            "all" => Coverage::All,
            _ => Coverage::Sealed,
        };
        let values = values(name);
        assert_eq!(
            verify(&Value::B(stored.clone()), place, &values),
            Ok(()),
            "{name}"
        );
        let again = seal_item(coverage, &key(), WRAPPED, write_id(), place, &covered(&values));
        assert_eq!(again, Ok(Value::B(stored)), "{name} is written differently");
    }
}

/// A golden seal with one field of its layout changed at a time; `docs/storage.md` lists them.
#[test]
fn rejects_the_documented_changes_of_format_5() {
    let (_, whole) = golden_seals().remove(0);
    let wrapped_end = 4 + WRAPPED.len();
    let flipped = |at: usize| {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        changed
    };
    let with_start = |start: &[u8]| [start, &whole[start.len()..]].concat();
    let cases = [
        ("format id 4", with_start(&[4]), OpenError::UnknownFormat(4)),
        ("coverage", with_start(&[5, 2]), OpenError::Authentication),
        ("unknown coverage", with_start(&[5, 3]), OpenError::Malformed),
        ("length 0", with_start(&[5, 1, 0, 0]), OpenError::Malformed),
        (
            "length 6145",
            with_start(&[5, 1, 0x18, 0x01]),
            OpenError::Malformed,
        ),
        ("wrapped key", flipped(4), OpenError::Authentication),
        ("write id", flipped(wrapped_end), OpenError::Authentication),
        (
            "code, first byte",
            flipped(wrapped_end + 16),
            OpenError::Authentication,
        ),
        (
            "code, last byte",
            flipped(whole.len() - 1),
            OpenError::Authentication,
        ),
        ("cut", whole[..whole.len() - 1].to_vec(), OpenError::Malformed),
        ("longer", [&whole[..], &[0]].concat(), OpenError::Malformed),
        ("empty", Vec::new(), OpenError::Malformed),
    ];
    for (what, stored, expected) in cases {
        let verified = verify(&Value::B(stored.into()), &place(), &values("sealed"));
        assert_eq!(verified, Err(expected), "{what}");
    }
    for other in [Value::Null, text("seal"), Value::M([].into())] {
        assert_eq!(verify(&other, &place(), &[]), Err(OpenError::NotEncrypted));
    }
}

#[test]
fn every_change_of_an_item_is_seen() {
    let whole = values("all");
    let seal = seal_of(Coverage::All, &whole);
    for index in 0..whole.len() {
        let mut removed = whole.clone();
        let (name, _) = removed.remove(index);
        assert_eq!(
            verify(&seal, &place(), &removed),
            Err(OpenError::Authentication),
            "{name}"
        );
        for value in [Value::Null, text("other"), number("7"), Value::B(bytes(b"Ada"))] {
            let mut changed = whole.clone();
            if changed[index].1 == value {
                continue;
            }
            changed[index].1 = value;
            assert_eq!(
                verify(&seal, &place(), &changed),
                Err(OpenError::Authentication),
                "{name}"
            );
        }
    }
    let mut added = whole.clone();
    added.push(("zip", Value::Null));
    assert_eq!(verify(&seal, &place(), &added), Err(OpenError::Authentication));
    let elsewhere = Place::new("users", &text("USER#2"), Some(&number("42"))).unwrap();
    assert_eq!(verify(&seal, &elsewhere, &whole), Err(OpenError::Authentication));
    let other = DataKey::new(Zeroizing::new([9; 32]));
    let parsed = ItemSeal::read(&seal).unwrap();
    let text = parsed.text(&place(), &covered(&whole)).unwrap();
    assert_eq!(parsed.verify(&other, &text), Err(OpenError::Authentication));
}

#[test]
fn values_of_two_types_and_names_are_distinct() {
    let seal = seal_of(Coverage::All, &[("a", text("1"))]);
    for other in [("a", number("1")), ("a", Value::B(bytes(b"1"))), ("b", text("1"))] {
        assert_eq!(verify(&seal, &place(), &[other]), Err(OpenError::Authentication));
    }
    let one = seal_of(Coverage::All, &[("a", text("")), ("b", text("x"))]);
    assert!(verify(&one, &place(), &[("a", text("x")), ("b", text(""))]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(stored in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ItemSeal::read(&Value::B(stored.into()));
    }

    #[test]
    fn any_flipped_bit_is_detected(at in 0_usize..10_000, bit in 0_u8..8) {
        let whole = values("all");
        let Value::B(seal) = seal_of(Coverage::All, &whole) else { unreachable!() };
        let mut changed = seal.to_vec();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        prop_assert!(verify(&Value::B(changed.into()), &place(), &whole).is_err());
    }
}
