//! The log: writes lines in their order, and decides whether calls may begin.
//!
//! | state | a call begins | a line |
//! |---|---|---|
//! | all lines are written, the space is reserved | yes | is appended |
//! | a write failed | `refuse`: no; `continue`: yes | is appended if the freed space suffices, else kept in memory, within bounds |
//! | the outlet has no room | `refuse`: no; `continue`: yes | is appended; the outlet may lose it |
//!
//! While it fails, one call a second tries to write what is kept and to reserve the space again. A line goes to the outlet
//! once it is in the file.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::chain::Head;
use super::disk::Disk;
use super::error::Error;
use super::key::AuditKey;
use super::line::{Line, Unnumbered};

/// How often to look for a file that was renamed, and to try again after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes of lines that are kept in memory while they cannot be written.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// The settings of an audit log.
pub struct Settings {
    /// The file; two more are beside it. `None`: lines go to the outlet alone.
    pub file: Option<PathBuf>,
    /// Where lines go besides the file.
    pub outlet: Option<Box<dyn Outlet>>,
    /// The key of its HMACs.
    pub key: AuditKey,
    /// Whether lines are chained.
    pub chain: bool,
    /// What happens to calls if a line cannot be written.
    pub on_failure: OnFailure,
}

/// Where lines go besides the file, or in place of it. Never blocks, and logs what it loses.
pub trait Outlet: Send + Sync {
    /// Whether the lines of further calls have room.
    fn has_room(&self) -> bool;

    /// Takes a line; lines come in the order of their numbers.
    fn put(&self, seq: u64, line: String);
}

/// What happens to calls if a line cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused before they start.
    Refuse,
    /// They go on, and the log of the process says so.
    Continue,
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
    outlet: Option<Box<dyn Outlet>>,
    is_failing: AtomicBool,
    log: Mutex<Log>,
}

struct Log {
    disk: Option<Disk>,
    is_chained: bool,
    /// The last line.
    head: Head,
    /// When to look for a renamed file, or to try again.
    look_at: Instant,
    kept: VecDeque<Unnumbered>,
    kept_bytes: usize,
    /// Lines that were dropped since the last failure.
    dropped: u64,
}

/// What the lines are written with.
#[derive(Clone, Copy)]
struct With<'a> {
    key: &'a AuditKey,
    outlet: Option<&'a dyn Outlet>,
}

impl Audit {
    /// Opens the log, and continues its chain.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn open(settings: Settings) -> Result<Audit, Error> {
        let Settings {
            file,
            outlet,
            key,
            chain,
            on_failure,
        } = settings;
        let opened = file.map(|path| Disk::open(path, &key, chain)).transpose()?;
        let (disk, found) = opened.unzip();
        let mut log = Log {
            disk,
            is_chained: chain,
            head: found.as_ref().map_or(Head::START, |found| found.head),
            look_at: Instant::now(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            dropped: 0,
        };
        log.keep_head();
        if let Some(bytes) = found.map(|found| found.cut).filter(|bytes| *bytes > 0) {
            warn!(
                bytes,
                "audit: the last line was not written to its end and was cut off"
            );
            log.keep(Line::of_change("AuditRepaired"));
        }
        let with = With {
            key: &key,
            outlet: outlet.as_deref(),
        };
        let is_failing = log.recover(with).is_err();
        Ok(Audit(Arc::new(Shared {
            key,
            on_failure,
            outlet,
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
        let is_written = !shared.is_failing.load(Ordering::Acquire) || self.try_again();
        let has_room = shared.outlet.as_ref().is_none_or(|outlet| outlet.has_room());
        (is_written && has_room) || shared.on_failure == OnFailure::Continue
    }

    /// Writes a line about a change of what decides about calls.
    pub fn changed(&self, what: &'static str) {
        self.write(Line::of_change(what));
    }

    /// Opens the file again, if it was renamed.
    pub fn reopen(&self) {
        let outcome = self.0.log.lock().rotate_if_gone();
        self.noted(outcome);
    }

    pub(super) fn write(&self, line: Unnumbered) {
        let shared = &self.0;
        let mut log = shared.log.lock();
        if log.kept.is_empty() && log.look_at <= Instant::now() && !shared.is_failing.load(Ordering::Acquire)
        {
            log.look_at = Instant::now() + LOOK_EVERY;
            let outcome = log.rotate_if_gone();
            self.noted(outcome);
        }
        log.keep(line);
        if let Err(failure) = log.write_kept(shared.with()) {
            self.noted(Err(failure));
            // the space is for this; what cannot be written now either is kept
            let _ = log.release().and_then(|()| log.write_kept(shared.with()));
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
        let recovered = log.recover(shared.with());
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

impl Shared {
    fn with(&self) -> With<'_> {
        With {
            key: &self.key,
            outlet: self.outlet.as_deref(),
        }
    }
}

impl Log {
    /// Keeps a line in memory until it is written.
    fn keep(&mut self, line: Unnumbered) {
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

    /// Writes the kept lines.
    fn write_kept(&mut self, with: With<'_>) -> io::Result<()> {
        while let Some(line) = self.kept.front() {
            let mut text = line.numbered(self.head.seq.saturating_add(1));
            let next = match self.is_chained {
                true => self.head.link(with.key, &mut text),
                false => Head {
                    seq: self.head.seq.saturating_add(1),
                    ..Head::START
                },
            };
            if let Some(disk) = &mut self.disk {
                text.push('\n');
                disk.append(&text)?;
                text.pop();
            }
            self.head = next;
            if let Some(written) = self.kept.pop_front() {
                self.kept_bytes = self.kept_bytes.saturating_sub(written.bytes());
            }
            if let Some(outlet) = with.outlet {
                outlet.put(next.seq, text);
            }
        }
        Ok(())
    }

    /// Writes what is kept, and reserves the space.
    fn recover(&mut self, with: With<'_>) -> io::Result<()> {
        self.rotate_if_gone()?;
        self.write_kept(with)?;
        self.disk.as_mut().map_or(Ok(()), Disk::reserve)
    }

    /// Continues in a new file, if the file was renamed.
    fn rotate_if_gone(&mut self) -> io::Result<()> {
        match &mut self.disk {
            Some(disk) if disk.is_gone() => disk.rotate(&self.head),
            Some(_) | None => Ok(()),
        }
    }

    fn release(&mut self) -> io::Result<()> {
        self.disk.as_mut().map_or(Ok(()), Disk::release)
    }

    fn keep_head(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.keep_head(&self.head);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.kept.is_empty() {
            error!(lines = self.kept.len(), "audit: lines are lost");
        }
        self.keep_head();
        if let Some(disk) = &self.disk {
            disk.sync();
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Audit")
    }
}
