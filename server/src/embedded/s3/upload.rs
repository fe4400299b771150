//! The rows of multipart uploads. An upload is stored in the index, so it survives a restart.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::catalog::{Kind, now_ms, require_bucket, single_value, stored_algorithm, stored_kind};
use super::digest::Algorithm;
use super::fault::{Fault, no_such_upload};
use super::headers::Headers;

/// A multipart upload that is not complete yet.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) content: String,
    /// The algorithm that the caller chose; `None` if S3 chooses.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) kind: Kind,
    pub(super) headers: Headers,
}

impl Upload {
    /// The algorithm of the checksums that are stored with the parts.
    pub(super) fn kept_algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::DEFAULT)
    }
}

/// Bucket, key and id of an upload.
#[derive(Clone)]
pub(super) struct UploadName {
    bucket: String,
    key: String,
    id: String,
}

impl UploadName {
    /// The name of an upload.
    pub(super) fn new(bucket: &str, key: &str, id: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
        }
    }
}

/// Finds an upload; `NoSuchUpload` or `NoSuchBucket` if it does not exist.
pub(super) fn find_upload(connection: &Connection, name: &UploadName) -> Result<Upload, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT content, algorithm, checksum_type, headers FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3",
    )?;
    let row = statement
        .query_row(params![name.id, name.bucket, name.key.as_bytes()], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        })
        .optional()?;
    let Some((content, chosen, kind, headers)) = row else {
        require_bucket(connection, &name.bucket)?;
        return Err(no_such_upload());
    };
    Ok(Upload {
        content,
        algorithm: chosen.as_deref().map(stored_algorithm).transpose()?,
        kind: stored_kind(&kind)?,
        headers: Headers::from_json(&headers)?,
    })
}

/// Removes the row of an upload; its content stays.
pub(super) fn remove_upload(connection: &Connection, name: &UploadName) -> Result<Upload, Fault> {
    let upload = find_upload(connection, name)?;
    let mut statement = connection.prepare_cached("DELETE FROM upload WHERE id = ?1 RETURNING id")?;
    let removed: Option<String> = single_value(&mut statement, [&name.id])?;
    removed.map(|_| upload).ok_or_else(no_such_upload)
}

/// Adds an upload.
pub(super) fn insert_upload(
    connection: &Connection,
    name: &UploadName,
    upload: &Upload,
) -> Result<(), Fault> {
    require_bucket(connection, &name.bucket)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO upload (id, bucket, key, content, created_ms, algorithm, checksum_type, headers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        name.id,
        name.bucket,
        name.key.as_bytes(),
        upload.content,
        now_ms(),
        upload.algorithm.map(Algorithm::name),
        upload.kind.name(),
        upload.headers.to_json()?,
    ])?;
    Ok(())
}
