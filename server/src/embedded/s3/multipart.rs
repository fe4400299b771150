//! Multipart uploads until their completion: CreateMultipartUpload, UploadPart, AbortMultipartUpload.

use rusqlite::Connection;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use s3s::{S3ErrorCode, S3Request};
use ulid::Ulid;

use super::catalog::{Checksum, Kind, Segment, insert_segment, now_ms, remove_content, remove_segment};
use super::digest::{Algorithm, base64, hex};
use super::fault::{Fault, invalid_argument, invalid_request};
use super::headers::{refuse_unsupported, take_headers};
use super::integrity::{expected_body, requested_algorithm, set_checksum};
use super::receive::{BODY_BYTES, Body, Received, receive, too_large};
use super::store::Store;
use super::upload::{Upload, UploadName, find_upload, insert_upload, remove_upload};
use super::workers::BodyChanges;

/// Valid part numbers, as in S3.
pub(super) const PARTS: std::ops::RangeInclusive<i32> = 1..=10_000;

/// Handles CreateMultipartUpload.
pub(super) async fn create(
    store: &Store,
    mut request: S3Request<CreateMultipartUploadInput>,
) -> Result<CreateMultipartUploadOutput, Fault> {
    refuse_unsupported!(request.input);
    let headers = take_headers!(request.input)?;
    let input = request.input;
    let chosen = input
        .checksum_algorithm
        .as_ref()
        .map(requested_algorithm)
        .transpose()?;
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
        .write(move |connection| {
            let name = UploadName::new(&input.bucket, &input.key, &id);
            insert_upload(connection, &name, &upload)?;
            Ok(((), BodyChanges::default()))
        })
        .await?;
    Ok(output)
}

/// Handles UploadPart.
pub(super) async fn upload_part(
    store: &Store,
    mut request: S3Request<UploadPartInput>,
) -> Result<UploadPartOutput, Fault> {
    let expected = expected_body!(request)?;
    let input = &mut request.input;
    if !PARTS.contains(&input.part_number) {
        return Err(invalid_number());
    }
    if expected.length_bytes().is_some_and(|length| length > BODY_BYTES) {
        return Err(too_large());
    }
    let name = UploadName::new(&input.bucket, &input.key, &input.upload_id);
    let upload = upload_of_part(store, &name).await?;
    let algorithms = part_algorithms(&upload, expected.algorithm())?;
    let body = input
        .body
        .take()
        .ok_or_else(|| Fault::Broken("the request has no body".to_owned()))?;
    let received = receive(&store.bodies, body, &algorithms, std::future::ready(Ok(()))).await?;
    expected.check(&received.digested)?;
    let output = part_output(&received, expected.algorithm());
    let segment = part_segment(input.part_number, &received, upload.kept_algorithm())?;
    store
        .workers
        .write(move |connection| insert_part(connection, &name, &segment, received.body))
        .await?;
    Ok(output)
}

/// The upload that a part belongs to.
pub(super) async fn upload_of_part(store: &Store, name: &UploadName) -> Result<Upload, Fault> {
    let name = name.clone();
    store
        .workers
        .read(move |connection| find_upload(connection, &name))
        .await
}

/// `InvalidArgument` for the number of a part.
pub(super) fn invalid_number() -> Fault {
    invalid_argument("Part number must be an integer between 1 and 10000, inclusive")
}

/// The row of a part that was received.
pub(super) fn part_segment(number: i32, received: &Received, kept: Algorithm) -> Result<Segment, Fault> {
    Ok(Segment {
        number: i64::from(number),
        size: received.digested.size,
        etag: hex(&received.digested.md5),
        modified_ms: now_ms(),
        checksum: Checksum::from_received(received, kept)?,
        file: None,
    })
}

/// The ETag of the part, and its checksum if the caller sent one.
fn part_output(received: &Received, expected: Option<Algorithm>) -> UploadPartOutput {
    let etag = ETag::Strong(hex(&received.digested.md5));
    let mut output = UploadPartOutput {
        e_tag: Some(etag),
        ..UploadPartOutput::default()
    };
    if let Some(algorithm) = expected
        && let Some(sum) = received.digested.sum(algorithm)
    {
        set_checksum!(output, algorithm, base64(sum));
    }
    output
}

/// Handles AbortMultipartUpload.
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
                BodyChanges { keep: None, remove },
            ))
        })
        .await
}

/// Adds a part to its upload, in place of an earlier one with its number.
pub(super) fn insert_part(
    connection: &Connection,
    name: &UploadName,
    segment: &Segment,
    body: Body,
) -> Result<((), BodyChanges), Fault> {
    let upload = find_upload(connection, name)?;
    let remove = remove_segment(connection, &upload.content, segment.number)?;
    insert_segment(connection, &upload.content, segment, &body)?;
    let keep = match body {
        Body::Inline(_) => None,
        Body::File(new_body) => Some(new_body),
    };
    Ok(((), BodyChanges { keep, remove }))
}

/// The checksums to compute over a part: the one that is stored with it, and the one that the caller sent.
pub(super) fn part_algorithms(upload: &Upload, expected: Option<Algorithm>) -> Result<Vec<Algorithm>, Fault> {
    let kept = upload.kept_algorithm();
    match (upload.algorithm, expected) {
        (_, None) => Ok(vec![kept]),
        (_, Some(expected)) if expected == kept => Ok(vec![kept]),
        (None, Some(expected)) => Ok(vec![kept, expected]),
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

/// What the checksum of the object covers: S3's default for the algorithm, or the caller's choice if the algorithm
/// supports it.
fn checksum_kind(chosen: Option<Algorithm>, requested: Option<&ChecksumType>) -> Result<Kind, Fault> {
    let requested = requested.map(|requested| Kind::from_name(requested.as_str()));
    match (chosen, requested) {
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
