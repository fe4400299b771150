//! Buckets: creates them, adds the rule that aborts stale multipart uploads, and blocks public access.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    CreateBucketConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter,
    PublicAccessBlockConfiguration,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::figure::AwsOperation;

use super::super::cause;
use super::super::clients::Stores;
use super::super::request::{Request, SdkFailure};
use super::difference::{Difference, Step, Wait};

/// The region whose buckets have no location constraint.
const DEFAULT_REGION: &str = "us-east-1";
/// Days after which an upload is aborted. No upload takes longer than its call, which ends within a day.
const STALE_DAYS: i32 = 7;
/// The name of the rule.
const RULE_ID: &str = "abort-stale-multipart-uploads";

const RULE: &str = "lifecycle rule: aborts multipart uploads after 7 days";
const BLOCKED: &str = "public access: blocked";

/// A bucket that models need.
#[derive(Clone, Debug)]
pub(super) struct Bucket<'a> {
    pub(super) name: &'a str,
    pub(super) region: Option<&'a str>,
    /// The prefixes under which the models keep objects.
    pub(super) prefixes: Vec<&'a str>,
}

/// What differs.
pub(super) async fn inspect(stores: &Stores, bucket: &Bucket<'_>) -> Result<Vec<Difference>, String> {
    let client = stores.s3.client(bucket.region);
    if let Err(error) = client.head_bucket().bucket(bucket.name).send().await {
        let status = error.raw_response().map(|response| response.status().as_u16());
        return match status {
            Some(404) => Ok(vec![
                Difference::missing(
                    format!("bucket {}: in {}", bucket.name, region(stores, bucket)),
                    Step::CreateBucket,
                ),
                Difference::missing(RULE, Step::AddLifecycle),
                Difference::missing(BLOCKED, Step::BlockPublicAccess),
            ]),
            Some(_) | None => Err(text(AwsOperation::HeadBucket, bucket, &error)),
        };
    }
    let lifecycle = lifecycle(stores, bucket).await?;
    let public = public_access(stores, bucket).await?;
    Ok(lifecycle.into_iter().chain(public).collect())
}

/// Changing a configuration would replace all its rules, so that only a missing one is added.
async fn lifecycle(stores: &Stores, bucket: &Bucket<'_>) -> Result<Option<Difference>, String> {
    let client = stores.s3.client(bucket.region);
    let read = client
        .get_bucket_lifecycle_configuration()
        .bucket(bucket.name)
        .send()
        .await;
    match read {
        Ok(output) if output.rules().is_empty() => Ok(Some(Difference::missing(RULE, Step::AddLifecycle))),
        Ok(output) if aborts_uploads(output.rules(), bucket) => Ok(None),
        Ok(output) => {
            let found = format!(
                "{} lifecycle rules, none of which aborts uploads",
                output.rules().len()
            );
            let reason = "a change would replace all rules of the bucket: add one by hand";
            Ok(Some(Difference::manual(Some(found), RULE, reason)))
        }
        Err(error) => match code(&error) {
            Some("NoSuchLifecycleConfiguration") => Ok(Some(Difference::missing(RULE, Step::AddLifecycle))),
            _ if is_unsupported(&error) => Ok(None),
            Some(_) | None => Err(text(
                AwsOperation::GetBucketLifecycleConfiguration,
                bucket,
                &error,
            )),
        },
    }
}

/// Whether the rules abort the uploads of all objects that the models keep.
fn aborts_uploads(rules: &[LifecycleRule], bucket: &Bucket<'_>) -> bool {
    let aborting: Vec<&LifecycleRule> = rules
        .iter()
        .filter(|rule| *rule.status() == ExpirationStatus::Enabled)
        .filter(|rule| rule.abort_incomplete_multipart_upload().is_some())
        .collect();
    bucket
        .prefixes
        .iter()
        .all(|prefix| aborting.iter().any(|rule| covers(rule, prefix)))
}

fn covers(rule: &LifecycleRule, prefix: &str) -> bool {
    let Some(filter) = rule.filter() else {
        return true;
    };
    let is_narrow = filter.tag().is_some()
        || filter.and().is_some()
        || filter.object_size_greater_than().is_some()
        || filter.object_size_less_than().is_some();
    !is_narrow && prefix.starts_with(filter.prefix().unwrap_or_default())
}

