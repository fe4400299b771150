//! `fsck`: checks a data folder that no process uses, and reports the problems. Changes nothing unless a repair is
//! requested; a repair moves unusable files to `lost` and never deletes them.
//!
//! | checked | how |
//! |---|---|
//! | `VERSION`, `CONTENTS` | readable; no file is missing |
//! | `root.key`, `token.key` | 32 bytes that only the owner can read |
//! | `kms.json` | every key can be unwrapped with `root.key` |
//! | `dynamodb.sqlite`, `s3/index.sqlite` | logs are present; SQLite's integrity check |
//! | objects | rows have bodies, bodies have a row, sizes and checksums match (see `s3/audit.rs`) |
//!
//! Does not check whether the objects that items point to exist.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ulid::Ulid;

use super::contents::{self, ALL_FILES, Record};
use super::error::Error;
use super::folder::InspectedFolder;
use super::keys::{Key, read_key};
use super::layout::{
    CONTENTS_FILE, DYNAMODB_FILE, FILE_MODE, FOREIGN_BITS, INDEX_FILE, KMS_FILE, LOG, LOST_FOLDER,
    OBJECTS_FOLDER, ROOT_KEY_FILE, S3_FOLDER, SHARED_MEMORY, TOKEN_KEY_FILE, VERSION_FILE,
};
use super::private_file::create_folder;
pub use super::report::{Finding, Report};
use super::sqlite::integrity_problems;
use super::version::{version_problem, write_version};
use super::{kms, s3};

/// Checks the data folder; with `repair`, moves unusable files to `lost`.
///
/// # Errors
///
/// If the folder is not a data folder, is in use, has a newer format, or cannot be read or written.
pub fn check(folder: &Path, repair: bool) -> Result<Report, Error> {
    let inspected = InspectedFolder::open(folder)?;
    let mut check = Check {
        folder,
        repair,
        report: Report::default(),
        creates_missing: false,
        without_log: Vec::new(),
    };
    check.version()?;
    check.record()?;
    let root_key = check.key(ROOT_KEY_FILE)?;
    check.key(TOKEN_KEY_FILE)?;
    check.kms(root_key.as_ref())?;
    check.dynamodb()?;
    check.s3()?;
    if check.creates_missing {
        contents::allow_creation(folder)?;
    }
    drop(inspected);
    Ok(check.report)
}

struct Check<'a> {
    folder: &'a Path,
    repair: bool,
    report: Report,
    /// Whether the next start creates the missing files.
    creates_missing: bool,
    /// Databases that are not opened because their log is missing.
    without_log: Vec<&'static str>,
}

