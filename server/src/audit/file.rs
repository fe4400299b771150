//! The file of the log, and the file of zeros that reserves space on its disk. Appends whole lines: what a write that failed
//! left behind is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of new files.
pub(super) const MODE: u32 = 0o600;
/// Bytes that are reserved for the lines of calls in flight: 4 KiB for each of the 1024 of `limits.in_flight`.
pub(super) const RESERVE_BYTES: usize = 4 << 20;
/// Longer than any line.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// The open file.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The bytes of whole lines.
    length: u64,
    inode: (u64, u64),
}

/// What the end of a file has.
pub(super) struct Tail {
    /// The last whole line, without its line break.
    pub(super) last: Option<String>,
    /// The bytes of a line that was not written to its end, and was cut off.
    pub(super) cut: u64,
}

impl LogFile {
    /// Opens the file, or creates it. Cuts off a last line that was not written to its end.
    pub(super) fn open(path: &Path) -> io::Result<(LogFile, Tail)> {
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "is not a regular file",
            ));
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(MODE);
        let mut file = options.open(path)?;
        let metadata = file.metadata()?;
        let tail = tail(&mut file, metadata.len())?;
        let log = LogFile {
            path: path.to_owned(),
            file,
            length: metadata.len() - tail.cut,
            inode: (metadata.dev(), metadata.ino()),
        };
        if tail.cut > 0 {
            log.file.set_len(log.length)?;
        }
        Ok((log, tail))
    }

    /// Appends a line with its line break, all of it or nothing.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        match self.file.write_all(line) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.cut()?;
                Err(error)
            }
        }
    }

    /// Cuts off what a write that failed left behind.
    fn cut(&self) -> io::Result<()> {
        match self.file.metadata()?.len() > self.length {
            true => self.file.set_len(self.length),
            false => Ok(()),
        }
    }

    /// Whether the file was renamed or removed.
    pub(super) fn is_gone(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(metadata) => (metadata.dev(), metadata.ino()) != self.inode,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Waits until the lines are on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reads the last line.
fn tail(file: &mut File, length: u64) -> io::Result<Tail> {
    let start = length.saturating_sub(2 * MAX_LINE_BYTES as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length - start).read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    let whole = &bytes[..end.map_or(0, |end| end + 1)];
    let cut = (bytes.len() - whole.len()) as u64;
    if whole.is_empty() && start > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "has no lines"));
    }
    let lines = whole.strip_suffix(b"\n").unwrap_or_default();
    let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let last = (!whole.is_empty()).then(|| String::from_utf8_lossy(last).into_owned());
    Ok(Tail { last, cut })
}

/// The space on the disk that is kept for the lines of calls in flight.
pub(super) struct Reserve {
    file: File,
}

impl Reserve {
    /// Reserves the space, or opens the file without: a full disk is found with the first line.
    pub(super) fn open(path: &Path) -> io::Result<Reserve> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.mode(MODE).open(path)?;
        Ok(Reserve { file })
    }

    /// Writes the zeros, unless they are there.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() == RESERVE_BYTES as u64 {
            return Ok(());
        }
        self.release()?;
        self.file.seek(SeekFrom::Start(0))?;
        let zeros = vec![0; RESERVE_BYTES];
        let filled = self.file.write_all(&zeros).and_then(|()| self.file.sync_data());
        if filled.is_err() {
            self.release()?;
        }
        filled
    }

    /// Frees the space.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.file.set_len(0)
    }
}
