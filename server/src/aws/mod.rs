//! The AWS SDK clients of the three stores: typed requests, each bounded by the deadline of its call and counted in its
//! bill, and errors as kinds. Leaves retries to the SDK, except for response bodies that fail. Uses models only to
//! provision resources.

mod assembled;
mod cause;
mod clients;
mod connection;
mod convert;
mod dynamodb;
mod error;
mod failure;
mod interceptor;
mod key_names;
mod kms;
mod meter;
mod misfit;
mod once;
mod provision;
pub mod reconcile;
mod request;
mod response;
mod s3;
mod sdk_interceptors;
mod selected;
mod signing;
mod table;
mod table_status;

pub use clients::{Connectors, Settings, SetupError, Stores, UrlKey};
pub use dynamodb::{
    BatchGetItem, BatchGot, BatchWrite, DeleteItem, DynamoDb, GetItem, KeyAttributes, MAX_GETS,
    MAX_OPERATIONS, MAX_WRITES, Page, PutItem, Query, Scan, TableKeys, TransactItem, TransactKey,
    UpdateError, UpdateItem,
};
pub use error::{Doubt, Endpoint, Error, Kind, Refusal, Resource};
pub use kms::{GeneratedKey, Kms};
pub use misfit::Misfit;
pub use provision::{ProvisionError, Warning, missing, provision};
pub use s3::{
    CopiedObject, CopyError, CopySource, DownloadError, ListedObject, ListedUpload, Location,
    MAX_COPIED_BYTES, MultipartUpload, ObjectBody, ObjectHead, ObjectPage, Part, S3, SignedContent,
    SignedUrl, StoredObject, UploadPage, Wanted,
};
pub use selected::Selected;
pub use table_status::ACTIVE;

/// Prefix of the SDK's log targets whose lines may hold items: if an attempt fails twice, the SDK logs the first error in
/// full, with the item that failed the condition of a write.
pub const LINES_WITH_ITEMS: &str = "aws_smithy_runtime_api::client::interceptors";

/// Prefixes of the SDK's log targets that write errors in debug format. The same is in the cause of the request that fails
/// for it, which is logged in one line.
pub const LINES_WITH_DUMPS: [&str; 7] = [
    "aws_config::ecs",
    "aws_config::imds",
    "aws_config::meta",
    "aws_config::profile::credentials",
    "aws_config::sts",
    "aws_config::web_identity_token",
    "aws_smithy_http_client::client",
];

#[cfg(test)]
#[cfg(feature = "embedded")]
pub(crate) mod testing;
#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
