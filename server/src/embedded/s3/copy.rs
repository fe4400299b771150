//! CopyObject: reads the source like GetObject and stores it like PutObject.

use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective,
};
use s3s::{S3ErrorCode, S3Request};

use super::catalog::{Object, require_bucket, timestamp};
use super::conditions::{ReadCondition, WriteCondition};
use super::fault::{Fault, invalid_request, require_null_version};
use super::headers::{refuse_unsupported, take_headers};
use super::integrity::{requested_algorithm, set_checksum};
use super::put::{Target, store_whole};
use super::read::{FoundObject, ReadRequest, find};
use super::receive::{BODY_BYTES, receive};
use super::store::Store;

/// Handles CopyObject.
pub(super) async fn copy_object(
    store: &Store,
    mut request: S3Request<CopyObjectInput>,
) -> Result<CopyObjectOutput, Fault> {
    refuse_unsupported!(request.input);
    let input = &mut request.input;
    let replaced = input
        .metadata_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let found = find(store, source(input, replaced)?).await?;
    let headers = if replaced {
        take_headers!(input)?
    } else {
        found.object.headers.clone()
    };
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .map(requested_algorithm)
        .transpose()?;
    let target = Target {
        bucket: std::mem::take(&mut input.bucket),
        key: std::mem::take(&mut input.key),
        headers,
        condition: WriteCondition::default(),
        algorithm: algorithm.unwrap_or(found.object.checksum.algorithm),
    };
    let object = copy(store, found, target).await?;
    Ok(CopyObjectOutput {
        copy_object_result: Some(result(object)),
        ..CopyObjectOutput::default()
    })
}

async fn copy(store: &Store, found: FoundObject, target: Target) -> Result<Object, Fault> {
    if found.object.size > BODY_BYTES {
        return Err(invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let size = found.object.size;
    let bucket = target.bucket.clone();
    let before_large = store
        .workers
        .read(move |connection| require_bucket(connection, &bucket));
    let received = receive(
        &store.bodies,
        found.into_body(&store.bodies),
        &[target.algorithm],
        before_large,
    )
    .await?;
    if received.digested.size != size {
        return Err(Fault::Broken(
            "the body of the copy source does not have the recorded size".to_owned(),
        ));
    }
    store_whole(store, target, received).await
}

/// The bucket and the key of the source of a copy.
pub(super) fn source_name(source: &CopySource) -> Result<(String, String), Fault> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(Fault::refused(
            S3ErrorCode::NotImplemented,
            "Access points are not implemented",
        ));
    };
    require_null_version(version_id.as_deref())?;
    Ok((bucket.to_string(), key.to_string()))
}

fn source(input: &mut CopyObjectInput, replaced: bool) -> Result<ReadRequest, Fault> {
    let (bucket, key) = source_name(&input.copy_source)?;
    if bucket == *input.bucket && key == *input.key && !replaced {
        return Err(invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing \
             the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let condition = ReadCondition {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    Ok(ReadRequest {
        bucket,
        key,
        condition,
        ..ReadRequest::default()
    })
}

fn result(object: Object) -> CopyObjectResult {
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.modified_ms)),
        checksum_type: Some(ChecksumType::from_static(object.checksum.kind.name())),
        ..CopyObjectResult::default()
    };
    set_checksum!(result, object.checksum.algorithm, object.checksum.text);
    result
}
