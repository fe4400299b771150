//! The index's rows of buckets, objects and segments, and their SQL statements. Runs on the workers' threads. Knows
//! nothing of requests and accesses no body file.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use s3s::dto::Timestamp;

use super::bodies::RemovedBodies;
use super::digest::{Algorithm, base64};
use super::fault::{Fault, no_such_bucket};
use super::headers::Headers;
use super::receive::{Body, Received};

/// The checksum of an object, as S3 returns it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checksum {
    pub(super) algorithm: Algorithm,
    /// Base64, with `-PARTS` appended if the checksum is composite.
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What a checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The whole object.
    FullObject,
    /// The checksums of its parts.
    Composite,
}

impl Kind {
    /// The S3 name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// Parses the S3 name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Checksum {
    /// The checksum of a body that has been received.
    pub(super) fn from_received(received: &Received, algorithm: Algorithm) -> Result<Self, Fault> {
        let sum = received
            .digested
            .sum(algorithm)
            .ok_or_else(|| Fault::Broken("a checksum was not computed".to_owned()))?;
        Ok(Self {
            algorithm,
            text: base64(sum),
            kind: Kind::FullObject,
        })
    }
}

/// The row of an object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) content: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    /// The number of parts of a multipart upload; `None` for other objects.
    pub(super) parts: Option<i64>,
    pub(super) checksum: Checksum,
    pub(super) headers: Headers,
}

/// A segment of a content: a part, or all of it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: i64,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified_ms: i64,
    pub(super) checksum: Checksum,
    /// The body file; `None` if the bytes are in the row.
    pub(super) file: Option<String>,
}

/// Returns `NoSuchBucket` if the bucket does not exist.
pub(super) fn require_bucket(connection: &Connection, bucket: &str) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM bucket WHERE name = ?1")?;
    if statement.exists([bucket])? {
        Ok(())
    } else {
        Err(no_such_bucket())
    }
}

/// Finds an object by its key.
pub(super) fn find_object(connection: &Connection, bucket: &str, key: &str) -> Result<Option<Object>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT content, size, etag, modified_ms, parts, algorithm, checksum, checksum_type, headers
         FROM object WHERE bucket = ?1 AND key = ?2",
    )?;
    let found = statement
        .query_row(params![bucket, key.as_bytes()], |row| Ok(read_object(row)))
        .optional()?;
    found.transpose()
}

/// Stores an object under its key, and returns the bodies of the object that it replaces.
pub(super) fn replace_object(
    connection: &Connection,
    bucket: &str,
    key: &str,
    object: &Object,
) -> Result<Vec<RemovedBodies>, Fault> {
    let removed = remove_object(connection, bucket, key)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO object (bucket, key, content, size, etag, modified_ms, parts, algorithm, checksum,
         checksum_type, headers) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    statement.execute(params![
        bucket,
        key.as_bytes(),
        object.content,
        to_sql(object.size)?,
        object.etag,
        object.modified_ms,
        object.parts,
        object.checksum.algorithm.name(),
        object.checksum.text,
        object.checksum.kind.name(),
        object.headers.to_json()?,
    ])?;
    Ok(removed)
}

/// Removes an object, if it exists, and returns its bodies.
pub(super) fn remove_object(
    connection: &Connection,
    bucket: &str,
    key: &str,
) -> Result<Vec<RemovedBodies>, Fault> {
    let mut statement =
        connection.prepare_cached("DELETE FROM object WHERE bucket = ?1 AND key = ?2 RETURNING content")?;
    let content: Option<String> = single_value(&mut statement, params![bucket, key.as_bytes()])?;
    content
        .map(|content| remove_content(connection, content))
        .transpose()
        .map(|removed| removed.into_iter().collect())
}

/// Removes all segments of a content, and returns their bodies.
pub(super) fn remove_content(connection: &Connection, content: String) -> Result<RemovedBodies, Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM segment WHERE content = ?1 RETURNING file")?;
    let files = statement.query_map([&content], |row| row.get::<_, Option<String>>(0))?;
    let bodies = files.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(RemovedBodies { content, bodies })
}

