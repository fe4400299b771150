//! `CONTENTS`: the record of what a data folder holds, so that a file that was lost is noticed and never made anew.
//! Reads no file but its own.
//!
//! The file has one line `being made` from before the first file is made until all of them are there and on the disk;
//! then it lists them, one a line. Nothing is served before. So a first start that was killed goes on where it ended,
//! and a listed file that is missing was lost. Folders written before there was a record hold all files or none.
//!
//! SQLite's logs are not listed: they come and go. But SQLite makes the log before the shared memory beside it (`-shm`)
//! and removes it after that, so shared memory without a log says that the log, with what was committed last, was lost.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::Error;
use super::folder::{
    CONTENTS_FILE, DYNAMODB_FILE, INDEX_FILE, KMS_FILE, OBJECTS_FOLDER, ROOT_KEY_FILE, TOKEN_KEY_FILE,
    VERSION_FILE, at, sync_folder, unusable, write_whole,
};

/// What a complete data folder holds, relative to it.
pub(super) const HELD: [&str; 6] = [
    ROOT_KEY_FILE,
    TOKEN_KEY_FILE,
    KMS_FILE,
    DYNAMODB_FILE,
    INDEX_FILE,
    OBJECTS_FOLDER,
];
const BEING_MADE: &str = "being made";
/// What SQLite calls the log beside a database.
pub(super) const LOG: &str = "-wal";
/// What it calls the shared memory beside that.
pub(super) const SHARED_MEMORY: &str = "-shm";
/// More than the record ever holds.
const MAX_BYTES: u64 = 4096;

/// What the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// There is none.
    None,
    /// A first start began and did not end.
    BeingMade,
    /// These were there.
    Held(Vec<&'static str>),
}

/// Reads the record.
///
/// # Errors
///
/// [`Error::Unusable`] if it is not a record.
pub(super) fn read(folder: &Path) -> Result<Record, Error> {
    let path = folder.join(CONTENTS_FILE);
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => match file.take(MAX_BYTES).read_to_string(&mut text) {
            Ok(_) => {}
            Err(failure) if failure.kind() == ErrorKind::InvalidData => return Err(unreadable(&path)),
            Err(failure) => return Err(at(&path)(failure)),
        },
        Err(failure) if failure.kind() == ErrorKind::NotFound => return Ok(Record::None),
        Err(failure) => return Err(at(&path)(failure)),
    }
    if text.trim() == BEING_MADE {
        return Ok(Record::BeingMade);
    }
    let known = |line: &str| HELD.into_iter().find(|name| *name == line);
    let held: Option<Vec<&'static str>> = text.lines().map(known).collect();
    match held {
        Some(held) if !held.is_empty() => Ok(Record::Held(held)),
        _ => Err(unreadable(&path)),
    }
}

/// Checks that everything that the folder held is there, and records that a fresh one is being made.
pub(super) fn begin(folder: &Path) -> Result<(), Error> {
    match read(folder)? {
        Record::BeingMade => Ok(()),
        Record::Held(held) => require(folder, &held),
        Record::None if holds_any(folder) || folder.join(VERSION_FILE).exists() => require(folder, &HELD),
        Record::None => write_whole(&folder.join(CONTENTS_FILE), format!("{BEING_MADE}\n").as_bytes()),
    }
}

/// Records that everything is there, once it is on the disk.
pub(super) fn complete(folder: &Path) -> Result<(), Error> {
    if read(folder)? == Record::Held(HELD.to_vec()) {
        return Ok(());
    }
    require(folder, &HELD)?;
    for name in HELD {
        for path in [folder.join(name), beside(&folder.join(name), LOG)] {
            match File::open(&path).and_then(|file| file.sync_all()) {
                Err(failure) if failure.kind() != ErrorKind::NotFound => return Err(at(&path)(failure)),
                _ => {}
            }
        }
        if let Some(parent) = folder.join(name).parent() {
            sync_folder(parent)?;
        }
    }
    write_whole(
        &folder.join(CONTENTS_FILE),
        format!("{}\n", HELD.join("\n")).as_bytes(),
    )
}

/// Lets the next start make what is missing.
pub(super) fn forget(folder: &Path) -> Result<(), Error> {
    write_whole(&folder.join(CONTENTS_FILE), format!("{BEING_MADE}\n").as_bytes())
}

