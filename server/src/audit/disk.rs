//! The log on a disk: its file, the space that is reserved for it, and the number that it goes on from.

use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::chain::{Head, Link, number};
use super::error::Error;
use super::file::{LogFile, Reserve};
use super::key::AuditKey;
use super::state::{State, StateError};

/// The files of the log.
pub(super) struct Disk {
    path: PathBuf,
    file: LogFile,
    reserve: Reserve,
    state: State,
}

/// What the files had when they were opened.
pub(super) struct Found {
    /// The last line.
    pub(super) head: Head,
    /// The bytes of a line that was not written to its end, and was cut off.
    pub(super) cut: u64,
}

impl Disk {
    /// Opens the files, and finds the line that they go on from.
    pub(super) fn open(path: PathBuf, key: &AuditKey, is_chained: bool) -> Result<(Disk, Found), Error> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let (state_path, reserve_path) = (beside(&path, "state"), beside(&path, "reserve"));
        let (state, kept) = State::open(&state_path).map_err(|error| match error {
            StateError::InUse => Error::InUse(path.clone()),
            StateError::Io(source) => io(&state_path)(source),
        })?;
        let (file, tail) = LogFile::open(&path).map_err(io(&path))?;
        let head = match &tail.last {
            Some(last) => continued(last, key, is_chained).map_err(|text| Error::Unusable {
                path: path.clone(),
                text,
            })?,
            None => kept,
        };
        let reserve = Reserve::open(&reserve_path).map_err(io(&reserve_path))?;
        let disk = Disk {
            path,
            file,
            reserve,
            state,
        };
        Ok((disk, Found { head, cut: tail.cut }))
    }

    /// Appends a line with its line break.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        self.file.append(line.as_bytes())
    }

    /// Whether the file was renamed or removed.
    pub(super) fn is_gone(&self) -> bool {
        self.file.is_gone()
    }

    /// Continues in a new file.
    pub(super) fn rotate(&mut self, head: &Head) -> io::Result<()> {
        self.keep_head(head);
        let (file, tail) = LogFile::open(&self.path)?;
        if tail.last.is_some() {
            warn!("audit: the file was replaced with one that has lines; the chain goes on after them");
        }
        self.file = file;
        info!(file = %self.path.display(), seq = head.seq, "audit: file opened again");
        Ok(())
    }

    /// Reserves the space.
    pub(super) fn reserve(&mut self) -> io::Result<()> {
        self.reserve.fill()
    }

    /// Frees the reserved space.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.reserve.release()
    }

    /// Keeps the last line for the next start.
    pub(super) fn keep_head(&mut self, head: &Head) {
        if let Err(failure) = self.state.keep(head) {
            warn!(error = %failure, "audit: the last number is not kept for the next start");
        }
    }

    /// Waits until the lines are on the disk.
    pub(super) fn sync(&self) {
        if let Err(failure) = self.file.sync() {
            warn!(error = %failure, "audit: the last lines may not be on the disk");
        }
    }
}

/// The last line of a file that is continued.
fn continued(last: &str, key: &AuditKey, is_chained: bool) -> Result<Head, &'static str> {
    match (Link::parse(last), is_chained) {
        (Some(link), true) if link.is_authentic(key) => Ok(link.head),
        (Some(_), true) => Err("its last line was changed, or was written with another audit.key"),
        (None, true) => Err("its last line is not chained"),
        (Some(_), false) => Err("its lines are chained, but audit.chain is false"),
        (None, false) => match number(last) {
            Some(seq) => Ok(Head { seq, ..Head::START }),
            None => Err("its last line has no `seq`"),
        },
    }
}

/// A file beside another one.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}
