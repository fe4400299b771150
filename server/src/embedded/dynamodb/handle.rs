//! One open handle on the database: its durability settings, its cached schema, and its recovery after a failure. Never
//! runs an operation itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dynoxide::DynoxideError;
use dynoxide::actions::vector_lifecycle::VectorIndexLifecycle;
use dynoxide::storage::Storage;

use super::super::error::Error;
use super::super::layout::{DYNAMODB_FILE, LOG};
use super::super::place::{Place, Synchronous};
use super::super::private_file::create_file;
use super::expiry::Expiry;
use super::tokens::Tokens;

/// SQLite's value of `PRAGMA synchronous` for [`Synchronous::Normal`].
const SQLITE_NORMAL: i64 = 1;
/// SQLite's value of `PRAGMA synchronous` for [`Synchronous::Full`].
const SQLITE_FULL: i64 = 2;
/// SQLite truncates its write-ahead log only when there is no reader; above this size the writer waits for that.
const LOG_BYTES: u64 = 16 * 1024 * 1024;
/// The writer checks the size of the log after this many jobs.
const JOBS_PER_LOG_CHECK: u32 = 16;

/// The database that handles are opened on.
#[derive(Clone)]
pub(super) enum Source {
    /// A database in memory with a single handle.
    Memory,
    /// A file with many handles.
    File {
        path: PathBuf,
        synchronous: Synchronous,
        /// Counts the table changes; a reader that has seen fewer reopens the file.
        table_changes: Arc<AtomicU64>,
    },
}

impl Source {
    /// The database of a place. Creates the file, readable only by its owner.
    pub(super) fn create(place: &Place, synchronous: Synchronous) -> Result<Self, Error> {
        let Place::Folder(folder) = place else {
            return Ok(Self::Memory);
        };
        // absolute, because SQLite treats a path that begins with `file:` as a URI
        let path = std::path::absolute(folder.join(DYNAMODB_FILE)).map_err(Error::io(folder))?;
        create_file(&path)?;
        Ok(Self::File {
            path,
            synchronous,
            table_changes: Arc::default(),
        })
    }

    fn table_changes(&self) -> u64 {
        match self {
            Self::Memory => 0,
            Self::File { table_changes, .. } => table_changes.load(Ordering::Acquire),
        }
    }
}

/// An open database, used by one thread at a time.
pub(super) struct Handle {
    /// The database, for operations.
    pub(super) storage: Storage,
    source: Source,
    is_reader: bool,
    table_changes_seen: u64,
    jobs_since_log_check: u32,
    /// The client tokens of committed transactions.
    pub(super) tokens: Tokens,
    expiry: Expiry,
    /// State of dynoxide's vector indexes, which this engine does not use.
    pub(super) lifecycle: VectorIndexLifecycle,
}

impl Handle {
    /// Opens the only handle that writes.
    pub(super) fn writer(source: &Source) -> Result<Self, Error> {
        Self::open(source, false)
    }

    /// Opens a handle that SQLite does not allow to write.
    pub(super) fn reader(source: &Source) -> Result<Self, Error> {
        Self::open(source, true)
    }

    fn open(source: &Source, is_reader: bool) -> Result<Self, Error> {
        // read before opening: a concurrent change causes one more reopen, but never a stale handle
        let table_changes_seen = source.table_changes();
        Ok(Self {
            storage: open_storage(source, is_reader)?,
            source: source.clone(),
            is_reader,
            table_changes_seen,
            jobs_since_log_check: 0,
            tokens: Tokens::default(),
            expiry: Expiry::default(),
            lifecycle: VectorIndexLifecycle::new(),
        })
    }

    /// Reopens a reader if tables have changed since it was opened.
    pub(super) fn refresh(&mut self) -> Result<(), Error> {
        let table_changes = self.source.table_changes();
        if self.is_reader && table_changes != self.table_changes_seen {
            self.storage = open_storage(&self.source, true)?;
            self.table_changes_seen = table_changes;
        }
        Ok(())
    }

    /// Makes the readers reopen before their next job.
    pub(super) fn tables_changed(&self) {
        if let Source::File { table_changes, .. } = &self.source {
            table_changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Truncates the log of the writer if it is large. Without this, overlapping readers would let it grow without bound.
    pub(super) fn truncate_large_log(&mut self) {
        self.jobs_since_log_check += 1;
        let Source::File { path, .. } = &self.source else {
            return;
        };
        if self.is_reader || self.jobs_since_log_check < JOBS_PER_LOG_CHECK {
            return;
        }
        self.jobs_since_log_check = 0;
        let mut log = path.as_os_str().to_owned();
        log.push(LOG);
        if std::fs::metadata(log).is_ok_and(|log| log.len() > LOG_BYTES)
            && let Err(failure) = self
                .storage
                .conn()
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%failure, "cannot truncate the DynamoDB log");
        }
    }

    /// Lets the writer remove items that have expired.
    pub(super) fn remove_expired(&mut self) {
        if self.is_reader {
            return;
        }
        if self.expiry.step(&self.storage).is_err() {
            // the error's text may quote an item
            tracing::error!("cannot remove expired items from the DynamoDB database");
            self.recover();
        }
    }

    /// Restores the handle after a job that panicked or failed.
    pub(super) fn recover(&mut self) {
        if !self.storage.conn().is_autocommit()
            && let Err(failure) = self.storage.rollback()
        {
            tracing::error!(%failure, "cannot roll back a DynamoDB transaction");
        }
        // the cached schema may come from the transaction that was rolled back; a database in memory cannot be reopened
        if let Source::File { .. } = self.source {
            match open_storage(&self.source, self.is_reader) {
                Ok(storage) => self.storage = storage,
                Err(failure) => tracing::error!(%failure, "cannot reopen a DynamoDB handle"),
            }
        }
    }
}

fn open_storage(source: &Source, is_reader: bool) -> Result<Storage, Error> {
    let Source::File {
        path, synchronous, ..
    } = source
    else {
        return Storage::memory().map_err(|failure| Error::System(failure.to_string()));
    };
    let Some(name) = path.to_str() else {
        return Err(Error::unusable(
            path,
            "SQLite requires a UTF-8 path: choose another data folder",
        ));
    };
    let storage = Storage::new(name).map_err(|failure| match failure {
        DynoxideError::SqliteError(source) => Error::Sqlite {
            path: path.clone(),
            source,
        },
        other => Error::unusable(path, other.to_string()),
    })?;
    set_pragmas(&storage, *synchronous, is_reader)
        .map_err(|source| Error::Sqlite {
            path: path.clone(),
            source,
        })?
        .map_or(Ok(storage), |problem| Err(Error::unusable(path, problem)))
}

/// Sets the pragmas of a handle and reads them back. Returns a problem if SQLite did not apply them.
fn set_pragmas(
    storage: &Storage,
    synchronous: Synchronous,
    is_reader: bool,
) -> rusqlite::Result<Option<String>> {
    let connection = storage.conn();
    let wanted = match synchronous {
        Synchronous::Full => SQLITE_FULL,
        Synchronous::Normal => SQLITE_NORMAL,
    };
    connection.pragma_update(None, "synchronous", wanted)?;
    connection.pragma_update(None, "query_only", is_reader)?;
    let level: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if level != wanted {
        return Ok(Some(format!(
            "SQLite set synchronous to {level} instead of {wanted}"
        )));
    }
    if journal != "wal" {
        return Ok(Some(format!(
            "the file system does not support a write-ahead log (journal mode {journal}): use a local disk"
        )));
    }
    Ok(None)
}
