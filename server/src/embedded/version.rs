//! `VERSION`: the format of the data folder.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::contents::{self, Record};
use super::error::Error;
use super::layout::VERSION_FILE;
use super::private_file::replace_file;

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// Larger than any version file.
const MAX_VERSION_FILE_BYTES: u64 = 64;

/// Checks that this program supports the folder's format. A new folder has no version yet.
///
/// # Errors
///
/// [`Error::NewerFormat`]; [`Error::Unusable`] if the version is not a format number, or is missing although the
/// folder contains data.
pub(super) fn check_version(folder: &Path) -> Result<(), Error> {
    let path = folder.join(VERSION_FILE);
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => match file.take(MAX_VERSION_FILE_BYTES).read_to_string(&mut text) {
            Err(failure) if failure.kind() != ErrorKind::InvalidData => {
                return Err(Error::io(&path)(failure));
            }
            // invalid UTF-8 is not a number either
            Ok(_) | Err(_) => {}
        },
        Err(failure) if failure.kind() == ErrorKind::NotFound => return check_new(folder, &path),
        Err(failure) => return Err(Error::io(&path)(failure)),
    };
    match text.trim().parse::<u32>() {
        Ok(FORMAT) => Ok(()),
        Ok(found) if found > FORMAT => Err(Error::NewerFormat {
            path: folder.to_path_buf(),
            found,
            known: FORMAT,
        }),
        Ok(_) | Err(_) => Err(Error::unusable(
            &path,
            "not a format number: restore it from a backup",
        )),
    }
}

fn check_new(folder: &Path, path: &Path) -> Result<(), Error> {
    let is_new = match contents::read(folder)? {
        Record::Incomplete => true,
        Record::Complete(_) => false,
        Record::Missing => !contents::contains_any(folder),
    };
    if is_new {
        return Ok(());
    }
    Err(Error::unusable(
        path,
        "missing, but the folder contains data: restore it from a backup",
    ))
}

/// What is wrong with `VERSION`.
///
/// # Errors
///
/// [`Error::NewerFormat`]: nothing else in the folder can be checked.
pub(super) fn version_problem(folder: &Path) -> Result<Option<String>, Error> {
    match check_version(folder) {
        Ok(()) => Ok(None),
        Err(Error::Unusable { problem, .. }) => Ok(Some(problem)),
        Err(failure) => Err(failure),
    }
}

/// Writes the version of a new folder.
pub(super) fn write_version(folder: &Path) -> Result<(), Error> {
    replace_file(&folder.join(VERSION_FILE), format!("{FORMAT}\n").as_bytes())
}
