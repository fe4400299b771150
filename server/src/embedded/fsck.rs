//! `fsck`: checks a data folder that no process uses, and says what is wrong with it. Changes nothing, unless it is
//! asked to repair: then what cannot be used is moved aside, never deleted.
//!
//! | checked | how |
//! |---|---|
//! | `VERSION`, `CONTENTS` | they can be read; everything that the folder held is there |
//! | `root.key`, `token.key` | 32 bytes that only their owner can read |
//! | `kms.json` | every key opens with `root.key` |
//! | `dynamodb.sqlite`, `s3/index.sqlite` | their logs are there; SQLite's integrity check |
//! | objects | rows have their bodies, bodies have a row, sizes and checksums agree (see `s3/audit.rs`) |
//!
//! Whether the pointers in items have their objects is not checked here.

use std::collections::BTreeMap;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use ulid::Ulid;

use super::contents::{self, HELD, Record};
use super::folder::{
    CONTENTS_FILE, DYNAMODB_FILE, FILE_MODE, FOREIGN_BITS, INDEX_FILE, Inspected, KMS_FILE, Key,
    OBJECTS_FOLDER, ROOT_KEY_FILE, S3_FOLDER, TOKEN_KEY_FILE, VERSION_FILE, at, make_folder, read_key,
    version_problem, write_version,
};
use super::{Error, kms, s3};

/// Findings that are listed; past it they are counted.
const MAX_FINDINGS: usize = 1000;
/// Lines that SQLite's integrity check may return.
const INTEGRITY_LINES: u32 = 20;
/// Where files of the data folder are moved to that cannot be used.
const LOST_FOLDER: &str = "lost";

/// What [`check`] found.
#[derive(Debug, Default)]
pub struct Report {
    /// The first 1,000 findings.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: usize,
    /// How many of them were repaired.
    pub repaired: usize,
    /// How many things were checked, by their name.
    pub checked: BTreeMap<&'static str, u64>,
    /// Bodies that were moved aside, now or before.
    pub set_aside: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the data folder.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What was done about it; none where nothing was.
    pub repair: Option<String>,
}

impl Report {
    pub(super) fn add(
        &mut self,
        path: impl Into<String>,
        problem: impl Into<String>,
        repair: Option<String>,
    ) {
        self.found += 1;
        self.repaired += usize::from(repair.is_some());
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                path: path.into(),
                problem: problem.into(),
                repair,
            });
        }
    }

    pub(super) fn count(&mut self, what: &'static str, number: u64) {
        *self.checked.entry(what).or_default() += number;
    }
}

/// Checks the data folder, and moves aside what cannot be used if `repair` says so.
///
/// # Errors
///
/// If it is not a data folder, is in use, has a newer format, or cannot be read or written.
pub fn check(folder: &Path, repair: bool) -> Result<Report, Error> {
    let inspected = Inspected::open(folder)?;
    let mut check = Check {
        folder,
        repair,
        report: Report::default(),
        is_to_be_made: false,
        without_log: Vec::new(),
    };
    check.version()?;
    check.record()?;
    let root_key = check.key(ROOT_KEY_FILE)?;
    check.key(TOKEN_KEY_FILE)?;
    check.kms(root_key.as_ref())?;
    check.dynamodb()?;
    check.s3()?;
    if check.is_to_be_made {
        contents::forget(folder)?;
    }
    drop(inspected);
    Ok(check.report)
}

