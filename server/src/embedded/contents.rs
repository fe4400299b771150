//! `CONTENTS`: the record of the files in a data folder, so that a missing file is noticed and never created again.
//! Reads no other file.
//!
//! From before the first file is created until all files are on disk, the record is the line `being made`. After that
//! it lists the files, one per line. The engines serve no request before that. So a first start that was killed
//! continues where it stopped, and a listed file that is missing was lost. Folders written by versions without a
//! record have all files or none.
//!
//! SQLite's logs are not listed, because they come and go. But SQLite creates the log before the shared memory file
//! (`-shm`) and removes it after that one. Shared memory without a log therefore means that the log, and the last
//! commits with it, were lost.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::layout::{
    CONTENTS_FILE, DYNAMODB_FILE, INDEX_FILE, KMS_FILE, LOG, OBJECTS_FOLDER, ROOT_KEY_FILE, SHARED_MEMORY,
    TOKEN_KEY_FILE, VERSION_FILE,
};
use super::private_file::{replace_file, sync_folder};

/// The files of a complete data folder, relative to it.
pub(super) const ALL_FILES: [&str; 6] = [
    ROOT_KEY_FILE,
    TOKEN_KEY_FILE,
    KMS_FILE,
    DYNAMODB_FILE,
    INDEX_FILE,
    OBJECTS_FOLDER,
];
/// The content of the record until all files are on disk.
const INCOMPLETE: &str = "being made";
/// Larger than any record.
const MAX_BYTES: u64 = 4096;

/// The content of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// There is no record.
    Missing,
    /// A first start has not finished.
    Incomplete,
    /// The folder contained these files.
    Complete(Vec<&'static str>),
}

/// Reads the record.
///
/// # Errors
///
/// [`Error::Unusable`] if the file is not a record.
pub(super) fn read(folder: &Path) -> Result<Record, Error> {
    let path = folder.join(CONTENTS_FILE);
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => match file.take(MAX_BYTES).read_to_string(&mut text) {
            Ok(_) => {}
            Err(failure) if failure.kind() == ErrorKind::InvalidData => return Err(unreadable(&path)),
            Err(failure) => return Err(Error::io(&path)(failure)),
        },
        Err(failure) if failure.kind() == ErrorKind::NotFound => return Ok(Record::Missing),
        Err(failure) => return Err(Error::io(&path)(failure)),
    }
    if text.trim() == INCOMPLETE {
        return Ok(Record::Incomplete);
    }
    let known = |line: &str| ALL_FILES.into_iter().find(|name| *name == line);
    let files: Option<Vec<&'static str>> = text.lines().map(known).collect();
    match files {
        Some(files) if !files.is_empty() => Ok(Record::Complete(files)),
        Some(_) | None => Err(unreadable(&path)),
    }
}

/// Checks that no file is missing. For a new folder, records that its files are being created.
pub(super) fn begin(folder: &Path) -> Result<(), Error> {
    match read(folder)? {
        Record::Incomplete => Ok(()),
        Record::Complete(files) => require(folder, &files),
        Record::Missing if contains_any(folder) || folder.join(VERSION_FILE).exists() => {
            require(folder, &ALL_FILES)
        }
        Record::Missing => replace_file(&folder.join(CONTENTS_FILE), format!("{INCOMPLETE}\n").as_bytes()),
    }
}

