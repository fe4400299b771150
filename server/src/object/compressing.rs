//! Compresses a content piece by piece, if that pays: judged by the first 5 MiB, or by the whole of a shorter content.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::inflating::{LZ4_BLOCK_BYTES, LZ4_HEADER, LZ4_PLAIN};
use crate::model::{Compression, CompressionAlgorithm};

/// The content by which it is judged whether compression pays.
const JUDGED_BYTES: usize = 5 * 1024 * 1024;
/// The window of the Zstandard frames that are written, as a power of two: 2 MiB, that of the default level.
const WINDOW_LOG: u32 = 21;
/// Why a content could not be encoded: always a defect of this program.
const BROKEN: &str = "the content could not be encoded";

/// A content is not encoded completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{BROKEN}")]
pub struct EncodeError;

/// Compresses a content, if that pays.
pub(super) struct Compressing {
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

impl Compressing {
    pub(super) fn new(options: Compression) -> Result<Compressing, EncodeError> {
        Ok(Compressing {
            options,
            state: Compressed::Judging {
                plain: Vec::new(),
                plain_bytes: 0,
                compressor: Compressor::new(options)?,
            },
        })
    }

    /// The stored form of the next piece; may keep some of it for later.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<Vec<Bytes>, EncodeError> {
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

    /// What is left of the stored form.
    pub(super) fn finish(&mut self) -> Result<Vec<Bytes>, EncodeError> {
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

    /// How the content is compressed, once that is known.
    pub(super) fn algorithm(&self) -> Option<CompressionAlgorithm> {
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
