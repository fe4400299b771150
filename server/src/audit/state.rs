//! The file beside the log that one process locks. It has the last line of the chain at the last start, rotation or
//! shutdown, so that the numbers go on in an empty file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::chain::Head;
use super::file::MODE;

/// Larger than any head.
const MAX_BYTES: u64 = 256;

/// The locked file.
pub(super) struct State(File);

/// Why it cannot be used.
pub(super) enum StateError {
    /// Another process has the lock.
    InUse,
    /// It cannot be read, or has something else.
    Io(io::Error),
}

impl From<io::Error> for StateError {
    fn from(error: io::Error) -> StateError {
        StateError::Io(error)
    }
}

impl State {
    /// Locks the file until it is dropped, and reads the last line of the chain.
    pub(super) fn open(path: &Path) -> Result<(State, Head), StateError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(MODE).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse),
            Err(TryLockError::Error(error)) => return Err(StateError::Io(error)),
        }
        let mut text = String::new();
        (&mut file).take(MAX_BYTES).read_to_string(&mut text)?;
        let head = match text.trim() {
            "" => Head::START,
            text => text
                .parse()
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "does not have SEQ:PREV"))?,
        };
        Ok((State(file), head))
    }

    /// Keeps the last line of the chain.
    pub(super) fn keep(&mut self, head: &Head) -> io::Result<()> {
        // the new text is at least as long as the old one, since numbers only grow
        self.0.seek(SeekFrom::Start(0))?;
        writeln!(self.0, "{head}")
    }
}
