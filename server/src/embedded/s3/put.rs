//! PutObject, and the one way in which a whole body becomes an object.
//!
//! The protocol: the body is read to its end (a large one into a file that has its final name by then) → every
//! promise about it is checked → one transaction checks the bucket and the conditions, writes the new rows and lets
//! the old ones go → the file is kept, the old files are removed. Refused or cut off before the commit: the new file
//! goes and the old object stands.

use rusqlite::Connection;
use s3s::dto::{ChecksumType, ETag, PutObjectInput, PutObjectOutput};
use s3s::{S3ErrorCode, S3Request};
use ulid::Ulid;

use super::Store;
use super::catalog::{
    Checksum, Kind, Object, Segment, find_object, insert_segment, now_ms, replace_object, require_bucket,
};
use super::conditions::WriteCondition;
use super::digest::{Algorithm, hex};
use super::fault::Fault;
use super::headers::{Headers, headers_of, refuse_unkept};
use super::intake::{BODY_BYTES, Body, Received, receive, too_large};
use super::promise::{promise_of, set_checksum};
use super::workers::Aftermath;

/// What S3 calculates where the caller names no algorithm.
pub(super) const DEFAULT_ALGORITHM: Algorithm = Algorithm::Crc64Nvme;

/// Where a whole body goes, and what is kept beside it.
pub(super) struct Target {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) headers: Headers,
    pub(super) condition: WriteCondition,
    pub(super) algorithm: Algorithm,
}

/// Answers PutObject.
pub(super) async fn put_object(
    store: &Store,
    mut request: S3Request<PutObjectInput>,
) -> Result<PutObjectOutput, Fault> {
    refuse_unkept!(request.input);
    if request.input.write_offset_bytes.is_some() {
        return Err(Fault::refused(
            S3ErrorCode::NotImplemented,
            "Appending to an object is not implemented",
        ));
    }
    let promise = promise_of!(request)?;
    if promise.length_bytes().is_some_and(|length| length > BODY_BYTES) {
        return Err(too_large());
    }
    let input = &mut request.input;
    let condition = WriteCondition {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
    };
    let target = Target {
        bucket: std::mem::take(&mut input.bucket),
        key: std::mem::take(&mut input.key),
        headers: headers_of!(input)?,
        condition: condition.offered()?,
        algorithm: promise.algorithm().unwrap_or(DEFAULT_ALGORITHM),
    };
    let body = input
        .body
        .take()
        .ok_or_else(|| Fault::Broken("a request without a body".to_owned()))?;
    let bucket = target.bucket.clone();
    let before_large = store
        .workers
        .read(move |connection| require_bucket(connection, &bucket));
    let received = receive(&store.bodies, body, &[target.algorithm], before_large).await?;
    promise.check(&received.digested)?;
    let object = store_whole(store, target, received).await?;
    Ok(output(object))
}

/// Makes an object of a body whose promises have been checked.
pub(super) async fn store_whole(store: &Store, target: Target, received: Received) -> Result<Object, Fault> {
    let object = Object {
        content: Ulid::generate().to_string(),
        size: received.digested.size,
        etag: hex(&received.digested.md5),
        modified_ms: now_ms(),
        parts: None,
        checksum: Checksum::of(&received, target.algorithm)?,
        headers: target.headers.clone(),
    };
    store
        .workers
        .write(move |connection| write_whole(connection, &target, object, received.body))
        .await
}

fn write_whole(
    connection: &Connection,
    target: &Target,
    object: Object,
    body: Body,
) -> Result<(Object, Aftermath), Fault> {
    require_bucket(connection, &target.bucket)?;
    target
        .condition
        .check(find_object(connection, &target.bucket, &target.key)?.as_ref())?;
    let segment = Segment {
        number: 1,
        size: object.size,
        etag: object.etag.clone(),
        modified_ms: object.modified_ms,
        checksum: object.checksum.clone(),
        file: None,
    };
    insert_segment(connection, &object.content, &segment, &body)?;
    let remove = replace_object(connection, &target.bucket, &target.key, &object)?;
    let keep = match body {
        Body::Inline(_) => None,
        Body::File(arrival) => Some(arrival),
    };
    Ok((object, Aftermath { keep, remove }))
}

fn output(object: Object) -> PutObjectOutput {
    let mut output = PutObjectOutput {
        e_tag: Some(ETag::Strong(object.etag)),
        checksum_type: Some(ChecksumType::from_static(Kind::FullObject.name())),
        ..PutObjectOutput::default()
    };
    set_checksum!(output, object.checksum.algorithm, object.checksum.text);
    output
}
