//! CreateBucket, HeadBucket, DeleteBucket. There is one region: us-east-1.

use rusqlite::{Connection, params};
use s3s::S3ErrorCode;
use s3s::dto::{
    CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, HeadBucketInput,
    HeadBucketOutput,
};

use super::catalog::{now_ms, remove_content, require_bucket};
use super::fault::Fault;
use super::store::Store;
use super::workers::BodyChanges;

const REGION: &str = "us-east-1";

/// Handles CreateBucket. As in us-east-1, succeeds if the bucket exists.
pub(super) async fn create(store: &Store, input: CreateBucketInput) -> Result<CreateBucketOutput, Fault> {
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(Fault::refused(
            S3ErrorCode::NotImplemented,
            "Object locks are not implemented",
        ));
    }
    let location = format!("/{}", input.bucket);
    store
        .workers
        .write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO bucket (name, created_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute(params![input.bucket, now_ms()])?;
            Ok(((), BodyChanges::default()))
        })
        .await?;
    Ok(CreateBucketOutput {
        location: Some(location),
    })
}

/// Handles HeadBucket.
pub(super) async fn head(store: &Store, input: HeadBucketInput) -> Result<HeadBucketOutput, Fault> {
    store
        .workers
        .read(move |connection| require_bucket(connection, &input.bucket))
        .await?;
    Ok(HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..HeadBucketOutput::default()
    })
}

/// Handles DeleteBucket. Fails if the bucket contains objects; incomplete uploads are removed with it.
pub(super) async fn delete(store: &Store, input: DeleteBucketInput) -> Result<DeleteBucketOutput, Fault> {
    store
        .workers
        .write(move |connection| delete_empty(connection, &input.bucket))
        .await
}

fn delete_empty(connection: &Connection, bucket: &str) -> Result<(DeleteBucketOutput, BodyChanges), Fault> {
    require_bucket(connection, bucket)?;
    if connection
        .prepare_cached("SELECT 1 FROM object WHERE bucket = ?1 LIMIT 1")?
        .exists([bucket])?
    {
        return Err(Fault::refused(
            S3ErrorCode::BucketNotEmpty,
            "The bucket you tried to delete is not empty",
        ));
    }
    let mut uploads = connection.prepare_cached("DELETE FROM upload WHERE bucket = ?1 RETURNING content")?;
    let contents = uploads
        .query_map([bucket], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let remove = contents
        .into_iter()
        .map(|content| remove_content(connection, content));
    let remove = remove.collect::<Result<_, _>>()?;
    connection
        .prepare_cached("DELETE FROM bucket WHERE name = ?1")?
        .execute([bucket])?;
    Ok((DeleteBucketOutput::default(), BodyChanges { keep: None, remove }))
}
