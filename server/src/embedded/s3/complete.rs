//! CompleteMultipartUpload: the content of the upload becomes the content of the object, in one transaction and without
//! a copy.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use std::collections::HashMap;

use rusqlite::Connection;
use s3s::S3ErrorCode;
use s3s::dto::{
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, ETag,
};

use super::bodies::RemovedBodies;
use super::catalog::{
    Checksum, Kind, Object, Segment, find_object, now_ms, remove_segment, replace_object, segments,
};
use super::conditions::WriteCondition;
use super::digest::{Algorithm, base64, hex, md5, unhex};
use super::fault::{Fault, invalid_request};
use super::integrity::{checksum_fields, set_checksum, single_checksum};
use super::store::Store;
use super::upload::{Upload, UploadName, find_upload, remove_upload};
use super::workers::BodyChanges;

/// The minimum size of every part except the last, as in S3.
pub(super) const PART_BYTES: u64 = 5 * 1024 * 1024;
/// Larger than the number of parts of any upload.
const ALL_PARTS: i64 = 10_001;

/// Handles CompleteMultipartUpload.
pub(super) async fn complete(
    store: &Store,
    mut input: CompleteMultipartUploadInput,
) -> Result<CompleteMultipartUploadOutput, Fault> {
    let condition = WriteCondition {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
    };
    let condition = condition.supported()?;
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let object = store
        .workers
        .write(move |connection| complete_in_index(connection, &input, &condition))
        .await?;
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(bucket),
        checksum_type: Some(ChecksumType::from_static(object.checksum.kind.name())),
        e_tag: Some(ETag::Strong(object.etag)),
        key: Some(key),
        ..CompleteMultipartUploadOutput::default()
    };
    set_checksum!(output, object.checksum.algorithm, object.checksum.text);
    Ok(output)
}

fn complete_in_index(
    connection: &Connection,
    input: &CompleteMultipartUploadInput,
    condition: &WriteCondition,
) -> Result<(Object, BodyChanges), Fault> {
    let name = UploadName::new(&input.bucket, &input.key, &input.upload_id);
    let upload = find_upload(connection, &name)?;
    let stored = segments(connection, &upload.content, 0, ALL_PARTS)?;
    let listed = listed_parts(input)?;
    let parts = chosen_parts(&upload, listed, &stored)?;
    condition.check(find_object(connection, &input.bucket, &input.key)?.as_ref())?;
    let object = object(input, &upload, &parts)?;
    let mut remove = drop_unlisted(connection, &upload.content, &stored, &parts)?;
    remove.extend(replace_object(connection, &input.bucket, &input.key, &object)?);
    remove_upload(connection, &name)?;
    Ok((object, BodyChanges { keep: None, remove }))
}

fn listed_parts(input: &CompleteMultipartUploadInput) -> Result<&[CompletedPart], Fault> {
    let listed = input
        .multipart_upload
        .as_ref()
        .and_then(|upload| upload.parts.as_deref())
        .unwrap_or_default();
    if listed.is_empty() {
        return Err(Fault::refused(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ));
    }
    let numbers: Vec<i32> = listed
        .iter()
        .map(|part| part.part_number.unwrap_or_default())
        .collect();
    if numbers.is_sorted_by(|one, next| one < next) {
        return Ok(listed);
    }
    Err(Fault::refused(
        S3ErrorCode::InvalidPartOrder,
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
    ))
}

/// The stored parts that the request lists. Checks that they exist, are large enough, and have the listed ETags and
/// checksums.
fn chosen_parts<'a>(
    upload: &Upload,
    listed: &[CompletedPart],
    stored: &'a [Segment],
) -> Result<Vec<&'a Segment>, Fault> {
    let by_number: HashMap<i64, &Segment> = stored.iter().map(|segment| (segment.number, segment)).collect();
    let mut chosen = Vec::with_capacity(listed.len());
    for part in listed {
        let segment = by_number
            .get(&i64::from(part.part_number.unwrap_or_default()))
            .ok_or_else(invalid_part)?;
        if part
            .e_tag
            .as_ref()
            .is_none_or(|etag| etag.value() != segment.etag)
        {
            return Err(invalid_part());
        }
        check_part_checksum(upload, part, segment)?;
        chosen.push(*segment);
    }
    let all_but_last = &chosen[..chosen.len() - 1];
    if all_but_last.iter().any(|segment| segment.size < PART_BYTES) {
        return Err(Fault::refused(
            S3ErrorCode::EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size",
        ));
    }
    Ok(chosen)
}

