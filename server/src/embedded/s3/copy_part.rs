//! UploadPartCopy: reads a range of the source like GetObject and stores it like UploadPart.

use std::future::ready;

use s3s::dto::{CopyPartResult, ETag, Range, UploadPartCopyInput, UploadPartCopyOutput};
use s3s::{S3ErrorCode, S3Request};

use super::catalog::{Segment, timestamp};
use super::conditions::ReadCondition;
use super::copy::source_name;
use super::fault::{Fault, invalid_argument};
use super::integrity::set_checksum;
use super::multipart::{PARTS, insert_part, invalid_number, part_algorithms, part_segment, upload_of_part};
use super::read::{FoundObject, ReadRequest, find};
use super::receive::{BODY_BYTES, receive};
use super::store::Store;
use super::upload::{Upload, UploadName};

/// Handles UploadPartCopy.
pub(super) async fn upload_part_copy(
    store: &Store,
    request: S3Request<UploadPartCopyInput>,
) -> Result<UploadPartCopyOutput, Fault> {
    let mut input = request.input;
    if input.sse_customer_algorithm.is_some() || input.copy_source_sse_customer_algorithm.is_some() {
        return Err(Fault::refused(
            S3ErrorCode::NotImplemented,
            "Customer-provided keys are not implemented",
        ));
    }
    if !PARTS.contains(&input.part_number) {
        return Err(invalid_number());
    }
    let name = UploadName::new(&input.bucket, &input.key, &input.upload_id);
    let upload = upload_of_part(store, &name).await?;
    let found = find_source(store, &mut input).await?;
    let length_bytes = found.length_bytes();
    let algorithms = part_algorithms(&upload, None)?;
    let body = found.into_body(&store.bodies);
    let received = receive(&store.bodies, body, &algorithms, ready(Ok(()))).await?;
    if received.digested.size != length_bytes {
        return Err(Fault::Broken(
            "the body of the copy source does not have the recorded size".to_owned(),
        ));
    }
    let segment = part_segment(input.part_number, &received, upload.kept_algorithm())?;
    let result = result(&upload, &segment);
    store
        .workers
        .write(move |connection| insert_part(connection, &name, &segment, received.body))
        .await?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    })
}

async fn find_source(store: &Store, input: &mut UploadPartCopyInput) -> Result<FoundObject, Fault> {
    let (bucket, key) = source_name(&input.copy_source)?;
    let range = input.copy_source_range.as_deref().map(range).transpose()?;
    let request = ReadRequest {
        bucket,
        key,
        range: range.map(|(first, last)| Range::Int {
            first,
            last: Some(last),
        }),
        condition: ReadCondition {
            if_match: input.copy_source_if_match.take(),
            if_none_match: input.copy_source_if_none_match.take(),
            if_modified_since: input.copy_source_if_modified_since.take(),
            if_unmodified_since: input.copy_source_if_unmodified_since.take(),
        },
        ..ReadRequest::default()
    };
    let found = find(store, request).await?;
    if range.is_some_and(|(_, last)| last >= found.object.size) {
        return Err(invalid_argument("Range specified is not valid for source object"));
    }
    if found.length_bytes() > BODY_BYTES {
        return Err(invalid_argument(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    Ok(found)
}

/// The first and the last byte of `bytes=FIRST-LAST`, the only form that S3 accepts here.
fn range(text: &str) -> Result<(u64, u64), Fault> {
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_number)
    };
    let ends = text.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
    let ends = ends.and_then(|(first, last)| Some((number(first)?, number(last)?)));
    ends.filter(|(first, last)| first <= last).ok_or_else(|| {
        invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy",
        )
    })
}

/// The ETag of the part, and its checksum if the upload has an algorithm.
fn result(upload: &Upload, segment: &Segment) -> CopyPartResult {
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(segment.etag.clone())),
        last_modified: Some(timestamp(segment.modified_ms)),
        ..CopyPartResult::default()
    };
    if upload.algorithm.is_some() {
        set_checksum!(result, segment.checksum.algorithm, segment.checksum.text.clone());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_ranges_are_read() {
        assert!(matches!(range("bytes=0-0"), Ok((0, 0))));
        assert!(matches!(range("bytes=5-999"), Ok((5, 999))));
        for text in [
            "",
            "bytes=",
            "bytes=5-",
            "bytes=-5",
            "bytes=5-4",
            "0-5",
            "bytes=0-5,7-9",
            "bytes=+0-5",
            "bytes=0-18446744073709551616",
        ] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