/// Whether any of the files is there, or a body. Empty folders may be anybody's.
pub(super) fn holds_any(folder: &Path) -> bool {
    HELD.into_iter().any(|name| match name {
        OBJECTS_FOLDER => {
            std::fs::read_dir(folder.join(name)).is_ok_and(|mut entries| entries.next().is_some())
        }
        _ => is_held(folder, name),
    })
}

/// Those of the files that are not there.
pub(super) fn missing(folder: &Path, held: &[&'static str]) -> Vec<&'static str> {
    held.iter()
        .copied()
        .filter(|name| !is_held(folder, name))
        .collect()
}

/// The databases whose log was lost.
pub(super) fn without_log(folder: &Path) -> Vec<&'static str> {
    let is_lost = |name: &&str| {
        let path = folder.join(name);
        beside(&path, SHARED_MEMORY).exists() && !beside(&path, LOG).exists()
    };
    [DYNAMODB_FILE, INDEX_FILE].into_iter().filter(is_lost).collect()
}

fn require(folder: &Path, held: &[&'static str]) -> Result<(), Error> {
    let missing = missing(folder, held);
    let Some((first, others)) = missing.split_first() else {
        return require_logs(folder);
    };
    let others = match others {
        [] => String::new(),
        others => format!(" (and so are {})", others.join(", ")),
    };
    Err(unusable(
        &folder.join(first),
        format!(
            "missing{others}, but this data folder held it: restore it from a backup, or run \
             `tollgate fsck {}` to see what is lost",
            folder.display()
        ),
    ))
}

fn require_logs(folder: &Path) -> Result<(), Error> {
    let Some(name) = without_log(folder).into_iter().next() else {
        return Ok(());
    };
    Err(unusable(
        &beside(&folder.join(name), LOG),
        format!(
            "missing beside {name}{SHARED_MEMORY}, and with it what was committed last: restore it, or {name} alone, \
             from a backup, or go on without it after `tollgate fsck --repair {}`",
            folder.display()
        ),
    ))
}

/// An empty file stands for a lost one: SQLite takes it for a new database, and removes the log beside it.
fn is_held(folder: &Path, name: &str) -> bool {
    let path = folder.join(name);
    match std::fs::metadata(&path) {
        Ok(metadata) if name == OBJECTS_FOLDER => metadata.is_dir(),
        Ok(metadata) => metadata.is_file() && metadata.len() > 0,
        Err(_) => false,
    }
}

/// One of SQLite's files beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn unreadable(path: &Path) -> Error {
    unusable(
        path,
        "not a list of what the data folder holds: restore it from a backup, or remove it if all files are there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path) {
        std::fs::create_dir_all(folder.join(OBJECTS_FOLDER)).unwrap();
        for name in HELD.into_iter().filter(|name| *name != OBJECTS_FOLDER) {
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
    fn a_folder_is_being_made_until_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Record::BeingMade);
        std::fs::write(folder.path().join(ROOT_KEY_FILE), "key").unwrap();
        begin(folder.path()).unwrap();
        assert!(complete(folder.path()).is_err(), "the others are missing");
        make(folder.path());
        complete(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Record::Held(HELD.to_vec()));
        begin(folder.path()).unwrap();
    }

    #[test]
    fn each_file_is_missed_with_and_without_a_record() {
        for has_record in [true, false] {
            for lost in HELD {
                let folder = tempfile::tempdir().unwrap();
                make(folder.path());
                if has_record {
                    complete(folder.path()).unwrap();
                }
                remove(&folder.path().join(lost));
                let refused = begin(folder.path()).unwrap_err().to_string();
                let path = folder.path().join(lost).display().to_string();
                assert!(refused.starts_with(&format!("{path}: missing")), "{refused}");
                assert!(
                    refused.contains("backup") && refused.contains("tollgate fsck"),
                    "{refused}"
                );
                assert!(!folder.path().join(lost).exists());
            }
        }
    }

    #[test]
    fn an_emptied_database_is_a_lost_one() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        std::fs::write(folder.path().join(DYNAMODB_FILE), "").unwrap();
        assert!(begin(folder.path()).is_err());
        std::fs::write(folder.path().join("dynamodb.sqlite-wal"), "pages").unwrap();
        assert!(begin(folder.path()).is_err(), "SQLite would remove this log");
    }

    #[test]
    fn a_record_that_is_none_is_refused() {
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