impl Check<'_> {
    fn version(&mut self) -> Result<(), Error> {
        let Some(problem) = version_problem(self.folder)? else {
            return Ok(());
        };
        let mut repair = None;
        if self.repair {
            write_version(self.folder)?;
            repair = Some("rewritten".to_owned());
        }
        self.report.add(VERSION_FILE, problem, repair);
        Ok(())
    }

    fn record(&mut self) -> Result<(), Error> {
        let files = match contents::read(self.folder) {
            Ok(Record::Incomplete) => return Ok(()),
            Ok(Record::Complete(files)) => files,
            Ok(Record::Missing) => ALL_FILES.to_vec(),
            Err(Error::Unusable { problem, .. }) => {
                let repair = self.move_to_lost(CONTENTS_FILE)?;
                self.report.add(CONTENTS_FILE, problem, repair);
                ALL_FILES.to_vec()
            }
            Err(failure) => return Err(failure),
        };
        self.logs()?;
        for name in contents::missing(self.folder, &files) {
            // SQLite would apply the log of the missing database to the new one
            self.move_to_lost(name)?;
            let repair = self.recreate("the next start creates an empty one");
            self.report
                .add(name, "missing, but this data folder contained it before", repair);
        }
        Ok(())
    }

    /// Reports missing logs. The last commits are lost with a log; without the shared memory file the database opens
    /// in its state before them.
    fn logs(&mut self) -> Result<(), Error> {
        for name in contents::without_log(self.folder) {
            self.without_log.push(name);
            let mut repair = None;
            if self.repair {
                let shared_memory = format!("{name}{SHARED_MEMORY}");
                let moved_to = self.move_files(&shared_memory, &[""])?;
                self.without_log.pop();
                repair = Some(format!(
                    "{shared_memory} moved to {moved_to}; the database opens without its log"
                ));
            }
            let problem = format!("missing although {name}{SHARED_MEMORY} exists");
            self.report.add(format!("{name}{LOG}"), problem, repair);
        }
        Ok(())
    }

    fn key(&mut self, name: &'static str) -> Result<Option<Key>, Error> {
        let path = self.folder.join(name);
        let problem = match read_key(&path) {
            Ok(key) => {
                self.report.count("key files", u64::from(key.is_some()));
                return Ok(key);
            }
            Err(Error::Unusable { problem, .. }) => problem,
            Err(failure) => return Err(failure),
        };
        let metadata = std::fs::metadata(&path).map_err(Error::io(&path))?;
        if metadata.permissions().mode() & FOREIGN_BITS == 0 {
            let repair = self.move_to_lost(name)?;
            self.report.add(name, problem, repair);
            return Ok(None);
        }
        let mut repair = None;
        if self.repair {
            set_permissions(&path, Permissions::from_mode(FILE_MODE)).map_err(Error::io(&path))?;
            repair = Some("restricted to its owner; other users may know the key".to_owned());
        }
        self.report.add(name, problem, repair);
        Ok(read_key(&path).ok().flatten())
    }

    fn kms(&mut self, root_key: Option<&Key>) -> Result<(), Error> {
        let path = self.folder.join(KMS_FILE);
        if !path.exists() {
            return Ok(());
        }
        let problem = match root_key {
            Some(root_key) => match kms::check(&path, root_key) {
                Ok(keys) => {
                    self.report.count("KMS keys", keys as u64);
                    return Ok(());
                }
                Err(Error::Unusable { problem, .. }) => problem,
                Err(failure) => return Err(failure),
            },
            // root.key exists and is readable once its mode or owner is corrected
            None if self.folder.join(ROOT_KEY_FILE).exists() => return Ok(()),
            None => "its keys can be unwrapped only with root.key, which is missing".to_owned(),
        };
        let repair = self.move_to_lost(KMS_FILE)?;
        self.report.add(KMS_FILE, problem, repair);
        Ok(())
    }

    fn dynamodb(&mut self) -> Result<(), Error> {
        let path = self.folder.join(DYNAMODB_FILE);
        // SQLite would create a new log and hide that the old one is missing
        if !has_bytes(&path) || self.without_log.contains(&DYNAMODB_FILE) {
            return Ok(());
        }
        match integrity_problems(&path) {
            Ok(problems) => {
                for problem in problems {
                    self.report.add(DYNAMODB_FILE, problem, None);
                }
                self.report.count("databases", 1);
            }
            Err(failure) => {
                let repair = self.move_to_lost(DYNAMODB_FILE)?;
                self.report.add(DYNAMODB_FILE, failure.to_string(), repair);
            }
        }
        Ok(())
    }

    fn s3(&mut self) -> Result<(), Error> {
        let root = self.folder.join(S3_FOLDER);
        let path = self.folder.join(INDEX_FILE);
        if self.without_log.contains(&INDEX_FILE) {
            return Ok(());
        }
        let mut has_index = has_bytes(&path);
        if has_index {
            match integrity_problems(&path) {
                Ok(problems) => {
                    self.report.count("databases", 1);
                    for problem in problems {
                        self.report.add(INDEX_FILE, problem, None);
                    }
                }
                Err(failure) => {
                    let repair = self.move_to_lost(INDEX_FILE)?;
                    self.report.add(INDEX_FILE, failure.to_string(), repair);
                    has_index = false;
                }
            }
        }
        // without an index, no body has a row; an unreadable index says nothing about bodies
        let can_check_bodies = has_index || !has_bytes(&path);
        if !can_check_bodies || !self.folder.join(OBJECTS_FOLDER).is_dir() {
            return Ok(());
        }
        match s3::audit(&root, has_index, self.repair, &mut self.report) {
            Err(Error::Sqlite { source, .. }) => self.report.add(INDEX_FILE, source.to_string(), None),
            done => done?,
        }
        Ok(())
    }

    fn recreate(&mut self, repair: &str) -> Option<String> {
        self.creates_missing |= self.repair;
        self.repair.then(|| repair.to_owned())
    }

    /// In a repair, moves a file and SQLite's files beside it to `lost/` and returns what was done.
    fn move_to_lost(&mut self, name: &str) -> Result<Option<String>, Error> {
        if !self.repair {
            return Ok(None);
        }
        let moved_to = self.move_files(name, &["", LOG, SHARED_MEMORY])?;
        self.creates_missing = true;
        Ok(Some(format!("moved to {moved_to}")))
    }

    /// Moves the files with the given suffixes to `lost/` and returns their new name.
    fn move_files(&self, name: &str, suffixes: &[&str]) -> Result<String, Error> {
        let lost = self.folder.join(LOST_FOLDER);
        let moved_to = format!("{}.{}", name.replace('/', "-"), Ulid::generate());
        for suffix in suffixes {
            let path = self.folder.join(format!("{name}{suffix}"));
            if path.exists() {
                create_folder(&lost)?;
                std::fs::rename(&path, lost.join(format!("{moved_to}{suffix}"))).map_err(Error::io(&path))?;
            }
        }
        Ok(format!("{LOST_FOLDER}/{moved_to}"))
    }
}

fn has_bytes(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}
