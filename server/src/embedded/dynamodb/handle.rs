//! One open handle on the database, and what keeps it true: how hard it pushes to the disk, which tables it knows,
//! and how it gets well after a fault. Never runs an operation itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dynoxide::DynoxideError;
use dynoxide::actions::vector_lifecycle::VectorIndexLifecycle;
use dynoxide::storage::Storage;

use super::super::folder::{DYNAMODB_FILE, at, touch, unusable};
use super::super::{Error, Place, Synchronous};
use super::tokens::Tokens;

/// SQLite's numbers for `PRAGMA synchronous`.
const SQLITE_NORMAL: i64 = 1;
const SQLITE_FULL: i64 = 2;
/// SQLite empties its write-ahead log only at a moment without readers; past this size the writer waits for one.
const LOG_BYTES: u64 = 16 * 1024 * 1024;
/// How often the writer looks at the log's size.
const JOBS_PER_LOG_CHECK: u32 = 16;

/// Where handles are opened from.
#[derive(Clone)]
pub(super) enum Source {
    /// A database that only its one handle sees.
    Memory,
    /// A file that many handles see.
    File {
        path: PathBuf,
        synchronous: Synchronous,
        /// Counts the table changes; a reader that has seen fewer opens anew.
        table_changes: Arc<AtomicU64>,
    },
}

impl Source {
    /// The source for a place; makes the file, so that only its owner may read it.
    pub(super) fn of(place: &Place, synchronous: Synchronous) -> Result<Self, Error> {
        let Place::Folder(folder) = place else {
            return Ok(Self::Memory);
        };
        // absolute, or SQLite would take a path that begins with `file:` for a URI
        let path = std::path::absolute(folder.join(DYNAMODB_FILE)).map_err(at(folder))?;
        touch(&path)?;
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

/// A handle, used by one thread at a time.
pub(super) struct Handle {
    /// What operations run on.
    pub(super) storage: Storage,
    source: Source,
    is_reader: bool,
    table_changes_seen: u64,
    jobs_since_log_check: u32,
    /// What TransactWriteItems has done under which token.
    pub(super) tokens: Tokens,
    /// What dynoxide wants for its vector indexes; there are none here.
    pub(super) lifecycle: VectorIndexLifecycle,
}

impl Handle {
    /// The one handle that writes.
    pub(super) fn writer(source: &Source) -> Result<Self, Error> {
        Self::open(source, false)
    }

    /// A handle that SQLite itself keeps from writing.
    pub(super) fn reader(source: &Source) -> Result<Self, Error> {
        Self::open(source, true)
    }

    fn open(source: &Source, is_reader: bool) -> Result<Self, Error> {
        // before the open: a change in between costs one more open, never a stale handle
        let table_changes_seen = source.table_changes();
        Ok(Self {
            storage: open_storage(source, is_reader)?,
            source: source.clone(),
            is_reader,
            table_changes_seen,
            jobs_since_log_check: 0,
            tokens: Tokens::default(),
            lifecycle: VectorIndexLifecycle::new(),
        })
    }

    /// Opens a reader anew where tables have changed since it was opened.
    pub(super) fn refresh(&mut self) -> Result<(), Error> {
        let table_changes = self.source.table_changes();
        if self.is_reader && table_changes != self.table_changes_seen {
            self.storage = open_storage(&self.source, true)?;
            self.table_changes_seen = table_changes;
        }
        Ok(())
    }

    /// Tells the readers that tables have changed.
    pub(super) fn tables_changed(&self) {
        if let Source::File { table_changes, .. } = &self.source {
            table_changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Keeps the log from growing for ever under readers that overlap: called between the writer's jobs.
    pub(super) fn tend_log(&mut self) {
        self.jobs_since_log_check += 1;
        let Source::File { path, .. } = &self.source else {
            return;
        };
        if self.is_reader || self.jobs_since_log_check < JOBS_PER_LOG_CHECK {
            return;
        }
        self.jobs_since_log_check = 0;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() > LOG_BYTES)
            && let Err(failure) = self
                .storage
                .conn()
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%failure, "the dynamodb log could not be emptied");
        }
    }

    /// Makes the handle fit for the next job after one panicked or failed half-way.
    pub(super) fn recover(&mut self) {
        if !self.storage.conn().is_autocommit()
            && let Err(failure) = self.storage.rollback()
        {
            tracing::error!(%failure, "a dynamodb transaction could not be rolled back");
        }
        // what the handle has cached may be of the work undone; memory has no second handle
        if let Source::File { .. } = self.source {
            match open_storage(&self.source, self.is_reader) {
                Ok(storage) => self.storage = storage,
                Err(failure) => tracing::error!(%failure, "a dynamodb handle could not be opened anew"),
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
        return Err(unusable(
            path,
            "SQLite needs a path in UTF-8: choose another data folder",
        ));
    };
    let storage = Storage::new(name).map_err(|failure| match failure {
        DynoxideError::SqliteError(source) => Error::Sqlite {
            path: path.clone(),
            source,
        },
        other => unusable(path, other.to_string()),
    })?;
    settle(&storage, *synchronous, is_reader)
        .map_err(|source| Error::Sqlite {
            path: path.clone(),
            source,
        })?
        .map_or(Ok(storage), |problem| Err(unusable(path, problem)))
}

/// Sets the handle's pragmas and reads them back; `Some` says what SQLite did not do.
fn settle(storage: &Storage, synchronous: Synchronous, is_reader: bool) -> rusqlite::Result<Option<String>> {
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
        return Ok(Some(format!("synchronous is {level}, not {wanted}")));
    }
    if journal != "wal" {
        return Ok(Some(format!(
            "the file system allows no write-ahead log (journal mode {journal}): use a local disk"
        )));
    }
    Ok(None)
}
