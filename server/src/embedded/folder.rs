//! The data folder: its lock, its format version and the keys that lie in it. Never reads what the engines store.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held exclusively while any engine lives; holds the process id, for the second one's message |
//! | `VERSION` | the folder's format as a decimal number and a newline |
//! | `CONTENTS` | what else the folder holds: see `contents.rs` |
//! | `root.key` | 32 random bytes (0600) that wrap the KMS keys |
//! | `token.key` | 32 random bytes (0600) that seal page tokens |
//!
//! No file is made anew in a folder that held it: its loss is for the operator to know.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::contents::{self, Record};
use super::modes::{own_user, tighten};
use super::{Error, Place};

/// The folder's format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
const LOCK_FILE: &str = "lock";
/// The file of the folder's format.
pub(super) const VERSION_FILE: &str = "VERSION";
/// The file that says what else there is.
pub(super) const CONTENTS_FILE: &str = "CONTENTS";
/// The key that wraps all other keys.
pub(super) const ROOT_KEY_FILE: &str = "root.key";
/// The key of page tokens.
pub(super) const TOKEN_KEY_FILE: &str = "token.key";
/// The file that [`super::kms`] keeps its keys in; they open only with the root key that they were made under.
pub(super) const KMS_FILE: &str = "kms.json";
/// The file that [`super::dynamodb`] keeps its tables in.
pub(super) const DYNAMODB_FILE: &str = "dynamodb.sqlite";
/// The folder of [`super::s3`], the file of its index, and the folder of its bodies.
pub(super) const S3_FOLDER: &str = "s3";
pub(super) const INDEX_FILE: &str = "s3/index.sqlite";
pub(super) const OBJECTS_FOLDER: &str = "s3/objects";
/// Bytes of a root key and of a token key.
pub(super) const KEY_BYTES: usize = 32;
/// More than a key file ever holds.
const MAX_KEY_FILE_BYTES: u64 = 4096;
/// More than a lock or version file ever holds.
const SMALL_FILE_BYTES: u64 = 64;
/// Of every folder.
pub(super) const FOLDER_MODE: u32 = 0o700;
/// Of every file.
pub(super) const FILE_MODE: u32 = 0o600;
/// Permission bits of the group and of others.
pub(super) const FOREIGN_BITS: u32 = 0o077;

/// 32 secret bytes, wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// The opened place and its keys. In a folder it holds the lock.
pub(super) struct Folder {
    path: Option<PathBuf>,
    pub(super) root_key: Key,
    pub(super) token_key: Key,
    _lock: Option<File>,
}

impl Folder {
    /// Opens the folder, making it and its keys where they are missing; in memory, just makes the keys.
    pub(super) fn open(place: &Place) -> Result<Self, Error> {
        let Place::Folder(path) = place else {
            return Ok(Self {
                path: None,
                root_key: random_key()?,
                token_key: random_key()?,
                _lock: None,
            });
        };
        make_folder(path)?;
        let lock = lock(path)?;
        check_version(path)?;
        make_private(path)?;
        contents::begin(path)?;
        if !path.join(VERSION_FILE).exists() {
            write_version(path)?;
        }
        Ok(Self {
            root_key: read_or_make_key(&path.join(ROOT_KEY_FILE))?,
            token_key: read_or_make_key(&path.join(TOKEN_KEY_FILE))?,
            path: Some(path.clone()),
            _lock: Some(lock),
        })
    }

    /// Pushes what was made in the folder to the disk, and records it.
    pub(super) fn complete(&self) -> Result<(), Error> {
        self.path.as_deref().map_or(Ok(()), |path| {
            sync_folder(path)?;
            contents::complete(path)
        })
    }
}

/// A data folder that is locked as it is: nothing is made, changed or refused for what it lacks.
pub(super) struct Inspected(#[expect(dead_code, reason = "held until it is dropped")] File);

impl Inspected {
    /// Locks a data folder that is there.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if it is not one, [`Error::InUse`], [`Error::NewerFormat`].
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let is_ours = path.join(VERSION_FILE).exists() || contents::holds_any(path);
        if !path.is_dir() || !is_ours {
            let problem = "not a data folder of tollgate: name the one that `serve` uses";
            return Err(unusable(path, problem));
        }
        let lock = lock(path)?;
        version_problem(path)?;
        Ok(Self(lock))
    }
}

