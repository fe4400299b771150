//! CreateBucket, HeadBucket, ListBuckets, GetBucketLocation, DeleteBucket. One region: us-east-1.

use rusqlite::{Connection, params};
use s3s::S3ErrorCode;
use s3s::dto::{
    Bucket, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput,
};

use super::Store;
use super::catalog::{now_ms, remove_content, require_bucket, timestamp};
use super::fault::{Fault, invalid_argument};
use super::workers::Aftermath;

const REGION: &str = "us-east-1";
/// Most buckets of one page, as in S3.
const BUCKETS: i32 = 10_000;

/// Answers CreateBucket; as in us-east-1, a bucket that is there already is a success.
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
            Ok(((), Aftermath::default()))
        })
        .await?;
    Ok(CreateBucketOutput {
        location: Some(location),
    })
}

/// Answers HeadBucket.
pub(super) async fn head(store: &Store, input: HeadBucketInput) -> Result<HeadBucketOutput, Fault> {
    require(store, input.bucket).await?;
    Ok(HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..HeadBucketOutput::default()
    })
}

/// Answers GetBucketLocation; us-east-1 is told by an empty answer.
pub(super) async fn location(
    store: &Store,
    input: GetBucketLocationInput,
) -> Result<GetBucketLocationOutput, Fault> {
    require(store, input.bucket).await?;
    Ok(GetBucketLocationOutput {
        location_constraint: None,
    })
}

/// Answers ListBuckets; the token of a page is the last name of the page before.
pub(super) async fn list(store: &Store, input: ListBucketsInput) -> Result<ListBucketsOutput, Fault> {
    let max = input.max_buckets.unwrap_or(BUCKETS);
    if !(1..=BUCKETS).contains(&max) {
        return Err(invalid_argument(
            "Argument max-buckets must be an integer between 1 and 10000",
        ));
    }
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let mut names = store
        .workers
        .read(move |connection| names(connection, &prefix, &after, max + 1))
        .await?;
    let limit = usize::try_from(max).unwrap_or_default();
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().map(|(name, _)| name.clone()).filter(|_| more);
    let buckets = names.into_iter().map(|(name, created_ms)| Bucket {
        bucket_region: None,
        creation_date: Some(timestamp(created_ms)),
        name: Some(name),
    });
    Ok(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: next,
        owner: None,
        prefix: input.prefix,
    })
}

/// Answers DeleteBucket; uploads under way do not keep a bucket, objects do.
pub(super) async fn delete(store: &Store, input: DeleteBucketInput) -> Result<DeleteBucketOutput, Fault> {
    store
        .workers
        .write(move |connection| delete_empty(connection, &input.bucket))
        .await
}

fn delete_empty(connection: &Connection, bucket: &str) -> Result<(DeleteBucketOutput, Aftermath), Fault> {
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
    Ok((DeleteBucketOutput::default(), Aftermath { keep: None, remove }))
}

async fn require(store: &Store, bucket: String) -> Result<(), Fault> {
    store
        .workers
        .read(move |connection| require_bucket(connection, &bucket))
        .await
}

fn names(
    connection: &Connection,
    prefix: &str,
    after: &str,
    limit: i32,
) -> Result<Vec<(String, i64)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT name, created_ms FROM bucket
         WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3",
    )?;
    let rows = statement.query_map(params![after, prefix, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
