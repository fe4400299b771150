//! Decompresses the content of a compressed object piece by piece, so that neither memory nor output exceeds its bounds.
//!
//! | `encoding` | stream |
//! |---|---|
//! | `zstd` | one Zstandard frame |
//! | `lz4` | one LZ4 frame of independent blocks of at most 256 KiB, without checksums |
//! | `gzip` | one gzip member without optional header fields |

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::reading::{ReadError, invalid};
use crate::model::CompressionAlgorithm;

/// The most bytes of one piece.
const PIECE_BYTES: usize = 256 * 1024;
/// The largest window of a Zstandard frame that is read, as a power of two: 8 MiB.
const MAX_WINDOW_LOG: u32 = 23;
/// The header of a gzip member without optional fields.
const GZIP_HEADER_BYTES: usize = 10;
const GZIP_HEADER_START: [u8; 4] = [0x1f, 0x8b, 8, 0];
/// The checksum and the size at its end.
const GZIP_TRAILER_BYTES: usize = 8;
/// The header of an LZ4 frame: magic number, version 1 with independent blocks, blocks of at most 256 KiB, checksum.
pub(super) const LZ4_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb];
/// The most bytes of content in a block of such a frame.
pub(super) const LZ4_BLOCK_BYTES: usize = 256 * 1024;
/// Marks a block whose content is stored as it is.
pub(super) const LZ4_PLAIN: u32 = 1 << 31;

/// A content that is being decompressed.
pub(super) struct Inflating {
    algorithm: CompressionAlgorithm,
    state: State,
    /// How many bytes may still come.
    left: u64,
    is_finished: bool,
}

