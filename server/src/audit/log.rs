//! The log: appends lines in their order, and decides whether calls may begin.
//!
//! | state | a call begins | a line |
//! |---|---|---|
//! | all lines are written, the space is reserved | yes | is appended |
//! | a write failed | `refuse`: no; `continue`: yes | is appended if the freed space suffices, else kept in memory, within bounds |
//!
//! While it fails, one call a second tries to write what is kept and to reserve the space again.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::chain::{Head, Link, number};
use super::file::{LogFile, Reserve};
use super::key::AuditKey;
use super::line::Line;
use super::state::{State, StateError};

/// How often to look for a file that was renamed, and to try again after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes of lines that are kept in memory while they cannot be written.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// The settings of an audit log.
pub struct Settings {
    /// The file; two more are beside it.
    pub file: PathBuf,
    /// The key of its HMACs.
    pub key: AuditKey,
    /// Whether lines are chained.
    pub chain: bool,
    /// What happens to calls if a line cannot be written.
    pub on_failure: OnFailure,
}

/// What happens to calls if a line cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused before they start.
    Refuse,
    /// They go on, and the log of the process says so.
    Continue,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be opened or read.
    #[error("audit.file: {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("audit.file: {} is in use by another process; give each process a file", .0.display())]
    InUse(PathBuf),
    /// The last line is not one that could be continued.
    #[error(
        "audit.file: {} cannot be continued: {text}; check it with `tollgate audit verify` and move it away",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with its last line.
        text: &'static str,
    },
}

/// The lines of calls cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls cannot be audited")]
pub struct Unavailable;

/// A handle to the log. Clones share it.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    key: AuditKey,
    on_failure: OnFailure,
    is_failing: AtomicBool,
    log: Mutex<Log>,
}

struct Log {
    file: LogFile,
    reserve: Reserve,
    state: State,
    is_chained: bool,
    path: PathBuf,
    /// The last line.
    head: Head,
    /// When to look for a renamed file, or to try again.
    look_at: Instant,
    kept: VecDeque<Line>,
    kept_bytes: usize,
    /// Lines that were dropped since the last failure.
    dropped: u64,
}

impl Audit {
    /// Opens the log, and continues its chain.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn open(settings: Settings) -> Result<Audit, Error> {
        let Settings {
            file: path,
            key,
            chain,
            on_failure,
        } = settings;
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
            Some(last) => continued(last, &key, chain).map_err(|text| Error::Unusable {
                path: path.clone(),
                text,
            })?,
            None => kept,
        };
        let reserve = Reserve::open(&reserve_path).map_err(io(&reserve_path))?;
        let mut log = Log {
            file,
            reserve,
            state,
            is_chained: chain,
            path,
            head,
            look_at: Instant::now(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            dropped: 0,
        };
        log.keep_head();
        if tail.cut > 0 {
            warn!(
                bytes = tail.cut,
                "audit: the last line was not written to its end and was cut off"
            );
            log.keep(Line::of_change("AuditRepaired"));
        }
        let is_failing = log.recover(&key).is_err();
        Ok(Audit(Arc::new(Shared {
            key,
            on_failure,
            is_failing: AtomicBool::new(is_failing),
            log: Mutex::new(log),
        })))
    }

    pub(super) fn key(&self) -> &AuditKey {
        &self.0.key
    }

    /// Whether calls may begin.
    pub(super) fn admits(&self) -> bool {
        let shared = &self.0;
        !shared.is_failing.load(Ordering::Acquire)
            || self.try_again()
            || shared.on_failure == OnFailure::Continue
    }

    /// Writes a line about a change of what decides about calls.
    pub fn changed(&self, what: &'static str) {
        self.write(Line::of_change(what));
    }

    /// Opens the file again, if it was renamed.
    pub fn reopen(&self) {
        let mut log = self.0.log.lock();
        if log.file.is_gone() {
            self.noted(log.rotate());
        }
    }

    pub(super) fn write(&self, line: Line) {
        let shared = &self.0;
        let mut log = shared.log.lock();
        if log.kept.is_empty() && log.look_at <= Instant::now() && !shared.is_failing.load(Ordering::Acquire)
        {
            log.look_at = Instant::now() + LOOK_EVERY;
            if log.file.is_gone() {
                self.noted(log.rotate());
            }
        }
        log.keep(line);
        if let Err(failure) = log.write_kept(&shared.key) {
            self.noted(Err(failure));
            // the space is for this; what cannot be written now either is kept
            let _ = log.reserve.release().and_then(|()| log.write_kept(&shared.key));
        }
    }

    /// Tries to write what is kept and to reserve the space, if it is time to. Returns whether that succeeded.
    fn try_again(&self) -> bool {
        let shared = &self.0;
        let mut log = shared.log.lock();
        if !shared.is_failing.load(Ordering::Acquire) {
            return true;
        }
        if log.look_at > Instant::now() {
            return false;
        }
        log.look_at = Instant::now() + LOOK_EVERY;
        let recovered = log.recover(&shared.key);
        if recovered.is_ok() {
            let dropped = std::mem::take(&mut log.dropped);
            info!(lines_dropped = dropped, "audit: lines are written again");
            shared.is_failing.store(false, Ordering::Release);
        }
        recovered.is_ok()
    }

    /// Logs a failure, once until it ends.
    fn noted(&self, outcome: io::Result<()>) {
        let Err(failure) = outcome else { return };
        if !self.0.is_failing.swap(true, Ordering::AcqRel) {
            let refused = self.0.on_failure == OnFailure::Refuse;
            error!(error = %failure, calls_refused = refused, "audit: lines cannot be written");
        }
    }
}

