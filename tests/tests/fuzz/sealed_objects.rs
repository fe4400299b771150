//! Encrypted objects: they open as what was sealed, and no edited, cut or reordered one does.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tollgate::crypto::DataKey;
use tollgate::crypto::envelope::Place;
use tollgate::crypto::object::{
    Header, ObjectOpener, ObjectSealer, SEGMENT_BYTES, STORED_SEGMENT_BYTES, content_bytes, segments,
    stored_bytes,
};
use tollgate::model::Value;

use super::Outcome;
use super::input::Input;
use super::mutation;

const WRAPPED: &[u8] = b"wrapped key";
const ATTRIBUTE: &str = "file";
/// The most segments of a content in this target.
const MAX_SEGMENTS: usize = 3;

static DATA_KEY: LazyLock<DataKey> = LazyLock::new(|| DataKey::new([7; 32].into()));
static PLACE: LazyLock<Place> =
    LazyLock::new(|| Place::new("orders", &Value::S("CUSTOMER#1".to_owned()), None).expect("a key"));

/// Encrypted objects.
pub(crate) fn sealed_objects(input: &mut Input) -> Outcome {
    let content = content(input);
    input.note(|| format!("{} bytes", content.len()));
    let (stored, mac) = seal(&content);
    let (opened, opener) = open(&stored).expect("what was sealed");
    assert!(opened == content);
    let digest: [u8; 32] = Sha256::digest(&opened).into();
    assert!(opener.has_mac(&digest, &mac));
    let edited = edited(input, &stored);
    input.note(|| format!("{} of {} bytes", edited.len(), stored.len()));
    match open(&edited) {
        Some(_) => {
            assert!(
                is_other_key(&edited) || edited == stored,
                "an edited object opens"
            );
            Outcome::Accepted
        }
        None => Outcome::Refused,
    }
}

/// Whole segments, and a few bytes more or less.
fn content(input: &mut Input) -> Vec<u8> {
    let whole = input.below(MAX_SEGMENTS) * SEGMENT_BYTES;
    let bytes = match input.below(4) {
        0 => whole,
        1 => whole + 1 + input.below(20),
        2 => whole.saturating_sub(1 + input.below(20)),
        _ => whole + input.below(SEGMENT_BYTES),
    };
    let start = input.below(251);
    (0..bytes).map(|at| ((start + at) % 251) as u8).collect()
}

/// The stored object, and the MAC of its pointer.
fn seal(content: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let sealed = ObjectSealer::new(&DATA_KEY, WRAPPED, &PLACE, ATTRIBUTE);
    let (mut sealer, header) = sealed.expect("a sealer");
    let mut stored = BytesMut::from(&header[..]);
    let count = usize::try_from(segments(content.len() as u64)).expect("a few");
    for index in 0..count {
        let from = index * SEGMENT_BYTES;
        let segment = &content[from..content.len().min(from + SEGMENT_BYTES)];
        let is_last = index + 1 == count;
        sealer.seal(segment, is_last, &mut stored).expect("a segment");
    }
    assert!(
        sealer.seal(&[], true, &mut BytesMut::new()).is_err(),
        "after the last one"
    );
    let segments_bytes = (stored.len() - header.len()) as u64;
    assert_eq!(segments_bytes, stored_bytes(content.len() as u64));
    assert_eq!(content_bytes(segments_bytes), Some(content.len() as u64));
    let digest: [u8; 32] = Sha256::digest(content).into();
    (stored.to_vec(), sealer.mac(&digest))
}

/// The content; `None` if anything of it is not authentic.
fn open(stored: &[u8]) -> Option<(Vec<u8>, ObjectOpener)> {
    let header = Header::read(&Bytes::copy_from_slice(stored)).ok()??;
    let rest = stored.get(header.bytes()..)?;
    let count = segments(content_bytes(rest.len() as u64)?);
    let opener = ObjectOpener::new(&header, &DATA_KEY, &PLACE, ATTRIBUTE).ok()?;
    let mut content = BytesMut::new();
    for (index, segment) in (0_u32..).zip(rest.chunks(STORED_SEGMENT_BYTES)) {
        let is_last = u64::from(index) + 1 == count;
        let before = content.len();
        if opener.open(index, is_last, segment, &mut content).is_err() {
            assert_eq!(content.len(), before, "nothing of it is returned");
            return None;
        }
    }
    Some((content.to_vec(), opener))
}

/// The wrapped key is authenticated by KMS alone.
fn is_other_key(edited: &[u8]) -> bool {
    let header = Header::read(&Bytes::copy_from_slice(edited));
    header.is_ok_and(|header| header.is_some_and(|header| header.wrapped_key() != WRAPPED))
}

fn edited(input: &mut Input, stored: &[u8]) -> Vec<u8> {
    let header = Header::read(&Bytes::copy_from_slice(stored));
    let header_bytes = header.ok().flatten().map_or(0, |header| header.bytes());
    let (header, rest) = stored.split_at(header_bytes);
    let mut segments: Vec<&[u8]> = rest.chunks(STORED_SEGMENT_BYTES).collect();
    let (one, other) = (input.below(segments.len()), input.below(segments.len()));
    match input.below(8) {
        0 => segments.swap(one, other),
        1 => segments.insert(one, segments[other]),
        2 => drop(segments.remove(one)),
        3 => segments.truncate(one),
        4 => {
            // only what comes before the content
            let header = mutation::bytes(input, header.to_vec());
            return [&header, rest].concat();
        }
        5 => return mutation::noise(input, 200),
        _ => return mutation::bytes(input, stored.to_vec()),
    }
    [header, &segments.concat()].concat()
}
