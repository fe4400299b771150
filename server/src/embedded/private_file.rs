//! Files and folders that only the owner can access: create, replace, read. Knows no file by name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::error::Error;
use super::layout::{FILE_MODE, FOLDER_MODE, FOREIGN_BITS};
use super::permissions::own_user;

/// Creates a folder and its missing parents, mode 0700.
pub(super) fn create_folder(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE);
    builder.create(path).map_err(Error::io(path))
}

/// Creates an empty file, mode 0600, unless it exists. SQLite gives the files beside a database the same mode.
pub(super) fn create_file(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(FILE_MODE);
    options.open(path).map(drop).map_err(Error::io(path))
}

/// Replaces a file atomically, mode 0600: after a crash the file has either the old bytes or the new ones, and once
/// this function returns, the new ones survive power loss.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fresh = path.with_added_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(failure) if failure.kind() != ErrorKind::NotFound => return Err(Error::io(&fresh)(failure)),
        // a file left by a crash might be readable by others
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&fresh)
        .map_err(Error::io(&fresh))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(Error::io(&fresh))?;
    std::fs::rename(&fresh, path).map_err(Error::io(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Reads a file that only this process's user may access; `None` if it does not exist.
pub(super) fn read_private(path: &Path, limit_bytes: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(failure) if failure.kind() == ErrorKind::NotFound => return Ok(None),
        Err(failure) => return Err(Error::io(path)(failure)),
    };
    let metadata = file.metadata().map_err(Error::io(path))?;
    if metadata.permissions().mode() & FOREIGN_BITS != 0 {
        return Err(Error::unusable(
            path,
            "users other than the owner may read or write it: chmod 600 it",
        ));
    }
    if metadata.uid() != own_user() {
        let problem = format!(
            "owned by user {}, but tollgate runs as user {}: chown it, or start tollgate as its owner",
            metadata.uid(),
            own_user()
        );
        return Err(Error::unusable(path, problem));
    }
    if metadata.len() > limit_bytes {
        return Err(Error::unusable(path, "too large: restore it from a backup"));
    }
    // allocated at full size, so that growing leaves no partial copy of key bytes in freed memory
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len()).unwrap_or(0) + 1,
    ));
    file.take(limit_bytes)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    Ok(Some(bytes))
}

/// Flushes the names in a folder to the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    // the parent of a bare file name is the empty path: the current folder
    let folder = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_after_an_interrupted_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kms.json");
        std::fs::write(folder.path().join("kms.json.new"), "left behind by a crash").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