/// Records that all files exist, once they are on disk.
pub(super) fn complete(folder: &Path) -> Result<(), Error> {
    if read(folder)? == Record::Complete(ALL_FILES.to_vec()) {
        return Ok(());
    }
    require(folder, &ALL_FILES)?;
    for name in ALL_FILES {
        for path in [folder.join(name), beside(&folder.join(name), LOG)] {
            match File::open(&path).and_then(|file| file.sync_all()) {
                Err(failure) if failure.kind() != ErrorKind::NotFound => {
                    return Err(Error::io(&path)(failure));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if let Some(parent) = folder.join(name).parent() {
            sync_folder(parent)?;
        }
    }
    replace_file(
        &folder.join(CONTENTS_FILE),
        format!("{}\n", ALL_FILES.join("\n")).as_bytes(),
    )
}

/// Lets the next start create the missing files.
pub(super) fn allow_creation(folder: &Path) -> Result<(), Error> {
    replace_file(&folder.join(CONTENTS_FILE), format!("{INCOMPLETE}\n").as_bytes())
}

/// Whether any of the files or any body exists. An empty folder may belong to another program.
pub(super) fn contains_any(folder: &Path) -> bool {
    ALL_FILES.into_iter().any(|name| match name {
        OBJECTS_FOLDER => {
            std::fs::read_dir(folder.join(name)).is_ok_and(|mut entries| entries.next().is_some())
        }
        _ => exists(folder, name),
    })
}

/// The files that do not exist.
pub(super) fn missing(folder: &Path, files: &[&'static str]) -> Vec<&'static str> {
    files
        .iter()
        .copied()
        .filter(|name| !exists(folder, name))
        .collect()
}

/// The databases whose log is missing.
pub(super) fn without_log(folder: &Path) -> Vec<&'static str> {
    let lost_its_log = |name: &&str| {
        let path = folder.join(name);
        beside(&path, SHARED_MEMORY).exists() && !beside(&path, LOG).exists()
    };
    [DYNAMODB_FILE, INDEX_FILE]
        .into_iter()
        .filter(lost_its_log)
        .collect()
}

fn require(folder: &Path, files: &[&'static str]) -> Result<(), Error> {
    let missing = missing(folder, files);
    let Some((first, others)) = missing.split_first() else {
        return require_logs(folder);
    };
    let others = match others {
        [] => String::new(),
        others => format!(" (also missing: {})", others.join(", ")),
    };
    Err(Error::unusable(
        &folder.join(first),
        format!(
            "missing{others}, but this data folder contained it before: restore it from a backup, or run \
             `tollgate fsck {}` to see what is lost",
            folder.display()
        ),
    ))
}

fn require_logs(folder: &Path) -> Result<(), Error> {
    let Some(name) = without_log(folder).into_iter().next() else {
        return Ok(());
    };
    Err(Error::unusable(
        &beside(&folder.join(name), LOG),
        format!(
            "missing although {name}{SHARED_MEMORY} exists, so the last commits are lost: restore it, or {name} \
             alone, from a backup, or continue without it by running `tollgate fsck --repair {}`",
            folder.display()
        ),
    ))
}

/// Whether a file exists. An empty file counts as missing: SQLite treats it as a new database and removes its log.
fn exists(folder: &Path, name: &str) -> bool {
    let path = folder.join(name);
    match std::fs::metadata(&path) {
        Ok(metadata) if name == OBJECTS_FOLDER => metadata.is_dir(),
        Ok(metadata) => metadata.is_file() && metadata.len() > 0,
        Err(_) => false,
    }
}

/// The path of one of SQLite's files beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn unreadable(path: &Path) -> Error {
    Error::unusable(
        path,
        "not a list of the data folder's files: restore it from a backup, or remove it if no file is missing",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path) {
        std::fs::create_dir_all(folder.join(OBJECTS_FOLDER)).unwrap();
        for name in ALL_FILES.into_iter().filter(|name| *name != OBJECTS_FOLDER) {
            std::fs::write(folder.join(name), "content").unwrap();
        }
    }

    fn remove(path: &Path) {
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_folder_is_incomplete_until_all_files_exist() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Record::Incomplete);
        std::fs::write(folder.path().join(ROOT_KEY_FILE), "key").unwrap();
        begin(folder.path()).unwrap();
        assert!(complete(folder.path()).is_err(), "the other files are missing");
        make(folder.path());
        complete(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Record::Complete(ALL_FILES.to_vec()));
        begin(folder.path()).unwrap();
    }

    #[test]
    fn notices_each_missing_file_with_and_without_a_record() {
        for has_record in [true, false] {
            for lost in ALL_FILES {
                let folder = tempfile::tempdir().unwrap();
                make(folder.path());
                if has_record {
                    complete(folder.path()).unwrap();
                }
                remove(&folder.path().join(lost));
                let error = begin(folder.path()).unwrap_err().to_string();
                let path = folder.path().join(lost).display().to_string();
                assert!(error.starts_with(&format!("{path}: missing")), "{error}");
                assert!(
                    error.contains("backup") && error.contains("tollgate fsck"),
                    "{error}"
                );
                assert!(!folder.path().join(lost).exists());
            }
        }
    }

    #[test]
    fn an_empty_database_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        std::fs::write(folder.path().join(DYNAMODB_FILE), "").unwrap();
        assert!(begin(folder.path()).is_err());
        std::fs::write(folder.path().join("dynamodb.sqlite-wal"), "pages").unwrap();
        assert!(begin(folder.path()).is_err(), "SQLite would remove this log");
    }

    #[test]
    fn refuses_an_invalid_record() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "\n", "root.key\nother", "../root.key"] {
            std::fs::write(folder.path().join(CONTENTS_FILE), text).unwrap();
            assert!(begin(folder.path()).is_err(), "{text:?}");
        }
        std::fs::write(folder.path().join(CONTENTS_FILE), [0xff, 0xfe]).unwrap();
        assert!(
            begin(folder.path())
                .unwrap_err()
                .to_string()
                .contains("not a list")
        );
    }
}
