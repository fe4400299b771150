//! How the bytes of a content are stored. An encoder turns a caller's pieces into stored ones, one after the other: it
//! compresses, then encrypts, as far as the attribute says so.

use bytes::{Bytes, BytesMut};

pub use super::compressing::EncodeError;

use super::compressing::Compressing;
use super::key;
use crate::crypto::object::{self, MAX_HEADER_BYTES, ObjectSealer, SEGMENT_BYTES};
use crate::item::pointer::Pointer;
use crate::model::Compression;

/// An encoder of one content; by default, the content is stored as it is.
#[derive(Default)]
pub struct Encoder {
    compressing: Option<Compressing>,
    sealing: Option<Segmenting>,
}

/// Encrypts a content in segments.
struct Segmenting {
    sealer: ObjectSealer,
    /// What is sent first.
    header: Bytes,
    /// The content after the last segment: one segment at most.
    pending: Vec<u8>,
}

impl Encoder {
    /// Compresses the content, if that pays.
    pub fn compress(&mut self, options: Compression) -> Result<(), EncodeError> {
        self.compressing = Some(Compressing::new(options)?);
        Ok(())
    }

    /// Encrypts the content, with what its object begins with.
    pub fn seal(&mut self, sealer: ObjectSealer, header: Bytes) {
        self.sealing = Some(Segmenting {
            sealer,
            header,
            pending: Vec::new(),
        });
    }

    /// Whether the content is stored as it is.
    pub(super) fn is_plain(&self) -> bool {
        self.compressing.is_none() && self.sealing.is_none()
    }

    /// The stored form of the next piece of the content; may keep some of it for later.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<Vec<Bytes>, EncodeError> {
        let pieces = match &mut self.compressing {
            Some(compressing) => compressing.push(piece)?,
            None => vec![piece],
        };
        match &mut self.sealing {
            Some(sealing) => sealing.push(&pieces),
            None => Ok(pieces),
        }
    }

    /// What is left of the stored form at the end of the content.
    pub(super) fn finish(&mut self) -> Result<Vec<Bytes>, EncodeError> {
        let pieces = match &mut self.compressing {
            Some(compressing) => compressing.finish()?,
            None => Vec::new(),
        };
        match &mut self.sealing {
            Some(sealing) => sealing.finish(&pieces),
            None => Ok(pieces),
        }
    }

    /// The most bytes that the stored form of a content of this size has.
    pub(super) fn stored_bytes(&self, plain_bytes: u64) -> u64 {
        let compressed_bytes = match self.compressing {
            // a piece that does not compress costs a few bytes
            Some(_) => plain_bytes
                .saturating_add(plain_bytes / 1024)
                .saturating_add(1024),
            None => plain_bytes,
        };
        match self.sealing {
            Some(_) => object::stored_bytes(compressed_bytes).saturating_add(MAX_HEADER_BYTES as u64),
            None => compressed_bytes,
        }
    }

    /// Describes the stored form in the pointer to it. `sha256` is that of the content, in lower-case hex.
    pub(super) fn describe(&self, pointer: &mut Pointer, sha256: String) {
        pointer.encoding = self.compressing.as_ref().and_then(Compressing::algorithm);
        match (&self.sealing, key::unhex(&sha256)) {
            (Some(sealing), Some(digest)) => pointer.mac = key::hex(&sealing.sealer.mac(&digest)),
            (_, _) => pointer.sha256 = sha256,
        }
    }
}

