//! The index database: its tables and its format version. Knows nothing of requests.
//!
//! Format 1 (`PRAGMA user_version`). Keys are BLOBs, so that they sort by their bytes, as in S3. A *content* is the bytes
//! of one object or of one incomplete upload: its segments by number, each stored in the row or in a body file. A
//! completed upload becomes an object that refers to the same content, without a copy. `headers` is JSON
//! ([`Headers`](super::headers::Headers)); times are milliseconds since 1970.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::place::Synchronous;
use super::fault::Fault;

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// How long a connection waits for a lock of another connection.
const BUSY: Duration = Duration::from_secs(10);

/// The tables of format 1. Files created by this text must always stay readable: never change it; add a format.
pub(super) const FORMAT_1: &str = "
CREATE TABLE bucket (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE object (
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    content TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    parts INTEGER,
    algorithm TEXT NOT NULL,
    checksum TEXT NOT NULL,
    checksum_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE segment (
    content TEXT NOT NULL,
    number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    checksum TEXT NOT NULL,
    file TEXT,
    bytes BLOB,
    PRIMARY KEY (content, number)
) STRICT;

CREATE UNIQUE INDEX segment_file ON segment (file) WHERE file IS NOT NULL;

CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    content TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    algorithm TEXT,
    checksum_type TEXT NOT NULL,
    headers TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX upload_key ON upload (bucket, key, id);

PRAGMA user_version = 1;
";

/// Opens the connection that writes, and creates the tables of a new index.
pub(super) fn open_writer(file: &Path, synchronous: Synchronous) -> Result<Connection, Fault> {
    let connection = Connection::open(file)?;
    // takes effect only in a file without tables; larger than the default because rows contain bodies
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    match synchronous {
        Synchronous::Full => {
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "fullfsync", true)?;
            connection.pragma_update(None, "checkpoint_fullfsync", true)?;
        }
        Synchronous::Normal => connection.pragma_update(None, "synchronous", "NORMAL")?,
    }
    prepare(&connection)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(file: &Path) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Opens an index in memory.
pub(super) fn open_memory() -> Result<Connection, Fault> {
    let connection = Connection::open_in_memory()?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), Fault> {
    connection.busy_timeout(BUSY)?;
    let format: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match format {
        0 => Ok(connection.execute_batch(&format!("BEGIN IMMEDIATE; {FORMAT_1} COMMIT;"))?),
        FORMAT => Ok(()),
        newer => Err(Fault::Broken(format!(
            "the S3 index has format {newer}, but this tollgate supports formats up to {FORMAT}: use a newer tollgate"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_newer_format() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index.sqlite");
        open_writer(&file, Synchronous::Full)
            .unwrap()
            .pragma_update(None, "user_version", 2)
            .unwrap();
        let fault = open_writer(&file, Synchronous::Full).err().unwrap();
        assert!(fault.to_string().contains("format 2"), "{fault}");
    }

    #[test]
    fn sets_the_durability_of_commits() {
        let folder = tempfile::tempdir().unwrap();
        for (synchronous, expected) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
            let connection = open_writer(&folder.path().join("index.sqlite"), synchronous).unwrap();
            let level: i64 = connection
                .query_row("PRAGMA synchronous", [], |row| row.get(0))
                .unwrap();
            assert_eq!(level, expected);
            let mode: String = connection
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .unwrap();
            assert_eq!(mode, "wal");
        }
    }
}
