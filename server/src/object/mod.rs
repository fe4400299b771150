//! Objects in S3 that items own: their keys, their owners, uploads and downloads. Never deletes an object, and never reads
//! or writes DynamoDB: the `write` room keeps objects consistent with their items.

pub mod download;
pub mod key;
pub mod owner;
pub mod read;
mod reading;
pub mod upload;
