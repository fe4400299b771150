//! DeleteObject and DeleteObjects. Deleting an object that does not exist succeeds, as in S3.

use rusqlite::Connection;
use s3s::dto::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, ObjectIdentifier,
};
use s3s::{S3Error, S3ErrorCode};

use super::bodies::RemovedBodies;
use super::catalog::{find_object, remove_object, require_bucket, timestamp};
use super::conditions::WriteCondition;
use super::fault::{Fault, precondition_failed, require_null_version};
use super::store::Store;
use super::workers::BodyChanges;

/// The maximum number of keys of one DeleteObjects, as in S3.
const KEYS: usize = 1000;

/// Handles DeleteObject.
pub(super) async fn delete_object(
    store: &Store,
    input: DeleteObjectInput,
) -> Result<DeleteObjectOutput, Fault> {
    let identifier = ObjectIdentifier {
        e_tag: None,
        key: input.key,
        last_modified_time: input.if_match_last_modified_time,
        size: input.if_match_size,
        version_id: input.version_id,
    };
    let (bucket, if_match) = (input.bucket, input.if_match);
    store
        .workers
        .write(move |connection| {
            require_bucket(connection, &bucket)?;
            let remove = delete(connection, &bucket, &identifier, if_match)?;
            Ok((DeleteObjectOutput::default(), BodyChanges { keep: None, remove }))
        })
        .await
}

/// Handles DeleteObjects. Returns the errors of single keys with the keys that were deleted.
pub(super) async fn delete_objects(
    store: &Store,
    input: DeleteObjectsInput,
) -> Result<DeleteObjectsOutput, Fault> {
    let keys = input.delete.objects.len();
    if keys == 0 || keys > KEYS {
        return Err(Fault::refused(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ));
    }
    store
        .workers
        .write(move |connection| delete_each(connection, input))
        .await
}

fn delete_each(
    connection: &Connection,
    input: DeleteObjectsInput,
) -> Result<(DeleteObjectsOutput, BodyChanges), Fault> {
    require_bucket(connection, &input.bucket)?;
    let mut changes = BodyChanges::default();
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for mut identifier in input.delete.objects {
        let if_match = identifier.e_tag.take().map(ETagCondition::ETag);
        match delete(connection, &input.bucket, &identifier, if_match) {
            Ok(remove) => {
                changes.remove.extend(remove);
                deleted.push(DeletedObject {
                    key: Some(identifier.key),
                    ..DeletedObject::default()
                });
            }
            Err(fault @ Fault::Refused(..)) => errors.push(refusal(identifier.key, fault)),
            Err(fault) => return Err(fault),
        }
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let output = DeleteObjectsOutput {
        deleted: (!quiet && !deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    };
    Ok((output, changes))
}

fn delete(
    connection: &Connection,
    bucket: &str,
    target: &ObjectIdentifier,
    if_match: Option<ETagCondition>,
) -> Result<Vec<RemovedBodies>, Fault> {
    require_null_version(target.version_id.as_deref())?;
    let existing = find_object(connection, bucket, &target.key)?;
    WriteCondition {
        if_match,
        if_none_match: None,
    }
    .check(existing.as_ref())?;
    let Some(object) = existing else {
        return Ok(Vec::new());
    };
    if target
        .size
        .is_some_and(|size| u64::try_from(size) != Ok(object.size))
    {
        return Err(precondition_failed());
    }
    if target
        .last_modified_time
        .as_ref()
        .is_some_and(|time| *time != timestamp(object.modified_ms))
    {
        return Err(precondition_failed());
    }
    remove_object(connection, bucket, &target.key)
}

fn refusal(key: String, fault: Fault) -> dto::Error {
    let error = S3Error::from(fault);
    dto::Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
