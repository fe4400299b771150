//! The checks of `fsck` on the objects: whether index and bodies match. For a store that no process uses.
//!
//! A repair moves bodies to `lost/ID` and the rows of damaged objects, as lines of JSON, to `lost/rows.jsonl`, which
//! preserves bucket, key and metadata of lost objects.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};
use ulid::Ulid;

use super::super::error::Error;
use super::super::layout::{FILE_MODE, LOST_FOLDER, S3_FOLDER, S3_INDEX};
use super::super::private_file::create_folder;
use super::super::report::Report;
use super::super::sqlite::open_existing;
use super::body_files::{body_path, move_to_lost, unreferenced};
use super::catalog::{self, Segment};
use super::digest::{Hasher, base64};
use super::fault::Fault;
use super::schema::FORMAT;

const LOST_ROWS: &str = "rows.jsonl";
/// Bytes of a body that are read at once.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Segments that are read at once.
const SEGMENTS_AT_ONCE: i64 = 1000;

/// Checks the store under `root`. Without an index, no body has a row.
pub(in super::super) fn audit(
    root: &Path,
    has_index: bool,
    repair: bool,
    report: &mut Report,
) -> Result<(), Error> {
    let audit = Audit { root, repair, report };
    audit.run(has_index).map_err(|fault| fault.into_error(root))
}

struct Audit<'a> {
    root: &'a Path,
    repair: bool,
    report: &'a mut Report,
}

