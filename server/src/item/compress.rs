//! Compressed values, in the format of pydynox: a string that begins with the algorithm and goes on in padded base64.
//!
//! | prefix | bytes |
//! |---|---|
//! | `ZSTD:` | a Zstandard frame |
//! | `LZ4:` | the length of the text as 4 bytes, little-endian, and an LZ4 block |
//! | `GZIP:` | a gzip member |
//!
//! A value is stored as it is if it is short or compresses badly, but never if it begins with one of the prefixes: what
//! is stored always reads back. Decompression is bounded.

use std::io::{Read, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::model::{Compression, CompressionAlgorithm};

/// Most bytes of all decompressed values of one item.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Texts with more bytes are compressed and decompressed on a separate thread.
pub(super) const MAX_INLINE_BYTES: usize = 64 * 1024;

/// The greatest window of a Zstandard frame that is read, as a power of two: 64 MiB.
const MAX_WINDOW_LOG: u32 = 26;

/// Most bytes that one byte of an LZ4 block stands for.
const MAX_LZ4_RATIO: usize = 256;

const PREFIXES: [(&str, CompressionAlgorithm); 3] = [
    ("ZSTD:", CompressionAlgorithm::Zstd),
    ("LZ4:", CompressionAlgorithm::Lz4),
    ("GZIP:", CompressionAlgorithm::Gzip),
];

/// Why a stored value does not decompress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// It is not what its prefix says, or not text.
    #[error("the stored value does not decompress")]
    Malformed,
    /// The item would be too large.
    #[error("the stored value decompresses to more than {MAX_BYTES} bytes")]
    TooLarge,
}

/// The stored form of a text; `None` if it is stored as it is.
pub fn compress(text: &str, options: &Compression) -> Option<String> {
    let must = prefix_of(text).is_some();
    if !must && (text.len() as u64) < options.min_size {
        return None;
    }
    let compressed = match options.algorithm {
        CompressionAlgorithm::Zstd => {
            let level = options.level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
            zstd::bulk::compress(text.as_bytes(), level).ok()
        }
        CompressionAlgorithm::Lz4 => Some(lz4_flex::block::compress_prepend_size(text.as_bytes())),
        CompressionAlgorithm::Gzip => gzip(text, options.level),
    };
    let compressed = compressed.filter(|compressed| {
        let ratio = compressed.len() as f64 / text.len().max(1) as f64;
        must || ratio < options.threshold
    })?;
    let (prefix, _) = PREFIXES
        .iter()
        .find(|(_, algorithm)| *algorithm == options.algorithm)?;
    Some(format!("{prefix}{}", STANDARD.encode(compressed)))
}

fn gzip(text: &str, level: Option<i32>) -> Option<Vec<u8>> {
    let level = level.and_then(|level| u32::try_from(level).ok());
    let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// The text of a stored value, which takes its bytes from `budget`; `None` if it is stored as it is.
///
/// # Errors
///
/// See [`DecompressError`].
pub fn decompress(stored: &str, budget: &mut usize) -> Result<Option<String>, DecompressError> {
    let Some((algorithm, encoded)) = prefix_of(stored) else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| DecompressError::Malformed)?;
    let text = match algorithm {
        CompressionAlgorithm::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::new(bytes.as_slice()).map_err(|_| DecompressError::Malformed)?;
            decoder
                .window_log_max(MAX_WINDOW_LOG)
                .map_err(|_| DecompressError::Malformed)?;
            read_bounded(decoder, *budget)?
        }
        CompressionAlgorithm::Lz4 => lz4(&bytes, *budget)?,
        CompressionAlgorithm::Gzip => read_bounded(MultiGzDecoder::new(bytes.as_slice()), *budget)?,
    };
    *budget -= text.len();
    String::from_utf8(text)
        .map(Some)
        .map_err(|_| DecompressError::Malformed)
}

/// Whether a stored value begins like a compressed one.
pub(super) fn is_compressed(stored: &str) -> bool {
    prefix_of(stored).is_some()
}

fn lz4(bytes: &[u8], budget: usize) -> Result<Vec<u8>, DecompressError> {
    let (length, block) = bytes.split_first_chunk().ok_or(DecompressError::Malformed)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > block.len().saturating_mul(MAX_LZ4_RATIO) {
        return Err(DecompressError::Malformed);
    }
    if length > budget {
        return Err(DecompressError::TooLarge);
    }
    let text = lz4_flex::block::decompress(block, length).map_err(|_| DecompressError::Malformed)?;
    (text.len() == length)
        .then_some(text)
        .ok_or(DecompressError::Malformed)
}

fn read_bounded(reader: impl Read, budget: usize) -> Result<Vec<u8>, DecompressError> {
    let mut text = Vec::new();
    reader
        .take(budget as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|_| DecompressError::Malformed)?;
    if text.len() > budget {
        return Err(DecompressError::TooLarge);
    }
    Ok(text)
}

