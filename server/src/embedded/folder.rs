//! The data folder: opened and locked, with its format checked and its keys read. Never reads what the engines store.
//!
//! A file that the folder has contained before is never created again: the operator must learn of its loss.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::contents;
use super::error::Error;
use super::keys::{Key, random_key, read_or_create_key};
use super::layout::{ROOT_KEY_FILE, TOKEN_KEY_FILE, VERSION_FILE};
use super::lock::lock;
use super::permissions::tighten;
use super::place::Place;
use super::private_file::{create_folder, sync_folder};
use super::version::{check_version, version_problem, write_version};

/// An open data folder, or memory, and its keys. A folder stays locked until this is dropped.
pub(super) struct Folder {
    path: Option<PathBuf>,
    pub(super) root_key: Key,
    pub(super) token_key: Key,
    _lock: Option<File>,
}

impl Folder {
    /// Opens the folder and creates it and its keys if they are missing; in memory, only creates the keys.
    pub(super) fn open(place: &Place) -> Result<Self, Error> {
        let Place::Folder(path) = place else {
            return Ok(Self {
                path: None,
                root_key: random_key()?,
                token_key: random_key()?,
                _lock: None,
            });
        };
        create_folder(path)?;
        let lock = lock(path)?;
        check_version(path)?;
        make_private(path)?;
        contents::begin(path)?;
        if !path.join(VERSION_FILE).exists() {
            write_version(path)?;
        }
        Ok(Self {
            root_key: read_or_create_key(&path.join(ROOT_KEY_FILE))?,
            token_key: read_or_create_key(&path.join(TOKEN_KEY_FILE))?,
            path: Some(path.clone()),
            _lock: Some(lock),
        })
    }

    /// Flushes the files that were created to the disk and records them.
    pub(super) fn complete(&self) -> Result<(), Error> {
        self.path.as_deref().map_or(Ok(()), |path| {
            sync_folder(path)?;
            contents::complete(path)
        })
    }
}

/// A data folder that is locked for inspection: nothing is created or changed, and missing files are not an error.
pub(super) struct InspectedFolder(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

impl InspectedFolder {
    /// Locks an existing data folder.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if it is not a data folder, [`Error::InUse`], [`Error::NewerFormat`].
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let is_ours = path.join(VERSION_FILE).exists() || contents::contains_any(path);
        if !path.is_dir() || !is_ours {
            let problem = "not a data folder of tollgate: use the folder that `serve` uses";
            return Err(Error::unusable(path, problem));
        }
        let lock = lock(path)?;
        version_problem(path)?;
        Ok(Self(lock))
    }
}

fn make_private(folder: &Path) -> Result<(), Error> {
    let done = tighten(folder)?;
    if done.changed > 0 {
        tracing::warn!(
            changed = done.changed,
            "removed the access of other users to files or folders in the data folder"
        );
    }
    if done.refused > 0 {
        tracing::warn!(
            refused = done.refused,
            "files or folders in the data folder are owned by another user and accessible to others"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::super::keys::{KEY_BYTES, MAX_KEY_FILE_BYTES};
    use super::super::layout::{CONTENTS_FILE, KMS_FILE, LOCK_FILE};
    use super::*;

    fn mode(path: &Path) -> u32 {
        metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn open_error(place: &Place) -> String {
        Folder::open(place).err().expect("must be refused").to_string()
    }

    fn fresh() -> (tempfile::TempDir, PathBuf, Place) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep").join("data");
        (parent, path.clone(), Place::Folder(path))
    }

    #[test]
    fn creates_keys_once_and_only_for_the_owner() {
        let (_parent, path, place) = fresh();
        let (root_key, token_key) = {
            let folder = Folder::open(&place).unwrap();
            (*folder.root_key, *folder.token_key)
        };
        assert_eq!(mode(&path), 0o700);
        for name in [
            LOCK_FILE,
            VERSION_FILE,
            CONTENTS_FILE,
            ROOT_KEY_FILE,
            TOKEN_KEY_FILE,
        ] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert_ne!(root_key, token_key);
        let again = Folder::open(&place).unwrap();
        assert_eq!((*again.root_key, *again.token_key), (root_key, token_key));
        let memory = [
            Folder::open(&Place::Memory).unwrap(),
            Folder::open(&Place::Memory).unwrap(),
        ];
        assert_ne!(memory[0].root_key, memory[1].root_key);
    }

    #[test]
    fn a_second_open_fails_and_names_the_holder_and_the_fix() {
        let (_parent, path, place) = fresh();
        let folder = Folder::open(&place).unwrap();
        let error = open_error(&place);
        assert!(error.contains("in use by another tollgate"), "{error}");
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        assert!(
            error.contains(&path.display().to_string()) && error.contains("--data"),
            "{error}"
        );
        drop(folder);
        Folder::open(&place).unwrap();
    }

    #[test]
    fn refuses_newer_unreadable_and_missing_versions() {
        let (_parent, path, place) = fresh();
        drop(Folder::open(&place).unwrap());
        let version = path.join(VERSION_FILE);
        for (text, expected) in [
            ("2\n", "use a newer tollgate"),
            ("0\n", "not a format"),
            ("one", "not a format"),
        ] {
            std::fs::write(&version, text).unwrap();
            assert!(open_error(&place).contains(expected), "{text}");
        }
        std::fs::remove_file(&version).unwrap();
        drop(Folder::open(&place).unwrap());
        assert!(version.exists(), "the first start was interrupted");
        std::fs::remove_file(&version).unwrap();
        std::fs::remove_file(path.join(CONTENTS_FILE)).unwrap();
        assert!(open_error(&place).contains("VERSION: missing, but the folder contains data"));
    }

    #[test]
    fn refuses_root_keys_that_are_missing_truncated_or_readable_by_others() {
        let (_parent, path, place) = fresh();
        drop(Folder::open(&place).unwrap());
        let file = path.join(ROOT_KEY_FILE);
        set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(open_error(&place).contains("chmod 600"));
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, [1; KEY_BYTES - 1]).unwrap();
        assert!(open_error(&place).contains("31 bytes, expected 32"));
        std::fs::write(&file, [1; MAX_KEY_FILE_BYTES as usize + 1]).unwrap();
        assert!(open_error(&place).contains("too large"));
        std::fs::remove_file(path.join(CONTENTS_FILE)).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(path.join(KMS_FILE), "{}").unwrap();
        assert!(open_error(&place).contains("root.key: missing"));
        assert!(!file.exists(), "a new root key would make the loss permanent");
    }
}
