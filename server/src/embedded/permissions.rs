//! Permissions of the data folder: only its owner has access. Folders get mode 0700 and files 0600, whatever they were
//! created with. Key files are left as they are: reading one refuses wider permissions, because another user may
//! already know the key.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::error::Error;
use super::layout::{FILE_MODE, FOLDER_MODE, FOREIGN_BITS, ROOT_KEY_FILE, TOKEN_KEY_FILE};

/// Levels of folders from the data folder down: itself, `s3`, `objects`, and the folders of the bodies.
const DEPTH: u32 = 4;

/// The result of [`tighten`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tightened {
    /// Files and folders whose permissions were changed.
    pub(super) changed: usize,
    /// Files and folders of other users, which only these users can change.
    pub(super) refused: usize,
}

/// Removes the access of group and others to everything in the folder except the keys. Does not follow links.
pub(super) fn tighten(folder: &Path) -> Result<Tightened, Error> {
    let mut done = Tightened::default();
    restrict(folder, FOLDER_MODE, &mut done)?;
    restrict_content(folder, DEPTH, &mut done)?;
    Ok(done)
}

/// The user that this process runs as.
pub(super) fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn restrict_content(folder: &Path, depth: u32, done: &mut Tightened) -> Result<(), Error> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Ok(());
    };
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io(&path))?;
        if kind.is_dir() {
            restrict(&path, FOLDER_MODE, done)?;
            if entry
                .metadata()
                .is_ok_and(|metadata| metadata.uid() == own_user())
            {
                restrict_content(&path, deeper, done)?;
            }
        } else if kind.is_file() && !(depth == DEPTH && is_key(&path)) {
            restrict(&path, FILE_MODE, done)?;
        }
    }
    Ok(())
}

fn is_key(path: &Path) -> bool {
    [ROOT_KEY_FILE, TOKEN_KEY_FILE]
        .iter()
        .any(|key| path.file_name().is_some_and(|name| name == *key))
}

fn restrict(path: &Path, mode: u32, done: &mut Tightened) -> Result<(), Error> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        // SQLite's files come and go
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(failure) => return Err(Error::io(path)(failure)),
    };
    let found = metadata.permissions().mode();
    if found & FOREIGN_BITS == 0 {
        return Ok(());
    }
    match set_permissions(path, Permissions::from_mode(found & mode)) {
        Ok(()) => done.changed += 1,
        // a mounted folder may be owned by root; its content is private all the same
        Err(failure) if failure.kind() == std::io::ErrorKind::PermissionDenied => done.refused += 1,
        Err(failure) => return Err(Error::io(path)(failure)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn makes_everything_private_except_keys() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let deep = folder.join("s3/objects/AA");
        std::fs::create_dir_all(&deep).unwrap();
        let files = [
            "VERSION",
            "dynamodb.sqlite-shm",
            "s3/index.sqlite",
            "s3/objects/AA/body",
            ROOT_KEY_FILE,
        ];
        for name in files {
            std::fs::write(folder.join(name), "x").unwrap();
            set_permissions(folder.join(name), Permissions::from_mode(0o666)).unwrap();
        }
        for name in ["", "s3", "s3/objects", "s3/objects/AA"] {
            set_permissions(folder.join(name), Permissions::from_mode(0o777)).unwrap();
        }
        let outside = parent.path().join("outside");
        std::fs::write(&outside, "x").unwrap();
        set_permissions(&outside, Permissions::from_mode(0o666)).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("link")).unwrap();
        let done = tighten(&folder).unwrap();
        assert_eq!(
            done,
            Tightened {
                changed: 8,
                refused: 0
            }
        );
        for name in ["", "s3", "s3/objects", "s3/objects/AA"] {
            assert_eq!(mode(&folder.join(name)), 0o700, "{name}");
        }
        for name in &files[..4] {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
        assert_eq!(
            mode(&folder.join(ROOT_KEY_FILE)),
            0o666,
            "others may have read it"
        );
        assert_eq!(mode(&outside), 0o666);
        assert_eq!(tighten(&folder).unwrap(), Tightened::default());
    }
}
