//! tollgate: the one gate in front of DynamoDB, KMS and S3.

pub mod fault;
pub mod model;

#[cfg(feature = "embedded")]
pub mod embedded;
