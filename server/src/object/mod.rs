//! Objects in S3 that items own: their keys, their owners, uploads and downloads. Never deletes an object, and never reads
//! or writes DynamoDB: the `write` room keeps objects consistent with their items.

pub mod adopt;
mod compressing;
pub mod content;
mod decoder;
mod destination;
pub mod digest;
pub mod download;
pub mod encoder;
mod filling;
pub mod folder;
mod hashing;
mod held;
mod inflating;
pub mod key;
mod opening;
pub mod owner;
mod part_size;
mod parts;
pub mod presign;
pub mod read;
mod reading;
pub mod upload;
pub mod window;