/// Checks the listed checksum of a part. If the caller chose the algorithm and the checksum of the object is composite,
/// S3 requires the checksum of every part. If it chose none, a part may have any checksum, and its ETag is sufficient.
fn check_part_checksum(upload: &Upload, part: &CompletedPart, segment: &Segment) -> Result<(), Fault> {
    let checksums = checksum_fields!(part);
    match (single_checksum(&checksums)?, upload.algorithm) {
        (Some((algorithm, text)), _) if algorithm == segment.checksum.algorithm => {
            if text == segment.checksum.text {
                Ok(())
            } else {
                Err(invalid_part())
            }
        }
        (Some(_), Some(_)) => Err(invalid_part()),
        (None, Some(algorithm)) if upload.kind == Kind::Composite => Err(Fault::refused_with(
            S3ErrorCode::InvalidRequest,
            format!(
                "The upload was created using a {} checksum. The complete request must include the checksum for \
                 each part. It was missing for part {} in the request.",
                algorithm.name().to_lowercase(),
                segment.number
            ),
        )),
        (Some(_) | None, _) => Ok(()),
    }
}

fn object(
    input: &CompleteMultipartUploadInput,
    upload: &Upload,
    parts: &[&Segment],
) -> Result<Object, Fault> {
    let size = parts.iter().map(|part| part.size).sum();
    if input
        .mpu_object_size
        .is_some_and(|declared| u64::try_from(declared) != Ok(size))
    {
        return Err(invalid_request(
            "The provided 'x-amz-mp-object-size' header value does not match what was computed",
        ));
    }
    if input
        .checksum_type
        .as_ref()
        .is_some_and(|kind| kind.as_str() != upload.kind.name())
    {
        return Err(invalid_request(
            "The checksum type of the request does not match that of the upload",
        ));
    }
    let checksum = checksum(upload, parts)?;
    check_object_checksum(input, &checksum)?;
    Ok(Object {
        content: upload.content.clone(),
        size,
        etag: etag(parts)?,
        modified_ms: now_ms(),
        parts: i64::try_from(parts.len()).ok(),
        checksum,
        headers: upload.headers.clone(),
    })
}

/// The MD5 of the MD5s of the parts, and the number of parts.
fn etag(parts: &[&Segment]) -> Result<String, Fault> {
    let mut joined = Vec::with_capacity(parts.len() * 16);
    for part in parts {
        joined.extend_from_slice(&unhex(&part.etag).ok_or_else(damaged)?);
    }
    Ok(format!("{}-{}", hex(&md5(&joined)), parts.len()))
}

fn checksum(upload: &Upload, parts: &[&Segment]) -> Result<Checksum, Fault> {
    let algorithm = upload.kept_algorithm();
    let text = match upload.kind {
        Kind::FullObject => full_checksum(algorithm, parts)?,
        Kind::Composite => {
            let sums = parts
                .iter()
                .map(|part| algorithm.decode(&part.checksum.text).ok_or_else(damaged));
            let joined = sums.collect::<Result<Vec<_>, _>>()?.concat();
            format!("{}-{}", base64(&algorithm.sum(&joined)), parts.len())
        }
    };
    Ok(Checksum {
        algorithm,
        text,
        kind: upload.kind,
    })
}

fn full_checksum(algorithm: Algorithm, parts: &[&Segment]) -> Result<String, Fault> {
    let mut whole: Option<Vec<u8>> = None;
    for part in parts {
        let sum = algorithm.decode(&part.checksum.text).ok_or_else(damaged)?;
        whole = Some(match whole {
            None => sum,
            Some(before) => algorithm.combine(&before, &sum, part.size).ok_or_else(damaged)?,
        });
    }
    Ok(base64(&whole.unwrap_or_default()))
}

/// Checks the checksum of the object, if the caller sent one. S3 accepts a composite checksum with or without the number
/// of parts.
fn check_object_checksum(input: &CompleteMultipartUploadInput, checksum: &Checksum) -> Result<(), Fault> {
    let checksums = checksum_fields!(input);
    let Some((algorithm, text)) = single_checksum(&checksums)? else {
        return Ok(());
    };
    let bare = checksum.text.split('-').next().unwrap_or_default();
    if algorithm == checksum.algorithm && (text == checksum.text || text == bare) {
        return Ok(());
    }
    Err(Fault::refused_with(
        S3ErrorCode::BadDigest,
        format!(
            "The {} you specified did not match the calculated checksum.",
            algorithm.name()
        ),
    ))
}

/// Removes the uploaded parts that the request does not list, and returns their bodies.
fn drop_unlisted(
    connection: &Connection,
    content: &str,
    stored: &[Segment],
    chosen: &[&Segment],
) -> Result<Vec<RemovedBodies>, Fault> {
    let mut removed = Vec::new();
    for segment in stored {
        if chosen
            .binary_search_by_key(&segment.number, |part| part.number)
            .is_err()
        {
            removed.extend(remove_segment(connection, content, segment.number)?);
        }
    }
    Ok(removed)
}

fn invalid_part() -> Fault {
    Fault::refused(
        S3ErrorCode::InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, \
         or the specified entity tag may not match the part's entity tag.",
    )
}

fn damaged() -> Fault {
    Fault::Broken("the index contains a part with an invalid digest".to_owned())
}
