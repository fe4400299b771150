//! Uploads in parts, up to their completion: CreateMultipartUpload, UploadPart, ListParts, ListMultipartUploads,
//! AbortMultipartUpload. An upload lives in the index, so it survives a restart.

use rusqlite::{Connection, OptionalExtension as _, params};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3ErrorCode, S3Request};
use ulid::Ulid;

use super::Store;
use super::catalog::{
    Checksum, Kind, Segment, algorithm, insert_segment, kind, now_ms, one, remove_content, remove_segment,
    require_bucket, segments, timestamp,
};
use super::digest::{Algorithm, base64, hex};
use super::fault::{Fault, invalid_argument, invalid_request, no_such_upload};
use super::headers::{Headers, headers_of, refuse_unkept};
use super::intake::{BODY_BYTES, Body, Received, receive, too_large};
use super::promise::{named, promise_of, set_checksum};
use super::put::DEFAULT_ALGORITHM;
use super::workers::Aftermath;

/// The numbers that a part may have, as in S3.
const PARTS: std::ops::RangeInclusive<i32> = 1..=10_000;
/// Most entries of one page, as in S3.
const PAGE: i32 = 1000;

/// An upload under way.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) content: String,
    /// As the caller named it; none where S3 chooses.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) kind: Kind,
    pub(super) headers: Headers,
}

impl Upload {
    /// The algorithm whose sums are kept with the parts.
    pub(super) fn kept_algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(DEFAULT_ALGORITHM)
    }
}

/// Answers CreateMultipartUpload.
pub(super) async fn create(
    store: &Store,
    mut request: S3Request<CreateMultipartUploadInput>,
) -> Result<CreateMultipartUploadOutput, Fault> {
    refuse_unkept!(request.input);
    let headers = headers_of!(request.input)?;
    let input = request.input;
    let chosen = input.checksum_algorithm.as_ref().map(named).transpose()?;
    let kind = checksum_kind(chosen, input.checksum_type.as_ref())?;
    let upload = Upload {
        content: Ulid::generate().to_string(),
        algorithm: chosen,
        kind,
        headers,
    };
    let id = Ulid::generate().to_string();
    let output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        checksum_algorithm: chosen.map(|chosen| ChecksumAlgorithm::from_static(chosen.name())),
        checksum_type: chosen.map(|_| ChecksumType::from_static(kind.name())),
        key: Some(input.key.clone()),
        upload_id: Some(id.clone()),
        ..CreateMultipartUploadOutput::default()
    };
    store
        .workers
        .write(move |connection| insert_upload(connection, &input.bucket, &input.key, &id, &upload))
        .await?;
    Ok(output)
}

/// Answers UploadPart.
pub(super) async fn upload_part(
    store: &Store,
    mut request: S3Request<UploadPartInput>,
) -> Result<UploadPartOutput, Fault> {
    let promise = promise_of!(request)?;
    let input = &mut request.input;
    if !PARTS.contains(&input.part_number) {
        return Err(invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
        ));
    }
    if promise.length_bytes().is_some_and(|length| length > BODY_BYTES) {
        return Err(too_large());
    }
    let name = UploadName::new(&input.bucket, &input.key, &input.upload_id);
    let sought = name.clone();
    let upload = store
        .workers
        .read(move |connection| find_upload(connection, &sought))
        .await?;
    let algorithms = part_algorithms(&upload, promise.algorithm())?;
    let body = input
        .body
        .take()
        .ok_or_else(|| Fault::Broken("a request without a body".to_owned()))?;
    let received = receive(&store.bodies, body, &algorithms, std::future::ready(Ok(()))).await?;
    promise.check(&received.digested)?;
    let output = part_output(&received, promise.algorithm());
    let segment = part_segment(input.part_number, &received, upload.kept_algorithm())?;
    store
        .workers
        .write(move |connection| insert_part(connection, &name, &segment, received.body))
        .await?;
    Ok(output)
}

fn part_segment(number: i32, received: &Received, kept: Algorithm) -> Result<Segment, Fault> {
    Ok(Segment {
        number: i64::from(number),
        size: received.digested.size,
        etag: hex(&received.digested.md5),
        modified_ms: now_ms(),
        checksum: Checksum::of(received, kept)?,
        file: None,
    })
}

/// The part's ETag, and its checksum where the caller promised one.
fn part_output(received: &Received, promised: Option<Algorithm>) -> UploadPartOutput {
    let etag = ETag::Strong(hex(&received.digested.md5));
    let mut output = UploadPartOutput {
        e_tag: Some(etag),
        ..UploadPartOutput::default()
    };
    if let Some(algorithm) = promised
        && let Some(sum) = received.digested.sum(algorithm)
    {
        set_checksum!(output, algorithm, base64(sum));
    }
    output
}

/// Answers ListParts.
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
    let truncated = cut(&mut segments, max);
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

/// Answers ListMultipartUploads; without delimiter.
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
    // a key marker alone skips all uploads of that key; every id sorts before this one
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
    let truncated = cut(&mut uploads, max);
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

/// Answers AbortMultipartUpload.
pub(super) async fn abort(
    store: &Store,
    input: AbortMultipartUploadInput,
) -> Result<AbortMultipartUploadOutput, Fault> {
    let name = UploadName::new(&input.bucket, &input.key, &input.upload_id);
    store
        .workers
        .write(move |connection| {
            let upload = remove_upload(connection, &name)?;
            let remove = vec![remove_content(connection, upload.content)?];
            Ok((
                AbortMultipartUploadOutput::default(),
                Aftermath { keep: None, remove },
            ))
        })
        .await
}

