//! Who may touch the data folder: its owner alone. Folders are 0700 and files 0600, whoever made them; the keys are
//! not tightened here but refused where they are read, since others may have read them already.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Error;
use super::folder::{FILE_MODE, FOLDER_MODE, FOREIGN_BITS, ROOT_KEY_FILE, TOKEN_KEY_FILE, at};

/// Levels of folders below the data folder: `s3`, `objects`, and the bodies' own.
const DEPTH: u32 = 4;

/// What [`tighten`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tightened {
    /// Files and folders that are private now.
    pub(super) changed: usize,
    /// Those of other users, which only they may change.
    pub(super) refused: usize,
}

/// Takes the group's and others' rights away from everything in the folder but the keys. Links are not followed.
pub(super) fn tighten(folder: &Path) -> Result<Tightened, Error> {
    let mut done = Tightened::default();
    one(folder, FOLDER_MODE, &mut done)?;
    within(folder, DEPTH, &mut done)?;
    Ok(done)
}

/// The user that this process runs as.
pub(super) fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn within(folder: &Path, depth: u32, done: &mut Tightened) -> Result<(), Error> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Ok(());
    };
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(at(&path))?;
        if kind.is_dir() {
            one(&path, FOLDER_MODE, done)?;
            if entry
                .metadata()
                .is_ok_and(|metadata| metadata.uid() == own_user())
            {
                within(&path, deeper, done)?;
            }
        } else if kind.is_file() && !(depth == DEPTH && is_key(&path)) {
            one(&path, FILE_MODE, done)?;
        }
    }
    Ok(())
}

fn is_key(path: &Path) -> bool {
    [ROOT_KEY_FILE, TOKEN_KEY_FILE]
        .iter()
        .any(|key| path.file_name().is_some_and(|name| name == *key))
}

fn one(path: &Path, mode: u32, done: &mut Tightened) -> Result<(), Error> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        // SQLite's files come and go
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(failure) => return Err(at(path)(failure)),
    };
    let found = metadata.permissions().mode();
    if found & FOREIGN_BITS == 0 {
        return Ok(());
    }
    match set_permissions(path, Permissions::from_mode(found & mode)) {
        Ok(()) => done.changed += 1,
        // a mounted folder may be root's: what lies in it is private nevertheless
        Err(failure) if failure.kind() == std::io::ErrorKind::PermissionDenied => done.refused += 1,
        Err(failure) => return Err(at(path)(failure)),
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
    fn everything_but_the_keys_becomes_private() {
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
