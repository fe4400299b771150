//! An open large body. Never decides which body to read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;

/// An open body.
pub(super) enum BodyReader {
    /// A body file.
    File(File),
    /// A body in memory.
    Memory(Bytes),
}

impl BodyReader {
    /// Reads exactly `length` bytes from `offset`; blocks. `UnexpectedEof` if the body is shorter.
    pub(super) fn read(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset))?;
                let mut block = vec![0; length];
                file.read_exact(&mut block)?;
                Ok(Bytes::from(block))
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(length);
                if end > bytes.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(bytes.slice(start..end))
            }
        }
    }
}
