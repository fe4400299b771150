//! Existing SQLite databases, opened for a check. Never creates a database.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// Lines that SQLite's integrity check may return.
const INTEGRITY_LINES: u32 = 20;

/// Opens an existing database.
pub(super) fn open_existing(path: &Path) -> rusqlite::Result<Connection> {
    // absolute, because SQLite treats a path that begins with `file:` as a URI
    let path: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Runs SQLite's integrity check and returns the problems it reports.
pub(super) fn integrity_problems(path: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = open_existing(path)?;
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({INTEGRITY_LINES})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