/// An open bucket may be one on purpose: it is reported, and not changed.
async fn public_access(stores: &Stores, bucket: &Bucket<'_>) -> Result<Option<Difference>, String> {
    let client = stores.s3.client(bucket.region);
    let read = client.get_public_access_block().bucket(bucket.name).send().await;
    let open = || {
        let reason = "block it by hand, unless objects are public on purpose";
        Difference::manual(Some("public access: not blocked".to_owned()), BLOCKED, reason)
    };
    match read {
        Ok(output) => {
            let blocked = output.public_access_block_configuration().is_none_or(|access| {
                access.block_public_acls() == Some(true)
                    && access.ignore_public_acls() == Some(true)
                    && access.block_public_policy() == Some(true)
                    && access.restrict_public_buckets() == Some(true)
            });
            Ok((!blocked).then(open))
        }
        Err(error) => match code(&error) {
            Some("NoSuchPublicAccessBlockConfiguration") => Ok(Some(open())),
            _ if is_unsupported(&error) => Ok(None),
            Some(_) | None => Err(text(AwsOperation::GetPublicAccessBlock, bucket, &error)),
        },
    }
}

/// Does the steps in order.
pub(super) async fn apply(
    stores: &Stores,
    bucket: &Bucket<'_>,
    steps: &[&Step],
    wait: &Wait<'_>,
) -> Result<(), String> {
    for step in steps {
        match step {
            Step::CreateBucket => {
                wait.report(&format!("bucket {}: creating", bucket.name));
                create(stores, bucket).await?;
            }
            Step::AddLifecycle => add_rule(stores, bucket).await?,
            Step::BlockPublicAccess => block(stores, bucket).await?,
            Step::CreateTable
            | Step::AddIndex(_)
            | Step::EnableTtl(_)
            | Step::EnableRecovery
            | Step::CreateKey => {}
        }
    }
    Ok(())
}

async fn create(stores: &Stores, bucket: &Bucket<'_>) -> Result<(), String> {
    let client = stores.s3.client(bucket.region);
    let region = region(stores, bucket);
    let location = (region != DEFAULT_REGION).then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region))
            .build()
    });
    let created = client
        .create_bucket()
        .bucket(bucket.name)
        .set_create_bucket_configuration(location)
        .send()
        .await;
    match created {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some("BucketAlreadyOwnedByYou") => Ok(()),
        Err(error) => Err(text(AwsOperation::CreateBucket, bucket, &error)),
    }
}

async fn add_rule(stores: &Stores, bucket: &Bucket<'_>) -> Result<(), String> {
    let client = stores.s3.client(bucket.region);
    let rule = LifecycleRule::builder()
        .id(RULE_ID)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(STALE_DAYS)
                .build(),
        )
        .build()
        .map_err(|error| error.to_string())?;
    let configuration = BucketLifecycleConfiguration::builder()
        .rules(rule)
        .build()
        .map_err(|error| error.to_string())?;
    let put = client
        .put_bucket_lifecycle_configuration()
        .bucket(bucket.name)
        .lifecycle_configuration(configuration)
        .send()
        .await;
    done(AwsOperation::PutBucketLifecycleConfiguration, bucket, put)
}

async fn block(stores: &Stores, bucket: &Bucket<'_>) -> Result<(), String> {
    let client = stores.s3.client(bucket.region);
    let configuration = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let put = client
        .put_public_access_block()
        .bucket(bucket.name)
        .public_access_block_configuration(configuration)
        .send()
        .await;
    done(AwsOperation::PutPublicAccessBlock, bucket, put)
}

/// A store that does not know a call has nothing to be set.
fn done<T, E: SdkFailure>(
    operation: AwsOperation,
    bucket: &Bucket<'_>,
    put: Result<T, SdkError<E, HttpResponse>>,
) -> Result<(), String> {
    match put {
        Ok(_) => Ok(()),
        Err(error) if is_unsupported(&error) => Ok(()),
        Err(error) => Err(text(operation, bucket, &error)),
    }
}

fn region<'a>(stores: &'a Stores, bucket: &'a Bucket<'_>) -> &'a str {
    bucket.region.unwrap_or_else(|| stores.dynamodb.region())
}

fn code<E: SdkFailure>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(cause::code)
}

/// Whether the store lacks the operation.
fn is_unsupported<E: SdkFailure>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|response| response.status().as_u16());
    matches!(code(error), Some("NotImplemented" | "MethodNotAllowed")) || matches!(status, Some(405 | 501))
}

fn text<E: SdkFailure>(
    operation: AwsOperation,
    bucket: &Bucket<'_>,
    error: &SdkError<E, HttpResponse>,
) -> String {
    let cause = cause::text(&Request::new(operation, bucket.name), error);
    format!("{operation}: {cause}")
}
