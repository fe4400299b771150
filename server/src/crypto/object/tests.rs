//! Golden objects, and properties of all objects: a content opens in its place, and nothing else does.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::*;
use crate::model::Value;

const WRAPPED: &[u8] = b"wrapped data key";

fn key() -> DataKey {
    let bytes: [u8; 32] = std::array::from_fn(|at| at as u8);
    DataKey::new(Zeroizing::new(bytes))
}

fn place(partition: &str) -> Place {
    let sort = Value::N("42".parse().unwrap());
    Place::new("users", &Value::S(partition.to_owned()), Some(&sort)).unwrap()
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac_of(sealer: &ObjectSealer, content: &[u8]) -> String {
    hex(&sealer.mac(&Sha256::digest(content).into()))
}

/// A stored object, and its MAC.
fn seal(content: &[u8], made: Result<(ObjectSealer, Bytes), SealError>) -> (Vec<u8>, String) {
    let (mut sealer, header) = made.unwrap();
    let mut stored = BytesMut::from(&header[..]);
    let count = segments(content.len() as u64) as usize;
    for index in 0..count {
        let end = content.len().min((index + 1) * SEGMENT_BYTES);
        let segment = &content[index * SEGMENT_BYTES..end];
        sealer.seal(segment, index + 1 == count, &mut stored).unwrap();
    }
    (stored.to_vec(), mac_of(&sealer, content))
}

fn golden(bytes: usize) -> (Vec<u8>, String) {
    let salt = std::array::from_fn(|at| 0xb0 + at as u8);
    let prefix = std::array::from_fn(|at| 0xa0 + at as u8);
    let made = ObjectSealer::with_random(&key(), WRAPPED, &place("USER#1"), "photo", salt, prefix);
    seal(&content(bytes), made)
}

fn sealed(content: &[u8]) -> Vec<u8> {
    seal(
        content,
        ObjectSealer::new(&key(), WRAPPED, &place("USER#1"), "photo"),
    )
    .0
}

/// Opens a stored object as a reader of the whole does.
fn open(stored: &[u8], place: &Place, attribute: &str) -> Result<Vec<u8>, OpenError> {
    let stored = Bytes::copy_from_slice(stored);
    let header = Header::read(&stored)?.ok_or(OpenError::Malformed)?;
    if header.wrapped_key() != WRAPPED {
        return Err(OpenError::Authentication);
    }
    let opener = ObjectOpener::new(&header, &key(), place, attribute)?;
    let rest = stored.slice(header.bytes()..);
    let count = segments(content_bytes(rest.len() as u64).ok_or(OpenError::Malformed)?);
    let mut content = BytesMut::new();
    for index in 0..count as usize {
        let end = rest.len().min((index + 1) * STORED_SEGMENT_BYTES);
        let segment = &rest[index * STORED_SEGMENT_BYTES..end];
        opener.open(index as u32, index as u64 + 1 == count, segment, &mut content)?;
    }
    Ok(content.to_vec())
}

#[test]
fn reads_and_writes_golden_objects() {
    let mut count = 0;
    for line in include_str!("../golden/object.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        let [bytes, mac, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a line has three fields")
        };
        let bytes: usize = bytes.parse().unwrap();
        let (stored, own_mac) = golden(bytes);
        match expected.strip_prefix("sha256:") {
            Some(digest) => assert_eq!(hex(&Sha256::digest(&stored)), digest, "{bytes}"),
            None => assert_eq!(hex(&stored), expected, "{bytes}"),
        }
        assert_eq!(own_mac, mac, "{bytes}");
        assert_eq!(
            open(&stored, &place("USER#1"), "photo"),
            Ok(content(bytes)),
            "{bytes}"
        );
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn a_segment_opens_in_its_place_alone() {
    let (stored, _) = golden(3 * SEGMENT_BYTES);
    let stored = Bytes::from(stored);
    let header = Header::read(&stored).unwrap().unwrap();
    let opener = ObjectOpener::new(&header, &key(), &place("USER#1"), "photo").unwrap();
    let segments: Vec<_> = stored[header.bytes()..].chunks(STORED_SEGMENT_BYTES).collect();
    assert_eq!(segments.len(), 3);
    for (at, segment) in segments.iter().enumerate() {
        for index in 0..3 {
            for is_last in [false, true] {
                let mut out = BytesMut::from(&b"before"[..]);
                let opened = opener.open(index, is_last, segment, &mut out);
                if (index as usize, is_last) == (at, at == 2) {
                    assert_eq!(opened, Ok(()));
                    assert_eq!(
                        &out[6..],
                        &content(3 * SEGMENT_BYTES)[at * SEGMENT_BYTES..(at + 1) * SEGMENT_BYTES]
                    );
                } else {
                    assert_eq!(
                        opened,
                        Err(OpenError::Authentication),
                        "{at} as {index}, {is_last}"
                    );
                    assert_eq!(&out[..], b"before");
                }
            }
        }
    }
}

#[test]
fn every_bit_of_a_header_matters() {
    let (stored, _) = golden(10);
    let header_bytes = Header::read(&Bytes::from(stored.clone()))
        .unwrap()
        .unwrap()
        .bytes();
    for at in 0..header_bytes {
        for bit in 0..8 {
            let mut changed = stored.clone();
            changed[at] ^= 1 << bit;
            assert!(
                open(&changed, &place("USER#1"), "photo").is_err(),
                "byte {at}, bit {bit}"
            );
        }
    }
    for length in 0..header_bytes {
        let cut = Bytes::copy_from_slice(&stored[..length]);
        assert!(Header::read(&cut).unwrap().is_none(), "{length}");
    }
}

#[test]
fn rejects_foreign_places_and_keys() {
    let (stored, _) = golden(100);
    assert_eq!(
        open(&stored, &place("USER#2"), "photo"),
        Err(OpenError::Authentication)
    );
    assert_eq!(
        open(&stored, &place("USER#1"), "other"),
        Err(OpenError::Authentication)
    );
    let header = Header::read(&Bytes::from(stored)).unwrap().unwrap();
    let other = DataKey::new(Zeroizing::new([9; 32]));
    let opened = ObjectOpener::new(&header, &other, &place("USER#1"), "photo");
    assert_eq!(opened.err(), Some(OpenError::Commitment));
}

#[test]
fn headers_are_checked() {
    let read = |start: &[u8]| Header::read(&Bytes::copy_from_slice(start)).err();
    assert_eq!(read(&[4]), Some(OpenError::UnknownFormat(4)));
    assert_eq!(read(&[3, 1, 0, 1]), Some(OpenError::Malformed));
    assert_eq!(read(&[3, 0, 0, 0]), Some(OpenError::Malformed));
    assert_eq!(read(&[3, 0, 0x18, 0x01]), Some(OpenError::Malformed));
    assert_eq!(read(&[3, 0, 0x18, 0x00]), None);
    for wrapped in [0, 6145] {
        let made = ObjectSealer::new(&key(), &vec![0; wrapped], &place("USER#1"), "photo");
        assert_eq!(made.err(), Some(SealError::WrappedKey));
    }
    let longest = ObjectSealer::new(&key(), &[0; 6144], &place("USER#1"), "photo");
    assert_eq!(longest.unwrap().1.len(), MAX_HEADER_BYTES);
}

#[test]
fn only_the_last_segment_is_short() {
    let made = ObjectSealer::new(&key(), WRAPPED, &place("USER#1"), "photo");
    let (mut sealer, _) = made.unwrap();
    let mut out = BytesMut::new();
    assert_eq!(sealer.seal(b"short", false, &mut out), Err(SealError::TooLong));
    assert_eq!(
        sealer.seal(&vec![0; SEGMENT_BYTES + 1], true, &mut out),
        Err(SealError::TooLong)
    );
    assert_eq!(sealer.seal(b"short", true, &mut out), Ok(()));
    assert_eq!(sealer.seal(b"", true, &mut out), Err(SealError::TooLong));
}

#[test]
fn a_mac_is_of_one_content() {
    let (stored, mac) = golden(100);
    let header = Header::read(&Bytes::from(stored)).unwrap().unwrap();
    let opener = ObjectOpener::new(&header, &key(), &place("USER#1"), "photo").unwrap();
    let mac: Vec<u8> = (0..mac.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&mac[at..at + 2], 16).unwrap())
        .collect();
    let digest = |bytes: usize| Sha256::digest(content(bytes)).into();
    assert!(opener.has_mac(&digest(100), &mac));
    assert!(!opener.has_mac(&digest(99), &mac));
    assert!(!opener.has_mac(&digest(100), &mac[..31]));
}

