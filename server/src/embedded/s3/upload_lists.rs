//! ListParts and ListMultipartUploads.

use rusqlite::{Connection, params};
use s3s::S3ErrorCode;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListPartsInput, ListPartsOutput, MultipartUpload, Part,
};

use super::catalog::{Segment, require_bucket, segments, timestamp};
use super::fault::{Fault, invalid_argument};
use super::integrity::set_checksum;
use super::store::Store;
use super::upload::{UploadName, find_upload};

/// The maximum number of entries in one page, as in S3.
const PAGE: i32 = 1000;

/// Handles ListParts.
pub(super) async fn list_parts(store: &Store, input: ListPartsInput) -> Result<ListPartsOutput, Fault> {
    let max = page_size(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let name = UploadName::new(&input.bucket, &input.key, &input.upload_id);
    let read = move |connection: &Connection| {
        let snapshot = connection.unchecked_transaction()?;
        let upload = find_upload(&snapshot, &name)?;
        let parts = segments(&snapshot, &upload.content, i64::from(after), i64::from(max) + 1)?;
        Ok((upload, parts))
    };
    let (upload, mut segments) = store.workers.read(read).await?;
    let truncated = truncate(&mut segments, max);
    let next = segments
        .last()
        .and_then(|segment| i32::try_from(segment.number).ok());
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: upload
            .algorithm
            .map(|chosen| ChecksumAlgorithm::from_static(chosen.name())),
        checksum_type: upload
            .algorithm
            .map(|_| ChecksumType::from_static(upload.kind.name())),
        is_truncated: Some(truncated),
        key: Some(input.key),
        max_parts: Some(max),
        next_part_number_marker: next.filter(|_| truncated),
        part_number_marker: Some(after),
        parts: Some(segments.into_iter().map(part).collect()),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    })
}

/// Handles ListMultipartUploads, without delimiter and encoding.
pub(super) async fn list_uploads(
    store: &Store,
    input: ListMultipartUploadsInput,
) -> Result<ListMultipartUploadsOutput, Fault> {
    if input
        .delimiter
        .as_deref()
        .is_some_and(|delimiter| !delimiter.is_empty())
        || input.encoding_type.is_some()
    {
        return Err(Fault::refused(
            S3ErrorCode::NotImplemented,
            "Listing uploads with a delimiter or an encoding is not implemented",
        ));
    }
    let max = page_size(input.max_uploads)?;
    let bucket = input.bucket.clone();
    let prefix = input.prefix.clone().unwrap_or_default();
    let after_key = input.key_marker.clone().unwrap_or_default();
    // a key marker alone skips all uploads of that key: every id sorts before `~`
    let after_id = input.upload_id_marker.clone().unwrap_or_else(|| "~".to_owned());
    let read = move |connection: &Connection| {
        uploads(
            connection,
            &bucket,
            &prefix,
            (&after_key, &after_id),
            i64::from(max) + 1,
        )
    };
    let mut uploads = store.workers.read(read).await?;
    let truncated = truncate(&mut uploads, max);
    let last = uploads.last().filter(|_| truncated);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: input.key_marker,
        max_uploads: Some(max),
        next_key_marker: last.and_then(|upload| upload.key.clone()),
        next_upload_id_marker: last.and_then(|upload| upload.upload_id.clone()),
        prefix: input.prefix,
        upload_id_marker: input.upload_id_marker,
        uploads: Some(uploads),
        ..ListMultipartUploadsOutput::default()
    })
}

fn uploads(
    connection: &Connection,
    bucket: &str,
    prefix: &str,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<MultipartUpload>, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    require_bucket(&snapshot, bucket)?;
    let mut statement = snapshot.prepare_cached(
        "SELECT key, id, created_ms FROM upload
         WHERE bucket = ?1 AND (key, id) > (?2, ?3) AND substr(key, 1, ?4) = ?5 ORDER BY key, id LIMIT ?6",
    )?;
    let prefix_bytes = i64::try_from(prefix.len()).unwrap_or(i64::MAX);
    let values = params![
        bucket,
        after.0.as_bytes(),
        after.1,
        prefix_bytes,
        prefix.as_bytes(),
        limit
    ];
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (key, id, created_ms): (Vec<u8>, String, i64) = row?;
        let key = String::from_utf8(key)
            .map_err(|_| Fault::Broken("the index contains a key that is not UTF-8".to_owned()))?;
        Ok(MultipartUpload {
            initiated: Some(timestamp(created_ms)),
            key: Some(key),
            upload_id: Some(id),
            ..MultipartUpload::default()
        })
    })
    .collect()
}

fn part(segment: Segment) -> Part {
    let mut part = Part {
        e_tag: Some(ETag::Strong(segment.etag)),
        last_modified: Some(timestamp(segment.modified_ms)),
        part_number: i32::try_from(segment.number).ok(),
        size: i64::try_from(segment.size).ok(),
        ..Part::default()
    };
    set_checksum!(part, segment.checksum.algorithm, segment.checksum.text);
    part
}

fn page_size(requested: Option<i32>) -> Result<i32, Fault> {
    let page_size = requested.unwrap_or(PAGE);
    if page_size < 0 {
        return Err(invalid_argument(
            "The page size must be an integer between 0 and 2147483647",
        ));
    }
    Ok(page_size.min(PAGE))
}

/// Limits the rows of a page to its size, and returns whether there are more.
fn truncate<T>(read: &mut Vec<T>, max: i32) -> bool {
    let limit = usize::try_from(max).unwrap_or_default();
    let more = read.len() > limit && limit > 0;
    read.truncate(limit);
    more
}