/// What is wrong with `VERSION`.
///
/// # Errors
///
/// [`Error::NewerFormat`]: nothing else of the folder can be judged.
pub(super) fn version_problem(folder: &Path) -> Result<Option<String>, Error> {
    match check_version(folder) {
        Ok(()) => Ok(None),
        Err(Error::Unusable { problem, .. }) => Ok(Some(problem)),
        Err(failure) => Err(failure),
    }
}

/// Makes a folder and those above it that are missing, mode 0700.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE);
    builder.create(path).map_err(at(path))
}

/// Makes an empty file, mode 0600, if there is none: what SQLite then puts beside it gets the same mode.
pub(super) fn touch(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(FILE_MODE);
    options.open(path).map(drop).map_err(at(path))
}

/// Replaces a file whole, mode 0600: after a crash at any moment either the old bytes or the new are there, and
/// once this returns the new ones survive power loss.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fresh = path.with_added_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(failure) if failure.kind() != ErrorKind::NotFound => return Err(at(&fresh)(failure)),
        // what a crash left behind might be open to others
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&fresh)
        .map_err(at(&fresh))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(at(&fresh))?;
    std::fs::rename(&fresh, path).map_err(at(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Reads a file that only this process's user may touch; `None` if there is none.
pub(super) fn read_private(path: &Path, limit_bytes: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(failure) if failure.kind() == ErrorKind::NotFound => return Ok(None),
        Err(failure) => return Err(at(path)(failure)),
    };
    let metadata = file.metadata().map_err(at(path))?;
    if metadata.permissions().mode() & FOREIGN_BITS != 0 {
        return Err(unusable(
            path,
            "others than its owner may read or write it: chmod 600 it",
        ));
    }
    if metadata.uid() != own_user() {
        let problem = format!(
            "it belongs to user {}, tollgate runs as user {}: chown it, or start tollgate as its owner",
            metadata.uid(),
            own_user()
        );
        return Err(unusable(path, problem));
    }
    if metadata.len() > limit_bytes {
        return Err(unusable(path, "far too large: restore it from a backup"));
    }
    // the whole size at once, so that no half-filled buffer with key bytes is left behind by growing
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len()).unwrap_or(0) + 1,
    ));
    file.take(limit_bytes).read_to_end(&mut bytes).map_err(at(path))?;
    Ok(Some(bytes))
}

/// Fills an array with bytes from the system's generator.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|failure| Error::System(format!("random bytes: {failure}")))?;
    Ok(bytes)
}

/// Names the file in an I/O error.
pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// A file that is there but not as it must be.
pub(super) fn unusable(path: &Path, problem: impl Into<String>) -> Error {
    Error::Unusable {
        path: path.to_path_buf(),
        problem: problem.into(),
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::InUse {
                path: folder.to_path_buf(),
                holder: holder(&file),
            });
        }
        Err(TryLockError::Error(failure)) => return Err(at(&path)(failure)),
    }
    file.set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(at(&path))?;
    Ok(file)
}

/// Who holds the lock, as far as the lock file tells.
fn holder(file: &File) -> String {
    let mut text = String::new();
    match file.take(SMALL_FILE_BYTES).read_to_string(&mut text) {
        Ok(_) => text
            .trim()
            .parse::<u32>()
            .map_or_else(|_| String::new(), |id| format!(" (process {id})")),
        Err(_) => String::new(),
    }
}

/// Refuses newer versions, and data without any.
fn check_version(folder: &Path) -> Result<(), Error> {
    let path = folder.join(VERSION_FILE);
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => match file.take(SMALL_FILE_BYTES).read_to_string(&mut text) {
            Err(failure) if failure.kind() != ErrorKind::InvalidData => return Err(at(&path)(failure)),
            // not text: not a number either
            _ => {}
        },
        Err(failure) if failure.kind() == ErrorKind::NotFound => {
            let is_fresh = match contents::read(folder)? {
                Record::BeingMade => true,
                Record::Held(_) => false,
                Record::None => !contents::holds_any(folder),
            };
            if is_fresh {
                return Ok(());
            }
            return Err(unusable(
                &path,
                "missing beside the data: restore it from a backup",
            ));
        }
        Err(failure) => return Err(at(&path)(failure)),
    };
    match text.trim().parse::<u32>() {
        Ok(FORMAT) => Ok(()),
        Ok(found) if found > FORMAT => Err(Error::NewerFormat {
            path: folder.to_path_buf(),
            found,
            known: FORMAT,
        }),
        _ => Err(unusable(&path, "not a format number: restore it from a backup")),
    }
}