impl Audit<'_> {
    fn run(mut self, has_index: bool) -> Result<(), Fault> {
        let mut index = None;
        if has_index {
            let connection = open_existing(&self.root.join(S3_INDEX))?;
            let format: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if format > FORMAT {
                let problem =
                    format!("has format {format}, but this tollgate supports formats up to {FORMAT}");
                self.report.add(path_of(S3_INDEX), problem, None);
                return Ok(());
            }
            // 0: created, without tables
            index = (format == FORMAT).then_some(connection);
        }
        if let Some(index) = &index {
            self.contents(index)?;
        }
        let bodies = unreferenced(self.root, |id| match &index {
            Some(index) => catalog::refers_to_body(index, id),
            None => Ok(false),
        })?;
        for body in bodies {
            let name = body
                .strip_prefix(self.root)
                .unwrap_or(&body)
                .display()
                .to_string();
            let repair = self.repair_body(&body)?;
            self.report
                .add(path_of(&name), "no row in the index refers to it", repair);
        }
        let lost = self.root.join(LOST_FOLDER);
        if lost.is_dir() {
            self.report.set_aside = std::fs::read_dir(&lost)?.count() as u64;
        }
        Ok(())
    }

    /// Checks every content.
    fn contents(&mut self, index: &Connection) -> Result<(), Fault> {
        let names = |sql: &str| -> Result<Vec<String>, Fault> {
            let mut statement = index.prepare(sql)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        for content in names("SELECT content FROM object UNION SELECT content FROM upload")? {
            if let Some(problem) = self.content(index, &content)? {
                self.damaged(index, &content, &problem)?;
            }
        }
        self.report.count("objects", count(index, "object")?);
        self.report.count("uploads", count(index, "upload")?);
        let orphans = "SELECT DISTINCT content FROM segment WHERE content NOT IN (SELECT content FROM object)
                       AND content NOT IN (SELECT content FROM upload)";
        for content in names(orphans)? {
            self.damaged(index, &content, "no object or upload refers to it")?;
        }
        Ok(())
    }

    /// Checks the bytes of an object or upload, and returns the first problem.
    fn content(&mut self, index: &Connection, content: &str) -> Result<Option<String>, Fault> {
        let (mut after, mut bytes) = (i64::MIN, 0_u64);
        loop {
            let segments = match catalog::segments(index, content, after, SEGMENTS_AT_ONCE) {
                Err(Fault::Broken(problem)) => return Ok(Some(problem)),
                segments => segments?,
            };
            let Some(last) = segments.last() else { break };
            after = last.number;
            for segment in &segments {
                bytes = bytes.saturating_add(segment.size);
                if let Some(problem) = self.segment(index, content, segment)? {
                    return Ok(Some(problem));
                }
            }
        }
        let size: Option<i64> = index
            .query_row("SELECT size FROM object WHERE content = ?1", [content], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(size
            .filter(|size| u64::try_from(*size) != Ok(bytes))
            .map(|size| format!("its row records {size} bytes, but its parts have {bytes}")))
    }

    fn segment(
        &mut self,
        index: &Connection,
        content: &str,
        segment: &Segment,
    ) -> Result<Option<String>, Fault> {
        let mut hasher = Hasher::new(segment.checksum.algorithm);
        let mut size = 0_u64;
        let name = match &segment.file {
            None => {
                let bytes = catalog::segment_bytes(index, content, segment.number);
                let Ok(bytes) = bytes else {
                    return Ok(Some("a row has neither bytes nor a body".to_owned()));
                };
                hasher.update(&bytes);
                size += bytes.len() as u64;
                "the bytes in its row".to_owned()
            }
            Some(id) => {
                if Ulid::from_string(id).is_err() {
                    return Ok(Some("a row refers to an invalid body id".to_owned()));
                }
                let path = body_path(self.root, id);
                let name = format!("its body {id}");
                let read = File::open(path).and_then(|mut file| digest(&mut file, &mut hasher));
                match read {
                    Ok(read) => size += read,
                    Err(failure) if failure.kind() == ErrorKind::NotFound => {
                        return Ok(Some(format!("{name} is missing")));
                    }
                    Err(failure) => return Ok(Some(format!("{name} cannot be read: {failure}"))),
                }
                self.report.count("bodies", 1);
                name
            }
        };
        if size != segment.size {
            let expected = segment.size;
            return Ok(Some(format!("{name} has {size} bytes, not {expected}")));
        }
        let checksum = &segment.checksum;
        let matches = base64(&hasher.finish()) == checksum.text;
        Ok((!matches).then(|| format!("{name} does not match its {} checksum", checksum.algorithm.name())))
    }

    /// Reports a damaged content; in a repair, moves it to `lost`.
    fn damaged(&mut self, index: &Connection, content: &str, problem: &str) -> Result<(), Fault> {
        let mut repair = None;
        if self.repair {
            self.move_content_to_lost(index, content, problem)?;
            repair = Some(format!("moved to {S3_FOLDER}/{LOST_FOLDER}"));
        }
        self.report
            .add(path_of(&format!("content {content}")), problem, repair);
        Ok(())
    }

    /// Saves the rows of a content, removes them, then moves its bodies.
    fn move_content_to_lost(
        &mut self,
        index: &Connection,
        content: &str,
        problem: &str,
    ) -> Result<(), Fault> {
        self.save_rows(index, content, problem)?;
        let transaction = index.unchecked_transaction()?;
        transaction.execute("DELETE FROM object WHERE content = ?1", [content])?;
        transaction.execute("DELETE FROM upload WHERE content = ?1", [content])?;
        let removed = catalog::remove_content(&transaction, content.to_owned())?;
        transaction.commit()?;
        for id in removed.bodies.iter().filter(|id| Ulid::from_string(id).is_ok()) {
            let path = body_path(self.root, id);
            if path.exists() {
                move_to_lost(self.root, &path)?;
            }
        }
        Ok(())
    }

    fn save_rows(&self, index: &Connection, content: &str, problem: &str) -> Result<(), Fault> {
        let mut line = BTreeMap::from([("content", content.to_owned()), ("problem", problem.to_owned())]);
        let row = index
            .query_row(
                "SELECT bucket, key, headers FROM object WHERE content = ?1
                 UNION ALL SELECT bucket, key, headers FROM upload WHERE content = ?1",
                [content],
                |row| {
                    let key: Vec<u8> = row.get(1)?;
                    let key = String::from_utf8_lossy(&key).into_owned();
                    Ok([("bucket", row.get(0)?), ("key", key), ("headers", row.get(2)?)])
                },
            )
            .optional()?;
        line.extend(row.into_iter().flatten());
        let lost = self.root.join(LOST_FOLDER);
        create_folder(&lost).map_err(|failure| Fault::Broken(failure.to_string()))?;
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(lost.join(LOST_ROWS))?;
        let text = serde_json::to_string(&line).map_err(|failure| Fault::Broken(failure.to_string()))?;
        writeln!(file, "{text}")?;
        Ok(file.sync_all()?)
    }

    fn repair_body(&self, path: &Path) -> Result<Option<String>, Fault> {
        if !self.repair {
            return Ok(None);
        }
        move_to_lost(self.root, path)?;
        Ok(Some(format!("moved to {S3_FOLDER}/{LOST_FOLDER}")))
    }
}

fn path_of(name: &str) -> String {
    format!("{S3_FOLDER}/{name}")
}

fn count(index: &Connection, table: &str) -> Result<u64, Fault> {
    let sql = format!("SELECT count(*) FROM {table}");
    catalog::from_sql(index.query_row(&sql, [], |row| row.get(0))?)
}

/// Adds a file to a checksum, and returns its size.
fn digest(file: &mut File, hasher: &mut Hasher) -> std::io::Result<u64> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                hasher.update(&block[..read]);
                bytes += read as u64;
            }
            Err(failure) if failure.kind() == ErrorKind::Interrupted => {}
            Err(failure) => return Err(failure),
        }
    }
}
