//! The lock of a data folder: at most one process uses it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::Error;
use super::layout::{FILE_MODE, LOCK_FILE};

/// Larger than any lock file.
const MAX_LOCK_FILE_BYTES: u64 = 64;

/// Locks the folder until the file is dropped.
///
/// # Errors
///
/// [`Error::InUse`] if another process has locked it.
pub(super) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::InUse {
                path: folder.to_path_buf(),
                holder: holder(&file),
            });
        }
        Err(TryLockError::Error(failure)) => return Err(Error::io(&path)(failure)),
    }
    file.set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(Error::io(&path))?;
    Ok(file)
}

/// The process that holds the lock, if the lock file names one.
fn holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(MAX_LOCK_FILE_BYTES).read_to_string(&mut text) {
        Ok(_) => text
            .trim()
            .parse::<u32>()
            .map_or_else(|_| String::new(), |id| format!(" (process {id})")),
        Err(_) => String::new(),
    }
}