/// Removes a segment, if it exists, and returns its body.
pub(super) fn remove_segment(
    connection: &Connection,
    content: &str,
    number: i64,
) -> Result<Vec<RemovedBodies>, Fault> {
    let mut statement =
        connection.prepare_cached("DELETE FROM segment WHERE content = ?1 AND number = ?2 RETURNING file")?;
    let file: Option<Option<String>> = single_value(&mut statement, params![content, number])?;
    let bodies: Vec<String> = file.flatten().into_iter().collect();
    Ok(vec![RemovedBodies {
        content: content.to_owned(),
        bodies,
    }])
}

/// Adds a received body to a content.
pub(super) fn insert_segment(
    connection: &Connection,
    content: &str,
    segment: &Segment,
    body: &Body,
) -> Result<(), Fault> {
    let (file, bytes) = match body {
        Body::Inline(bytes) => (None, Some(bytes.as_ref())),
        Body::File(new_body) => (Some(new_body.id()), None),
    };
    let mut statement = connection.prepare_cached(
        "INSERT INTO segment (content, number, size, etag, modified_ms, algorithm, checksum, file, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![
        content,
        segment.number,
        to_sql(segment.size)?,
        segment.etag,
        segment.modified_ms,
        segment.checksum.algorithm.name(),
        segment.checksum.text,
        file,
        bytes,
    ])?;
    Ok(())
}

/// The segments of a content after a number, in order, at most `limit`.
pub(super) fn segments(
    connection: &Connection,
    content: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<Segment>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT number, size, etag, modified_ms, algorithm, checksum, file FROM segment
         WHERE content = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let rows = statement.query_map(params![content, after, limit], |row| Ok(read_segment(row)))?;
    rows.map(|row| row.map_err(Fault::from)?).collect()
}

/// The bytes of a segment that are stored in its row.
pub(super) fn segment_bytes(connection: &Connection, content: &str, number: i64) -> Result<Vec<u8>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT bytes FROM segment WHERE content = ?1 AND number = ?2")?;
    Ok(statement.query_row(params![content, number], |row| row.get(0))?)
}

/// Whether a segment refers to a body file.
pub(super) fn refers_to_body(connection: &Connection, file: &str) -> Result<bool, Fault> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM segment WHERE file = ?1")?
        .exists([file])?)
}

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A stored time in the precision of S3: whole seconds.
pub(super) fn timestamp(time_ms: i64) -> Timestamp {
    let seconds = u64::try_from(time_ms / 1000).unwrap_or_default();
    Timestamp::from(UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

/// Runs a statement that changes and returns at most one row. Reads all rows, because the change happens only then.
pub(super) fn single_value<T: rusqlite::types::FromSql>(
    statement: &mut rusqlite::CachedStatement<'_>,
    values: impl rusqlite::Params,
) -> Result<Option<T>, Fault> {
    let rows = statement.query_map(values, |row| row.get(0))?;
    let mut values = rows.collect::<Result<Vec<T>, _>>()?;
    Ok(values.pop())
}

/// Decodes a stored length.
pub(super) fn from_sql(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| damaged())
}

/// Decodes a stored algorithm.
pub(super) fn stored_algorithm(name: &str) -> Result<Algorithm, Fault> {
    Algorithm::from_name(name).ok_or_else(damaged)
}

/// Decodes a stored kind of checksum.
pub(super) fn stored_kind(name: &str) -> Result<Kind, Fault> {
    Kind::from_name(name).ok_or_else(damaged)
}

fn to_sql(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| damaged())
}

fn damaged() -> Fault {
    Fault::Broken("the index contains an invalid value".to_owned())
}

fn read_object(row: &Row<'_>) -> Result<Object, Fault> {
    Ok(Object {
        content: row.get(0)?,
        size: from_sql(row.get(1)?)?,
        etag: row.get(2)?,
        modified_ms: row.get(3)?,
        parts: row.get(4)?,
        checksum: Checksum {
            algorithm: stored_algorithm(&row.get::<_, String>(5)?)?,
            text: row.get(6)?,
            kind: stored_kind(&row.get::<_, String>(7)?)?,
        },
        headers: Headers::from_json(&row.get::<_, String>(8)?)?,
    })
}

fn read_segment(row: &Row<'_>) -> Result<Segment, Fault> {
    Ok(Segment {
        number: row.get(0)?,
        size: from_sql(row.get(1)?)?,
        etag: row.get(2)?,
        modified_ms: row.get(3)?,
        checksum: Checksum {
            algorithm: stored_algorithm(&row.get::<_, String>(4)?)?,
            text: row.get(5)?,
            kind: Kind::FullObject,
        },
        file: row.get(6)?,
    })
}
