//! How the bytes of a content are stored. An encoder turns a caller's pieces into stored ones, one after the other: it
//! compresses, then encrypts, as far as the attribute says so.
//!
//! Whether compression pays is judged on the first 5 MiB, or on the whole of a shorter content; what does not pay is stored
//! uncompressed.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::inflating::{LZ4_BLOCK_BYTES, LZ4_HEADER, LZ4_PLAIN};
use super::key;
use crate::crypto::object::{self, MAX_HEADER_BYTES, ObjectSealer, SEGMENT_BYTES};
use crate::item::pointer::Pointer;
use crate::model::{Compression, CompressionAlgorithm};

/// The content by which it is judged whether compression pays.
const JUDGED_BYTES: usize = 5 * 1024 * 1024;
/// The window of the Zstandard frames that are written, as a power of two: 2 MiB, that of the default level.
const WINDOW_LOG: u32 = 21;
/// Why a content could not be encoded: always a defect of this program.
const BROKEN: &str = "the content could not be encoded";

/// An encoder of one content; by default, the content is stored as it is.
#[derive(Default)]
pub struct Encoder {
    compressing: Option<Compressing>,
    sealing: Option<Segmenting>,
}

/// A content is not encoded completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{BROKEN}")]
pub struct EncodeError;

/// Compresses a content, if that pays.
struct Compressing {
    options: Compression,
    state: Compressed,
}

enum Compressed {
    /// What arrived so far, in both forms.
    Judging {
        plain: Vec<Bytes>,
        plain_bytes: usize,
        compressor: Compressor,
    },
    Pays(Compressor),
    No,
}

enum Compressor {
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
    Lz4 { pending: Vec<u8>, out: Vec<u8> },
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
        let compressor = Compressor::new(options)?;
        self.compressing = Some(Compressing {
            options,
            state: Compressed::Judging {
                plain: Vec::new(),
                plain_bytes: 0,
                compressor,
            },
        });
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

impl Compressing {
    fn push(&mut self, piece: Bytes) -> Result<Vec<Bytes>, EncodeError> {
        match &mut self.state {
            Compressed::Judging {
                plain,
                plain_bytes,
                compressor,
            } => {
                compressor.write(&piece)?;
                *plain_bytes += piece.len();
                plain.push(piece);
                if *plain_bytes < JUDGED_BYTES {
                    return Ok(Vec::new());
                }
                compressor.flush()?;
                self.judge()
            }
            Compressed::Pays(compressor) => {
                compressor.write(&piece)?;
                Ok(vec![compressor.take()])
            }
            Compressed::No => Ok(vec![piece]),
        }
    }

    fn finish(&mut self) -> Result<Vec<Bytes>, EncodeError> {
        match &mut self.state {
            Compressed::Judging { compressor, .. } => {
                compressor.finish()?;
                self.judge()
            }
            Compressed::Pays(compressor) => {
                compressor.finish()?;
                Ok(vec![compressor.take()])
            }
            Compressed::No => Ok(Vec::new()),
        }
    }

    /// Decides by what arrived so far, and returns it.
    fn judge(&mut self) -> Result<Vec<Bytes>, EncodeError> {
        let Compressed::Judging {
            plain,
            plain_bytes,
            mut compressor,
        } = std::mem::replace(&mut self.state, Compressed::No)
        else {
            return Err(EncodeError);
        };
        let ratio = compressor.out().len() as f64 / plain_bytes.max(1) as f64;
        if (plain_bytes as u64) < self.options.min_size || ratio >= self.options.threshold {
            return Ok(plain);
        }
        let compressed = compressor.take();
        self.state = Compressed::Pays(compressor);
        Ok(vec![compressed])
    }

    fn algorithm(&self) -> Option<CompressionAlgorithm> {
        match self.state {
            Compressed::Pays(_) => Some(self.options.algorithm),
            Compressed::Judging { .. } | Compressed::No => None,
        }
    }
}

impl Compressor {
    fn new(options: Compression) -> Result<Compressor, EncodeError> {
        Ok(match options.algorithm {
            CompressionAlgorithm::Zstd => {
                let level = options.level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut encoder = ZstdEncoder::new(Vec::new(), level).map_err(|_| EncodeError)?;
                encoder
                    .set_parameter(CParameter::WindowLog(WINDOW_LOG))
                    .map_err(|_| EncodeError)?;
                Compressor::Zstd(encoder)
            }
            CompressionAlgorithm::Lz4 => Compressor::Lz4 {
                pending: Vec::new(),
                out: LZ4_HEADER.to_vec(),
            },
            CompressionAlgorithm::Gzip => {
                let level = options.level.and_then(|level| u32::try_from(level).ok());
                let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
                Compressor::Gzip(GzEncoder::new(Vec::new(), level))
            }
        })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), EncodeError> {
        match self {
            Compressor::Zstd(encoder) => encoder.write_all(piece).map_err(|_| EncodeError),
            Compressor::Gzip(encoder) => encoder.write_all(piece).map_err(|_| EncodeError),
            Compressor::Lz4 { pending, out } => {
                let mut rest = piece;
                while !rest.is_empty() {
                    let taken = rest.len().min(LZ4_BLOCK_BYTES - pending.len());
                    pending.extend_from_slice(&rest[..taken]);
                    rest = &rest[taken..];
                    if pending.len() == LZ4_BLOCK_BYTES {
                        write_block(pending, out)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Completes the bytes of what was written.
    fn flush(&mut self) -> Result<(), EncodeError> {
        match self {
            Compressor::Zstd(encoder) => encoder.flush().map_err(|_| EncodeError),
            Compressor::Gzip(encoder) => encoder.flush().map_err(|_| EncodeError),
            Compressor::Lz4 { pending, out } => write_block(pending, out),
        }
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        match self {
            Compressor::Zstd(encoder) => encoder.do_finish().map_err(|_| EncodeError),
            Compressor::Gzip(encoder) => encoder.try_finish().map_err(|_| EncodeError),
            Compressor::Lz4 { pending, out } => {
                write_block(pending, out)?;
                out.extend_from_slice(&[0; 4]);
                Ok(())
            }
        }
    }

    /// The compressed bytes that were not taken yet.
    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Compressor::Zstd(encoder) => encoder.get_mut(),
            Compressor::Gzip(encoder) => encoder.get_mut(),
            Compressor::Lz4 { out, .. } => out,
        }
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(self.out()))
    }
}

/// Writes a block of an LZ4 frame, as it is if it does not compress.
fn write_block(pending: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if pending.is_empty() {
        return Ok(());
    }
    let compressed = lz4_flex::block::compress(pending);
    let (block, flag) = match compressed.len() < pending.len() {
        true => (&compressed, 0),
        false => (&*pending, LZ4_PLAIN),
    };
    let length = u32::try_from(block.len()).map_err(|_| EncodeError)?;
    out.extend_from_slice(&(length | flag).to_le_bytes());
    out.extend_from_slice(block);
    pending.clear();
    Ok(())
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