struct Check<'a> {
    folder: &'a Path,
    repair: bool,
    report: Report,
    /// The next start makes what is missing.
    is_to_be_made: bool,
    /// Databases that are left alone, since their log was lost.
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
            repair = Some("written anew".to_owned());
        }
        self.report.add(VERSION_FILE, problem, repair);
        Ok(())
    }

    fn record(&mut self) -> Result<(), Error> {
        let held = match contents::read(self.folder) {
            Ok(Record::BeingMade) => return Ok(()),
            Ok(Record::Held(held)) => held,
            Ok(Record::None) => HELD.to_vec(),
            Err(Error::Unusable { problem, .. }) => {
                let repair = self.set_aside(CONTENTS_FILE)?;
                self.report.add(CONTENTS_FILE, problem, repair);
                HELD.to_vec()
            }
            Err(failure) => return Err(failure),
        };
        self.logs()?;
        for name in contents::missing(self.folder, &held) {
            // SQLite would take the log of a database that is gone for the new one's
            self.set_aside(name)?;
            let repair = self.make_anew("the next start makes an empty one");
            self.report
                .add(name, "missing, but this data folder held it", repair);
        }
        Ok(())
    }

    /// A log that was lost takes what was committed last with it; without the shared memory the database opens as it
    /// was before.
    fn logs(&mut self) -> Result<(), Error> {
        for name in contents::without_log(self.folder) {
            self.without_log.push(name);
            let mut repair = None;
            if self.repair {
                let shared_memory = format!("{name}{}", contents::SHARED_MEMORY);
                let aside = self.move_aside(&shared_memory, &[""])?;
                self.without_log.pop();
                repair = Some(format!("{shared_memory} moved to {aside}: goes on without it"));
            }
            let problem = format!("missing beside {name}{}", contents::SHARED_MEMORY);
            self.report
                .add(format!("{name}{}", contents::LOG), problem, repair);
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
        let metadata = std::fs::metadata(&path).map_err(at(&path))?;
        if metadata.permissions().mode() & FOREIGN_BITS == 0 {
            let repair = self.set_aside(name)?;
            self.report.add(name, problem, repair);
            return Ok(None);
        }
        let mut repair = None;
        if self.repair {
            set_permissions(&path, Permissions::from_mode(FILE_MODE)).map_err(at(&path))?;
            repair = Some("only its owner may read it now; others may know the key".to_owned());
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
            // root.key is there and may be read once its mode or owner is right
            None if self.folder.join(ROOT_KEY_FILE).exists() => return Ok(()),
            None => "its keys open only with the root.key that is missing".to_owned(),
        };
        let repair = self.set_aside(KMS_FILE)?;
        self.report.add(KMS_FILE, problem, repair);
        Ok(())
    }

    fn dynamodb(&mut self) -> Result<(), Error> {
        let path = self.folder.join(DYNAMODB_FILE);
        // SQLite would make a new log, and hide that the old one was lost
        if !has_bytes(&path) || self.without_log.contains(&DYNAMODB_FILE) {
            return Ok(());
        }
        match integrity(&path) {
            Ok(problems) => {
                for problem in problems {
                    self.report.add(DYNAMODB_FILE, problem, None);
                }
                self.report.count("databases", 1);
            }
            Err(failure) => {
                let repair = self.set_aside(DYNAMODB_FILE)?;
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
            match integrity(&path) {
                Ok(problems) => {
                    self.report.count("databases", 1);
                    for problem in problems {
                        self.report.add(INDEX_FILE, problem, None);
                    }
                }
                Err(failure) => {
                    let repair = self.set_aside(INDEX_FILE)?;
                    self.report.add(INDEX_FILE, failure.to_string(), repair);
                    has_index = false;
                }
            }
        }
        // bodies are judged by an index, or by there being none
        let can_judge = has_index || !has_bytes(&path);
        if !can_judge || !self.folder.join(OBJECTS_FOLDER).is_dir() {
            return Ok(());
        }
        match s3::audit(&root, has_index, self.repair, &mut self.report) {
            Err(Error::Sqlite { source, .. }) => self.report.add(INDEX_FILE, source.to_string(), None),
            done => done?,
        }
        Ok(())
    }

    fn make_anew(&mut self, what: &str) -> Option<String> {
        self.is_to_be_made |= self.repair;
        self.repair.then(|| what.to_owned())
    }

    /// Moves a file, and what SQLite keeps beside it, to `lost/`; what was done, if that was to be.
    fn set_aside(&mut self, name: &str) -> Result<Option<String>, Error> {
        if !self.repair {
            return Ok(None);
        }
        let aside = self.move_aside(name, &["", contents::LOG, contents::SHARED_MEMORY])?;
        self.is_to_be_made = true;
        Ok(Some(format!("moved to {aside}")))
    }

    /// Moves files whose names begin alike to `lost/`; where they are then.
    fn move_aside(&self, name: &str, suffixes: &[&str]) -> Result<String, Error> {
        let lost = self.folder.join(LOST_FOLDER);
        let aside = format!("{}.{}", name.replace('/', "-"), Ulid::generate());
        for suffix in suffixes {
            let path = self.folder.join(format!("{name}{suffix}"));
            if path.exists() {
                make_folder(&lost)?;
                std::fs::rename(&path, lost.join(format!("{aside}{suffix}"))).map_err(at(&path))?;
            }
        }
        Ok(format!("{LOST_FOLDER}/{aside}"))
    }
}

fn has_bytes(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// Runs SQLite's own check; what it says is wrong.
fn integrity(path: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = open(path)?;
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({INTEGRITY_LINES})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Opens a database that is there.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    // absolute, or SQLite would take a path that begins with `file:` for a URI
    let path: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}