/// Writes the version of a fresh folder.
pub(super) fn write_version(folder: &Path) -> Result<(), Error> {
    write_whole(&folder.join(VERSION_FILE), format!("{FORMAT}\n").as_bytes())
}

fn make_private(folder: &Path) -> Result<(), Error> {
    let done = tighten(folder)?;
    if done.changed > 0 {
        tracing::warn!(
            changed = done.changed,
            "files or folders of the data folder were open to other users and are private now"
        );
    }
    if done.refused > 0 {
        tracing::warn!(
            refused = done.refused,
            "files or folders of the data folder belong to another user and are open to others"
        );
    }
    Ok(())
}

/// Reads a key file; `None` if there is none.
pub(super) fn read_key(path: &Path) -> Result<Option<Key>, Error> {
    let Some(bytes) = read_private(path, MAX_KEY_FILE_BYTES)? else {
        return Ok(None);
    };
    match <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(Some(Zeroizing::new(key))),
        Err(_) => {
            let problem = format!("{} bytes, not {KEY_BYTES}: restore it from a backup", bytes.len());
            Err(unusable(path, problem))
        }
    }
}

fn read_or_make_key(path: &Path) -> Result<Key, Error> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    let key = random_key()?;
    write_whole(path, key.as_slice())?;
    Ok(key)
}

fn random_key() -> Result<Key, Error> {
    random_bytes().map(Zeroizing::new)
}

/// Pushes the names in a folder to the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    // the parent of a bare file name is the empty path: the current folder
    let folder = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(folder))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, metadata, set_permissions};

    use super::*;

    fn mode(path: &Path) -> u32 {
        metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn refusal(place: &Place) -> String {
        Folder::open(place).err().expect("refused").to_string()
    }

    fn fresh() -> (tempfile::TempDir, PathBuf, Place) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep").join("data");
        (parent, path.clone(), Place::Folder(path))
    }

    #[test]
    fn keys_are_made_once_and_only_for_the_owner() {
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
    fn a_second_opener_is_told_who_holds_it_and_what_to_do() {
        let (_parent, path, place) = fresh();
        let folder = Folder::open(&place).unwrap();
        let told = refusal(&place);
        assert!(told.contains("in use by another tollgate"), "{told}");
        assert!(
            told.contains(&format!("process {}", std::process::id())),
            "{told}"
        );
        assert!(
            told.contains(&path.display().to_string()) && told.contains("--data"),
            "{told}"
        );
        drop(folder);
        Folder::open(&place).unwrap();
    }

    #[test]
    fn versions_that_are_newer_unreadable_or_lost_are_refused() {
        let (_parent, path, place) = fresh();
        drop(Folder::open(&place).unwrap());
        let version = path.join(VERSION_FILE);
        for (text, expected) in [
            ("2\n", "use a newer tollgate"),
            ("0\n", "not a format"),
            ("one", "not a format"),
        ] {
            std::fs::write(&version, text).unwrap();
            assert!(refusal(&place).contains(expected), "{text}");
        }
        std::fs::remove_file(&version).unwrap();
        drop(Folder::open(&place).unwrap());
        assert!(version.exists(), "the first start had not ended");
        std::fs::remove_file(&version).unwrap();
        std::fs::remove_file(path.join(CONTENTS_FILE)).unwrap();
        assert!(refusal(&place).contains("VERSION: missing beside the data"));
    }

    #[test]
    fn root_keys_that_are_lost_cut_or_open_to_others_are_refused() {
        let (_parent, path, place) = fresh();
        drop(Folder::open(&place).unwrap());
        let file = path.join(ROOT_KEY_FILE);
        set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(refusal(&place).contains("chmod 600"));
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, [1; KEY_BYTES - 1]).unwrap();
        assert!(refusal(&place).contains("31 bytes, not 32"));
        std::fs::write(&file, [1; MAX_KEY_FILE_BYTES as usize + 1]).unwrap();
        assert!(refusal(&place).contains("too large"));
        std::fs::remove_file(path.join(CONTENTS_FILE)).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(path.join(KMS_FILE), "{}").unwrap();
        assert!(refusal(&place).contains("root.key: missing"));
        assert!(!file.exists(), "a new root key would make the loss final");
    }

    #[test]
    fn a_file_is_replaced_whole_though_an_earlier_try_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kms.json");
        std::fs::write(folder.path().join("kms.json.new"), "left behind by a crash").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(mode(&path), 0o600);
    }
}