enum State {
    Zstd(Decoder<'static>),
    Lz4 {
        pending: BytesMut,
        has_header: bool,
    },
    Gzip {
        pending: BytesMut,
        inflate: Box<Decompress>,
        part: GzipPart,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GzipPart {
    Header,
    Body,
    Trailer,
}

impl Inflating {
    /// Content of at most `content_bytes`.
    pub(super) fn new(algorithm: CompressionAlgorithm, content_bytes: u64) -> Result<Inflating, ReadError> {
        let state = match algorithm {
            CompressionAlgorithm::Zstd => {
                let mut decoder = Decoder::new().map_err(|_| malformed())?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
                    .map_err(|_| malformed())?;
                State::Zstd(decoder)
            }
            CompressionAlgorithm::Lz4 => State::Lz4 {
                pending: BytesMut::new(),
                has_header: false,
            },
            CompressionAlgorithm::Gzip => State::Gzip {
                pending: BytesMut::new(),
                inflate: Box::new(Decompress::new(false)),
                part: GzipPart::Header,
            },
        };
        Ok(Inflating {
            algorithm,
            state,
            left: content_bytes,
            is_finished: false,
        })
    }

    /// Begins again with content of at most `content_bytes`.
    pub(super) fn restart(&mut self, content_bytes: u64) -> Result<(), ReadError> {
        *self = Inflating::new(self.algorithm, content_bytes)?;
        Ok(())
    }

    /// The next piece of the content, from some bytes of `input`; empty if that needs more input.
    pub(super) fn pull(&mut self, input: &mut Bytes) -> Result<Bytes, ReadError> {
        if self.is_finished {
            return match input.is_empty() {
                true => Ok(Bytes::new()),
                false => Err(invalid("the compressed object goes on after its end")),
            };
        }
        let piece = match &mut self.state {
            State::Zstd(decoder) => pull_zstd(decoder, input, &mut self.is_finished)?,
            State::Lz4 { pending, has_header } => {
                pull_lz4(pending, has_header, input, &mut self.is_finished)?
            }
            State::Gzip {
                pending,
                inflate,
                part,
            } => pull_gzip(pending, inflate, part, input, &mut self.is_finished)?,
        };
        self.left = self
            .left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| invalid("the content exceeds the size in its pointer"))?;
        Ok(piece)
    }

    /// To be called when all input was taken.
    pub(super) fn finish(&self) -> Result<(), ReadError> {
        match (self.is_finished, self.left) {
            (false, _) => Err(invalid("the compressed object is truncated")),
            (true, 0) => Ok(()),
            (true, _) => Err(invalid("the content is shorter than the size in its pointer")),
        }
    }
}

fn pull_zstd(
    decoder: &mut Decoder<'static>,
    input: &mut Bytes,
    is_finished: &mut bool,
) -> Result<Bytes, ReadError> {
    let mut out = Vec::with_capacity(PIECE_BYTES);
    loop {
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around(&mut out);
        let hint = decoder.run(&mut source, &mut target).map_err(|_| malformed())?;
        let (taken, written) = (source.pos(), target.pos());
        input.advance(taken);
        *is_finished = hint == 0;
        // without progress, the decoder needs more input
        if *is_finished || written > 0 || taken == 0 {
            return Ok(Bytes::from(out));
        }
    }
}

fn pull_lz4(
    pending: &mut BytesMut,
    has_header: &mut bool,
    input: &mut Bytes,
    is_finished: &mut bool,
) -> Result<Bytes, ReadError> {
    if !*has_header {
        take_up_to(pending, input, LZ4_HEADER.len());
        if pending.len() < LZ4_HEADER.len() {
            return Ok(Bytes::new());
        }
        if pending[..] != LZ4_HEADER {
            return Err(malformed());
        }
        pending.clear();
        *has_header = true;
    }
    take_up_to(pending, input, 4);
    let Some(length) = pending.first_chunk::<4>() else {
        return Ok(Bytes::new());
    };
    let length = u32::from_le_bytes(*length);
    if length == 0 {
        *is_finished = true;
        return Ok(Bytes::new());
    }
    let (is_plain, bytes) = (length & LZ4_PLAIN != 0, (length & !LZ4_PLAIN) as usize);
    if bytes > LZ4_BLOCK_BYTES {
        return Err(malformed());
    }
    take_up_to(pending, input, 4 + bytes);
    let Some(block) = pending.get(4..4 + bytes) else {
        return Ok(Bytes::new());
    };
    let content = match is_plain {
        true => Bytes::copy_from_slice(block),
        false => Bytes::from(lz4_flex::block::decompress(block, LZ4_BLOCK_BYTES).map_err(|_| malformed())?),
    };
    pending.clear();
    match content.is_empty() {
        true => Err(malformed()),
        false => Ok(content),
    }
}

fn pull_gzip(
    pending: &mut BytesMut,
    inflate: &mut Decompress,
    part: &mut GzipPart,
    input: &mut Bytes,
    is_finished: &mut bool,
) -> Result<Bytes, ReadError> {
    if *part == GzipPart::Header {
        take_up_to(pending, input, GZIP_HEADER_BYTES);
        if pending.len() < GZIP_HEADER_BYTES {
            return Ok(Bytes::new());
        }
        if !pending.starts_with(&GZIP_HEADER_START) {
            return Err(malformed());
        }
        pending.clear();
        *part = GzipPart::Body;
    }
    if *part == GzipPart::Body {
        let mut out = Vec::with_capacity(PIECE_BYTES);
        let before = inflate.total_in();
        let status = inflate
            .decompress_vec(input, &mut out, FlushDecompress::None)
            .map_err(|_| malformed())?;
        let taken = inflate.total_in() - before;
        input.advance(usize::try_from(taken).unwrap_or(input.len()).min(input.len()));
        if status == Status::StreamEnd {
            *part = GzipPart::Trailer;
        }
        if !out.is_empty() || *part == GzipPart::Body {
            return Ok(Bytes::from(out));
        }
    }
    take_up_to(pending, input, GZIP_TRAILER_BYTES);
    *is_finished = pending.len() == GZIP_TRAILER_BYTES;
    Ok(Bytes::new())
}

/// Moves bytes from `input`, until `pending` has this many.
fn take_up_to(pending: &mut BytesMut, input: &mut Bytes, bytes: usize) {
    let missing = bytes.saturating_sub(pending.len()).min(input.len());
    pending.extend_from_slice(&input.split_to(missing));
}

fn malformed() -> ReadError {
    invalid("the object does not decompress")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn inflate(
        algorithm: CompressionAlgorithm,
        stored: &[u8],
        chunk_bytes: usize,
        content_bytes: u64,
    ) -> Result<Vec<u8>, String> {
        let mut inflating = Inflating::new(algorithm, content_bytes).map_err(|error| error.to_string())?;
        let mut content = Vec::new();
        for chunk in stored.chunks(chunk_bytes) {
            let mut input = Bytes::copy_from_slice(chunk);
            loop {
                let piece = inflating.pull(&mut input).map_err(|error| error.to_string())?;
                assert!(piece.len() <= PIECE_BYTES);
                content.extend_from_slice(&piece);
                if piece.is_empty() && input.is_empty() {
                    break;
                }
            }
        }
        inflating.finish().map_err(|error| error.to_string())?;
        Ok(content)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// A frame with a compressed and a plain block, as the command `lz4` reads it.
    fn lz4(blocks: &[&[u8]]) -> Vec<u8> {
        let mut stored = LZ4_HEADER.to_vec();
        for (number, block) in blocks.iter().enumerate() {
            let (flag, block) = match number % 2 {
                0 => (0, lz4_flex::block::compress(block)),
                _ => (LZ4_PLAIN, block.to_vec()),
            };
            stored.extend_from_slice(&(block.len() as u32 | flag).to_le_bytes());
            stored.extend_from_slice(&block);
        }
        stored.extend_from_slice(&[0; 4]);
        stored
    }

    fn content(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at / 7 % 251) as u8).collect()
    }

    fn stored(algorithm: CompressionAlgorithm, content: &[u8]) -> Vec<u8> {
        match algorithm {
            CompressionAlgorithm::Zstd => zstd::bulk::compress(content, 3).unwrap(),
            CompressionAlgorithm::Lz4 => lz4(&content.chunks(LZ4_BLOCK_BYTES).collect::<Vec<_>>()),
            CompressionAlgorithm::Gzip => gzip(content),
        }
    }

    const ALGORITHMS: [CompressionAlgorithm; 3] = [
        CompressionAlgorithm::Zstd,
        CompressionAlgorithm::Lz4,
        CompressionAlgorithm::Gzip,
    ];

    #[test]
    fn decompresses_in_any_chunks() {
        for algorithm in ALGORITHMS {
            for bytes in [0, 1, 1000, 300_000, 1_000_000] {
                let content = content(bytes);
                let stored = stored(algorithm, &content);
                for chunk_bytes in [1 + stored.len() / 5000, 7 + stored.len() / 100, stored.len()] {
                    let read = inflate(algorithm, &stored, chunk_bytes, bytes as u64);
                    assert!(
                        read.as_ref() == Ok(&content),
                        "{algorithm:?} {bytes} {chunk_bytes}"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_exceeds_the_size_of_the_pointer() {
        for algorithm in ALGORITHMS {
            let stored = stored(algorithm, &vec![0; 50_000_000]);
            let bomb = inflate(algorithm, &stored, stored.len(), 1_000_000);
            assert_eq!(
                bomb.unwrap_err(),
                "the content exceeds the size in its pointer",
                "{algorithm:?}"
            );
            let short = inflate(algorithm, &stored, stored.len(), 50_000_001);
            assert_eq!(
                short.unwrap_err(),
                "the content is shorter than the size in its pointer"
            );
        }
    }

    #[test]
    fn damaged_streams_are_refused() {
        for algorithm in ALGORITHMS {
            let content = content(100_000);
            let stored = stored(algorithm, &content);
            for cut in [0, 1, 5, stored.len() / 2, stored.len() - 1] {
                assert!(
                    inflate(algorithm, &stored[..cut], 1000, 100_000).is_err(),
                    "{algorithm:?} {cut}"
                );
            }
            let longer = [&stored[..], b"x"].concat();
            assert!(
                inflate(algorithm, &longer, 1000, 100_000).is_err(),
                "{algorithm:?}"
            );
            let other = [b"nothing that is compressed", &stored[..]].concat();
            assert!(
                inflate(algorithm, &other, 1000, 100_000).is_err(),
                "{algorithm:?}"
            );
        }
    }
}