impl Log {
    /// Keeps a line in memory until it is written.
    fn keep(&mut self, line: Line) {
        let bytes = line.bytes();
        if self.kept_bytes.saturating_add(bytes) > MAX_KEPT_BYTES {
            self.dropped += 1;
            if self.dropped == 1 {
                error!("audit: lines are dropped, since too many wait to be written");
            }
            return;
        }
        self.kept_bytes += bytes;
        self.kept.push_back(line);
    }

    /// Appends the kept lines.
    fn write_kept(&mut self, key: &AuditKey) -> io::Result<()> {
        while let Some(line) = self.kept.front() {
            let mut text = line.numbered(self.head.seq.saturating_add(1));
            let next = match self.is_chained {
                true => self.head.link(key, &mut text),
                false => Head {
                    seq: self.head.seq.saturating_add(1),
                    ..Head::START
                },
            };
            text.push('\n');
            self.file.append(text.as_bytes())?;
            self.head = next;
            if let Some(written) = self.kept.pop_front() {
                self.kept_bytes = self.kept_bytes.saturating_sub(written.bytes());
            }
        }
        Ok(())
    }

    /// Writes what is kept, and reserves the space.
    fn recover(&mut self, key: &AuditKey) -> io::Result<()> {
        if self.file.is_gone() {
            self.rotate()?;
        }
        self.write_kept(key)?;
        self.reserve.fill()
    }

    /// Continues in a new file.
    fn rotate(&mut self) -> io::Result<()> {
        self.keep_head();
        let (file, tail) = LogFile::open(&self.path)?;
        if tail.last.is_some() {
            warn!("audit: the file was replaced with one that has lines; the chain goes on after them");
        }
        self.file = file;
        info!(file = %self.path.display(), seq = self.head.seq, "audit: file opened again");
        Ok(())
    }

    fn keep_head(&mut self) {
        if let Err(failure) = self.state.keep(&self.head) {
            warn!(error = %failure, "audit: the last number is not kept for the next start");
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.kept.is_empty() {
            error!(lines = self.kept.len(), "audit: lines are lost");
        }
        self.keep_head();
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

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Audit")
    }
}