/// The algorithm that a stored value names, and what follows.
fn prefix_of(text: &str) -> Option<(CompressionAlgorithm, &str)> {
    PREFIXES
        .iter()
        .find_map(|(prefix, algorithm)| Some((*algorithm, text.strip_prefix(prefix)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALGORITHMS: [CompressionAlgorithm; 3] = [
        CompressionAlgorithm::Zstd,
        CompressionAlgorithm::Lz4,
        CompressionAlgorithm::Gzip,
    ];

    fn options(algorithm: CompressionAlgorithm) -> Compression {
        Compression {
            algorithm,
            level: None,
            min_size: 100,
            threshold: 0.9,
        }
    }

    fn read(stored: &str) -> Result<Option<String>, DecompressError> {
        decompress(stored, &mut MAX_BYTES.clone())
    }

    #[test]
    fn long_values_are_compressed() {
        let text = "abcdefgh".repeat(100);
        for (prefix, algorithm) in PREFIXES {
            let stored = compress(&text, &options(algorithm)).unwrap();
            assert!(
                stored.starts_with(prefix) && stored.len() < text.len() / 2,
                "{prefix}"
            );
            assert_eq!(read(&stored), Ok(Some(text.clone())));
        }
        assert_eq!(
            compress(&"a".repeat(99), &options(CompressionAlgorithm::Zstd)),
            None
        );
    }

    #[test]
    fn a_value_that_compresses_badly_stays() {
        let strict = Compression {
            threshold: 0.01,
            ..options(CompressionAlgorithm::Gzip)
        };
        assert_eq!(compress(&"ab".repeat(100), &strict), None);
    }

    #[test]
    fn a_plain_value_with_a_prefix_is_compressed_anyway() {
        for text in ["ZSTD:", "LZ4:AAAA", "GZIP:not base64"] {
            for algorithm in ALGORITHMS {
                let stored = compress(text, &options(algorithm)).unwrap();
                assert_eq!(read(&stored).as_ref().map(Option::as_deref), Ok(Some(text)));
            }
        }
    }

    #[test]
    fn values_of_pydynox_are_read() {
        let text = "hello hello hello hello";
        for stored in [
            "GZIP:H4sIAAAAAAACA8tIzcnJV8hAJwHjUT2NFwAAAA==",
            "ZSTD:KLUv/QRYZQAAMGhlbGxvIAEAmUsRF16uDQ==",
            "LZ4:FwAAAGhoZWxsbyAGAFBoZWxsbw==",
        ] {
            assert_eq!(
                read(stored).as_ref().map(Option::as_deref),
                Ok(Some(text)),
                "{stored}"
            );
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![0_u8; MAX_BYTES + 1];
        let zstd = zstd::bulk::compress(&zeros, 1).unwrap();
        assert_eq!(
            read(&format!("ZSTD:{}", STANDARD.encode(zstd))),
            Err(DecompressError::TooLarge)
        );
        let mut claim = Vec::from(u32::MAX.to_le_bytes());
        claim.push(0);
        assert_eq!(
            read(&format!("LZ4:{}", STANDARD.encode(claim))),
            Err(DecompressError::Malformed)
        );
        let small = compress(&"a".repeat(200), &options(CompressionAlgorithm::Gzip)).unwrap();
        assert_eq!(decompress(&small, &mut 199), Err(DecompressError::TooLarge));
    }

    #[test]
    fn malformed_values_are_refused() {
        let whole = compress(&"abc".repeat(100), &options(CompressionAlgorithm::Zstd)).unwrap();
        for stored in [
            "ZSTD:",
            "ZSTD:%",
            "ZSTD:AAAA",
            "LZ4:AA==",
            "LZ4://///wA=",
            "GZIP:AAAA",
            &whole[..whole.len() - 8],
        ] {
            assert_eq!(read(stored), Err(DecompressError::Malformed), "{stored}");
        }
        assert_eq!(read("plain"), Ok(None));
    }

    proptest! {
        #[test]
        fn every_text_reads_back(text in ".{0,300}", algorithm in 0_usize..3) {
            let options = Compression { min_size: 0, ..options(ALGORITHMS[algorithm]) };
            let stored = compress(&text, &options);
            match stored {
                Some(stored) => prop_assert_eq!(read(&stored), Ok(Some(text))),
                None => prop_assert_eq!(read(&text), Ok(None)),
            }
        }

        #[test]
        fn any_stored_text_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), algorithm in 0_usize..3) {
            let (prefix, _) = PREFIXES[algorithm];
            let _ = read(&format!("{prefix}{}", STANDARD.encode(bytes)));
        }
    }
}
