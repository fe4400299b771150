//! PutObject, and the storing of a complete body as an object.
//!
//! The protocol: the body is received (a large one into a file with its final name) → its length and checksums are
//! checked → one transaction checks the bucket and the conditions, writes the new rows and removes the old ones → the
//! new file is kept, the old files are removed. If the request is refused or interrupted before the commit, the new file
//! is removed and the old object stays.

use rusqlite::Connection;
use s3s::dto::{ChecksumType, ETag, PutObjectInput, PutObjectOutput};
use s3s::{S3ErrorCode, S3Request};
use ulid::Ulid;

use super::catalog::{
    Checksum, Kind, Object, Segment, find_object, insert_segment, now_ms, replace_object, require_bucket,
};
use super::conditions::WriteCondition;
use super::digest::{Algorithm, hex};
use super::fault::Fault;
use super::headers::{Headers, refuse_unsupported, take_headers};
use super::integrity::{expected_body, set_checksum};
use super::receive::{BODY_BYTES, Body, Received, receive, too_large};
use super::store::Store;
use super::workers::BodyChanges;

/// Where a body is stored, and with which headers.
pub(super) struct Target {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) headers: Headers,
    pub(super) condition: WriteCondition,
    pub(super) algorithm: Algorithm,
}

/// Handles PutObject.
pub(super) async fn put_object(
    store: &Store,
    mut request: S3Request<PutObjectInput>,
) -> Result<PutObjectOutput, Fault> {
    refuse_unsupported!(request.input);
    if request.input.write_offset_bytes.is_some() {
        return Err(Fault::refused(
            S3ErrorCode::NotImplemented,
            "Appending to an object is not implemented",
        ));
    }
    let expected = expected_body!(request)?;
    if expected.length_bytes().is_some_and(|length| length > BODY_BYTES) {
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
        headers: take_headers!(input)?,
        condition: condition.supported()?,
        algorithm: expected.algorithm().unwrap_or(Algorithm::DEFAULT),
    };
    let body = input
        .body
        .take()
        .ok_or_else(|| Fault::Broken("the request has no body".to_owned()))?;
    let bucket = target.bucket.clone();
    let before_large = store
        .workers
        .read(move |connection| require_bucket(connection, &bucket));
    let received = receive(&store.bodies, body, &[target.algorithm], before_large).await?;
    expected.check(&received.digested)?;
    let object = store_whole(store, target, received).await?;
    Ok(output(object))
}

/// Stores a body, whose length and checksums have been checked, as an object.
pub(super) async fn store_whole(store: &Store, target: Target, received: Received) -> Result<Object, Fault> {
    let object = Object {
        content: Ulid::generate().to_string(),
        size: received.digested.size,
        etag: hex(&received.digested.md5),
        modified_ms: now_ms(),
        parts: None,
        checksum: Checksum::from_received(&received, target.algorithm)?,
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
) -> Result<(Object, BodyChanges), Fault> {
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
        Body::File(new_body) => Some(new_body),
    };
    Ok((object, BodyChanges { keep, remove }))
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