/// What an upload is asked for by.
#[derive(Clone)]
pub(super) struct UploadName {
    bucket: String,
    key: String,
    id: String,
}

impl UploadName {
    pub(super) fn new(bucket: &str, key: &str, id: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
        }
    }
}

/// The upload of that name; `NoSuchUpload`, or `NoSuchBucket`, where there is none.
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
    let Some((content, chosen, stored_kind, headers)) = row else {
        require_bucket(connection, &name.bucket)?;
        return Err(no_such_upload());
    };
    Ok(Upload {
        content,
        algorithm: chosen.as_deref().map(algorithm).transpose()?,
        kind: kind(&stored_kind)?,
        headers: Headers::from_json(&headers)?,
    })
}

/// Takes an upload's row away; its content stays.
pub(super) fn remove_upload(connection: &Connection, name: &UploadName) -> Result<Upload, Fault> {
    let upload = find_upload(connection, name)?;
    let mut statement = connection.prepare_cached("DELETE FROM upload WHERE id = ?1 RETURNING id")?;
    let removed: Option<String> = one(&mut statement, [&name.id])?;
    removed.map(|_| upload).ok_or_else(no_such_upload)
}

fn insert_upload(
    connection: &Connection,
    bucket: &str,
    key: &str,
    id: &str,
    upload: &Upload,
) -> Result<((), Aftermath), Fault> {
    require_bucket(connection, bucket)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO upload (id, bucket, key, content, created_ms, algorithm, checksum_type, headers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        id,
        bucket,
        key.as_bytes(),
        upload.content,
        now_ms(),
        upload.algorithm.map(Algorithm::name),
        upload.kind.name(),
        upload.headers.to_json()?,
    ])?;
    Ok(((), Aftermath::default()))
}

fn insert_part(
    connection: &Connection,
    name: &UploadName,
    segment: &Segment,
    body: Body,
) -> Result<((), Aftermath), Fault> {
    let upload = find_upload(connection, name)?;
    let remove = remove_segment(connection, &upload.content, segment.number)?;
    insert_segment(connection, &upload.content, segment, &body)?;
    let keep = match body {
        Body::Inline(_) => None,
        Body::File(arrival) => Some(arrival),
    };
    Ok(((), Aftermath { keep, remove }))
}

/// What must be calculated over a part: the sum that is kept with it, and the one that its caller promised.
fn part_algorithms(upload: &Upload, promised: Option<Algorithm>) -> Result<Vec<Algorithm>, Fault> {
    let kept = upload.kept_algorithm();
    match (upload.algorithm, promised) {
        (_, None) => Ok(vec![kept]),
        (_, Some(promised)) if promised == kept => Ok(vec![kept]),
        (None, Some(promised)) => Ok(vec![kept, promised]),
        (Some(expected), Some(actual)) => Err(Fault::refused_with(
            S3ErrorCode::InvalidRequest,
            format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                expected.name().to_lowercase(),
                actual.name().to_lowercase()
            ),
        )),
    }
}

/// Over what the object's checksum will be taken: S3's default for the algorithm, or what the caller wants and the
/// algorithm can do.
fn checksum_kind(chosen: Option<Algorithm>, wanted: Option<&ChecksumType>) -> Result<Kind, Fault> {
    let wanted = wanted.map(|wanted| Kind::from_name(wanted.as_str()));
    match (chosen, wanted) {
        (_, Some(None)) => Err(invalid_request(
            "Value for x-amz-checksum-type header is invalid.",
        )),
        (None, None) => Ok(Kind::FullObject),
        (None, Some(Some(_))) => Err(invalid_request(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some(Algorithm::Crc64Nvme), None | Some(Some(Kind::FullObject))) => Ok(Kind::FullObject),
        (Some(Algorithm::Crc64Nvme), Some(Some(Kind::Composite))) => Err(invalid_request(
            "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.",
        )),
        (Some(Algorithm::Sha1 | Algorithm::Sha256), Some(Some(Kind::FullObject))) => Err(invalid_request(
            "The FULL_OBJECT checksum type cannot be used with the sha1 and sha256 checksum algorithms.",
        )),
        (Some(_), None | Some(Some(Kind::Composite))) => Ok(Kind::Composite),
        (Some(Algorithm::Crc32 | Algorithm::Crc32c), Some(Some(Kind::FullObject))) => Ok(Kind::FullObject),
    }
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
            .map_err(|_| Fault::Broken("the index holds a key that is no text".to_owned()))?;
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

fn page_size(asked: Option<i32>) -> Result<i32, Fault> {
    let asked = asked.unwrap_or(PAGE);
    if asked < 0 {
        return Err(invalid_argument(
            "The size of a page must be an integer between 0 and 2147483647",
        ));
    }
    Ok(asked.min(PAGE))
}

/// Cuts what was read for a page to its size; whether there is more.
fn cut<T>(read: &mut Vec<T>, max: i32) -> bool {
    let limit = usize::try_from(max).unwrap_or_default();
    let more = read.len() > limit && limit > 0;
    read.truncate(limit);
    more
}
