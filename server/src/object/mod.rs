//! Objects in S3 that items own: named, uploaded, read back, and kept in step with the item that points to them.
//! Knows nothing of gRPC, and of DynamoDB only the one write that commits.

pub mod key;
pub mod owner;
pub mod read;
pub mod settle;
pub mod upload;
