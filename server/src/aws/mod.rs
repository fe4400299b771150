//! The AWS SDK clients of the three stores: typed calls, each bounded by its call's deadline and counted to its bill,
//! and errors as kinds. Never retries by itself (the SDK does), knows nothing of models beyond `provision`.

mod answer;
mod clients;
mod convert;
mod dynamodb;
mod error;
mod interceptor;
mod kms;
mod lean;
mod meter;
mod provision;
mod s3;

pub use clients::{Connectors, Settings, SetupError, Stores};
pub use dynamodb::{DeleteItem, DynamoDb, GetItem, Page, PutItem, Query, Scan};
pub use error::{Doubt, Error, Kind, Resource};
pub use kms::{GeneratedKey, Kms};
pub use provision::{ProvisionError, missing, provision};
pub use s3::{Location, MultipartUpload, Part, S3, StoredObject};

#[cfg(test)]
#[cfg(feature = "embedded")]
pub(crate) mod testing;
#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