impl Segmenting {
    fn push(&mut self, pieces: &[Bytes]) -> Result<Vec<Bytes>, EncodeError> {
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        let mut out = BytesMut::with_capacity(bytes + bytes / 1024 + 64);
        for piece in pieces {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                if self.pending.len() == SEGMENT_BYTES {
                    self.seal_pending(false, &mut out)?;
                }
                // the last segment is not known before the end
                if self.pending.is_empty() && rest.len() > SEGMENT_BYTES {
                    let (segment, others) = rest.split_at(SEGMENT_BYTES);
                    self.sealer
                        .seal(segment, false, &mut out)
                        .map_err(|_| EncodeError)?;
                    rest = others;
                    continue;
                }
                let taken = rest.len().min(SEGMENT_BYTES - self.pending.len());
                self.pending.extend_from_slice(&rest[..taken]);
                rest = &rest[taken..];
            }
        }
        Ok(self.after_header(out))
    }

    fn finish(&mut self, pieces: &[Bytes]) -> Result<Vec<Bytes>, EncodeError> {
        let mut stored = self.push(pieces)?;
        let mut out = BytesMut::new();
        self.seal_pending(true, &mut out)?;
        stored.extend(self.after_header(out));
        Ok(stored)
    }

    fn seal_pending(&mut self, is_last: bool, out: &mut BytesMut) -> Result<(), EncodeError> {
        let sealed = self.sealer.seal(&self.pending, is_last, out);
        self.pending.clear();
        sealed.map_err(|_| EncodeError)
    }

    fn after_header(&mut self, out: BytesMut) -> Vec<Bytes> {
        let header = std::mem::take(&mut self.header);
        [header, out.freeze()]
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::super::inflating::Inflating;
    use super::*;
    use crate::crypto::DataKey;
    use crate::crypto::envelope::Place;
    use crate::crypto::object::{Header, ObjectOpener, STORED_SEGMENT_BYTES};
    use crate::model::{CompressionAlgorithm, Value};

    fn options(algorithm: CompressionAlgorithm) -> Compression {
        Compression {
            algorithm,
            level: None,
            min_size: 0,
            threshold: 1.0,
        }
    }

    fn encode(mut encoder: Encoder, content: &[u8], piece_bytes: usize) -> (Vec<u8>, Pointer) {
        let mut stored = Vec::new();
        for piece in content.chunks(piece_bytes) {
            stored.extend(encoder.push(Bytes::copy_from_slice(piece)).unwrap());
        }
        stored.extend(encoder.finish().unwrap());
        let stored = stored.concat();
        assert!(stored.len() as u64 <= encoder.stored_bytes(content.len() as u64));
        let mut pointer = Pointer::default();
        encoder.describe(&mut pointer, "00".repeat(32));
        (stored, pointer)
    }

    fn inflate(algorithm: CompressionAlgorithm, stored: Vec<u8>, bytes: usize) -> Vec<u8> {
        let mut inflating = Inflating::new(algorithm, bytes as u64).unwrap();
        let (mut input, mut content) = (Bytes::from(stored), Vec::new());
        loop {
            let piece = inflating.pull(&mut input).unwrap();
            if piece.is_empty() && input.is_empty() {
                inflating.finish().unwrap();
                return content;
            }
            content.extend_from_slice(&piece);
        }
    }

    fn place() -> Place {
        Place::new("files", &Value::S("A".to_owned()), None).unwrap()
    }

    fn sealed(key: &DataKey) -> Encoder {
        let (sealer, header) = ObjectSealer::new(key, b"wrapped", &place(), "scan").unwrap();
        let mut encoder = Encoder::default();
        encoder.seal(sealer, header);
        encoder
    }

    fn open(key: &DataKey, stored: Vec<u8>) -> Vec<u8> {
        let stored = Bytes::from(stored);
        let header = Header::read(&stored).unwrap().unwrap();
        let opener = ObjectOpener::new(&header, key, &place(), "scan").unwrap();
        let segments = stored.slice(header.bytes()..);
        let count = segments.len().div_ceil(STORED_SEGMENT_BYTES);
        let mut content = BytesMut::new();
        for (index, segment) in segments.chunks(STORED_SEGMENT_BYTES).enumerate() {
            let is_last = index + 1 == count;
            opener.open(index as u32, is_last, segment, &mut content).unwrap();
        }
        content.to_vec()
    }

    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at / 11 % 253) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_pieces_are_one_stream(bytes in 1..700_000_usize, piece_bytes in 1000..400_000_usize) {
            let content = content(bytes);
            for algorithm in [CompressionAlgorithm::Zstd, CompressionAlgorithm::Lz4, CompressionAlgorithm::Gzip] {
                let mut encoder = Encoder::default();
                encoder.compress(options(algorithm)).unwrap();
                let (stored, pointer) = encode(encoder, &content, piece_bytes);
                match pointer.encoding {
                    Some(encoding) => prop_assert!(inflate(encoding, stored, bytes) == content),
                    // too short to shrink
                    None => prop_assert!(stored == content && bytes < 200),
                }
            }
        }

        #[test]
        fn any_pieces_are_the_same_segments(bytes in 0..300_000_usize, piece_bytes in 1000..200_000_usize) {
            let key = DataKey::new(Zeroizing::new([7; 32]));
            let content = content(bytes);
            let (stored, pointer) = encode(sealed(&key), &content, piece_bytes);
            prop_assert!(open(&key, stored) == content);
            prop_assert_eq!((pointer.mac.len(), pointer.sha256.len()), (64, 0));
        }
    }

    #[test]
    fn content_that_does_not_pay_is_stored_as_it_is() {
        for (min_size, threshold) in [(10_001, 1.0), (0, 0.001)] {
            let mut encoder = Encoder::default();
            let strict = Compression {
                min_size,
                threshold,
                ..options(CompressionAlgorithm::Zstd)
            };
            encoder.compress(strict).unwrap();
            let (stored, pointer) = encode(encoder, &content(10_000), 3000);
            assert_eq!((stored, pointer.encoding), (content(10_000), None));
        }
    }

    #[test]
    fn it_is_judged_by_the_first_5_mib() {
        let mut encoder = Encoder::default();
        encoder.compress(options(CompressionAlgorithm::Zstd)).unwrap();
        let piece = Bytes::from(vec![0; 1024 * 1024]);
        for _ in 0..4 {
            assert!(encoder.push(piece.clone()).unwrap().is_empty());
        }
        let first = encoder.push(piece).unwrap().concat();
        assert!((1..100_000).contains(&first.len()), "{}", first.len());
    }
}