#[test]
fn sizes_fit_together() {
    let segment = SEGMENT_BYTES as u64;
    for content in [0, 1, segment - 1, segment, segment + 1, 7 * segment, 5 << 40] {
        let stored = stored_bytes(content);
        assert_eq!(stored, content + segments(content) * 16);
        assert_eq!(content_bytes(stored), Some(content));
    }
    for impossible in [
        0,
        15,
        STORED_SEGMENT_BYTES as u64 + 15,
        STORED_SEGMENT_BYTES as u64 + 16,
    ] {
        assert_eq!(content_bytes(impossible), None);
    }
}

/// A change to the stored bytes.
#[derive(Clone, Debug)]
enum Change {
    Cut(usize),
    Flip(usize),
    Insert(usize, u8),
    Remove(usize, usize),
    SwapSegments(usize, usize),
    RepeatSegment(usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<usize>().prop_map(Change::Cut),
        any::<usize>().prop_map(Change::Flip),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (any::<usize>(), 1..200_000_usize).prop_map(|(at, bytes)| Change::Remove(at, bytes)),
        (0..4_usize, 0..4_usize).prop_map(|(one, other)| Change::SwapSegments(one, other)),
        (0..4_usize).prop_map(Change::RepeatSegment),
    ]
}

fn changed(stored: &[u8], header_bytes: usize, change: &Change) -> Vec<u8> {
    let mut bytes = stored.to_vec();
    let (header, segments) = stored.split_at(header_bytes);
    let mut segments: Vec<&[u8]> = segments.chunks(STORED_SEGMENT_BYTES).collect();
    let count = segments.len();
    match *change {
        Change::Cut(at) => bytes.truncate(at % stored.len()),
        Change::Flip(at) => bytes[at % stored.len()] ^= 1,
        Change::Insert(at, byte) => bytes.insert(at % (stored.len() + 1), byte),
        Change::Remove(at, length) => {
            let at = at % stored.len();
            bytes.drain(at..stored.len().min(at + length));
        }
        Change::SwapSegments(one, other) => {
            segments.swap(one % count, other % count);
            bytes = [header, &segments.concat()].concat();
        }
        Change::RepeatSegment(at) => {
            segments.insert(at % count, segments[at % count]);
            bytes = [header, &segments.concat()].concat();
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn opens_what_it_sealed(bytes in prop_oneof![0..200_usize, 65_500..65_600_usize, 131_000..131_100_usize]) {
        let content = content(bytes);
        let stored = sealed(&content);
        prop_assert_eq!(open(&stored, &place("USER#1"), "photo"), Ok(content));
    }

    #[test]
    fn nothing_else_opens(bytes in 0..220_000_usize, change in any_change()) {
        let content = content(bytes);
        let stored = sealed(&content);
        let header_bytes = Header::read(&Bytes::from(stored.clone())).unwrap().unwrap().bytes();
        let other = changed(&stored, header_bytes, &change);
        prop_assert!(other == stored || open(&other, &place("USER#1"), "photo").is_err());
    }

    #[test]
    fn any_header_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = bytes;
        let _ = Header::read(&Bytes::from(bytes.clone()));
        bytes.splice(0..bytes.len().min(3), [3, 0, 0]);
        let _ = Header::read(&Bytes::from(bytes));
    }
}
