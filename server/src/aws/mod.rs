//! The AWS SDK clients of the three stores: typed calls, each bounded by its call's deadline and counted to its bill,
//! and errors as kinds. Never retries by itself (the SDK does), but for bodies that
//! break off; knows nothing of models beyond `provision`.

mod answer;
mod cause;
mod clients;
mod convert;
mod dynamodb;
mod error;
mod interceptor;
mod key_names;
mod kms;
mod lean;
mod meter;
mod provision;
mod s3;

pub use clients::{Connectors, Settings, SetupError, Stores};
pub use dynamodb::{DeleteItem, DynamoDb, GetItem, Page, PutItem, Query, Scan};
pub use error::{Doubt, Endpoint, Error, Kind, Resource};
pub use kms::{GeneratedKey, Kms};
pub use provision::{ProvisionError, Warning, missing, provision};
pub use s3::{DownloadError, Downloaded, Location, MultipartUpload, ObjectHead, Part, S3, StoredObject};

/// What the targets of the SDK's errors and warnings begin with that may hold items: where an attempt fails twice, the
/// first error is written whole, with the item that refused a write.
pub const LINES_WITH_ITEMS: &str = "aws_smithy_runtime_api::client::interceptors";

/// What the targets of the SDK's errors and warnings begin with that dump whole errors in the form for debugging. What is
/// in them is also in the cause of the request that fails for it, which the log has in one line.
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
