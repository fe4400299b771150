//! The file of items that failed: a line of JSON each, which can be read as input again. Only its owner may read it, since
//! items may hold what is encrypted in the table.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tollgate_client::{Item, Model};

use super::failure::Failure;
use super::{json, typed};

/// The file, if one was asked for.
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Rejects {
    /// Creates the file, or continues it.
    pub(super) fn open(path: Option<&Path>, is_continued: bool) -> Result<Rejects, Failure> {
        let Some(path) = path else {
            return Ok(Rejects {
                path: PathBuf::new(),
                file: None,
            });
        };
        let file = private(path, is_continued)?;
        Ok(Rejects {
            path: path.to_owned(),
            file: Some(BufWriter::new(file)),
        })
    }

    /// Adds an item.
    pub(super) fn add(&mut self, model: &Model, item: Item) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let line = json::compact(&typed::write_item(model, item)) + "\n";
        let written = file.write_all(line.as_bytes());
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    /// Writes what was added.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.flush().map_err(|error| cannot_write(&self.path, &error))
    }
}

/// A file that only its owner may read: a new one, or one that is continued.
pub(super) fn private(path: &Path, is_continued: bool) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .append(is_continued)
        .write(true)
        .truncate(!is_continued);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| cannot_write(path, &error))
}

pub(super) fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Arguments(format!("cannot write {}: {error}", path.display()))
}
