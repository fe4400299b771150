//! Converts between a caller's item and a stored one. An item that [`check`] accepts is stored as follows, each attribute
//! under its alias if it has one:
//!
//! | attribute | stored as |
//! |---|---|
//! | of any type but object | the stored form of [`Attribute::to_stored`](crate::model::Attribute::to_stored); an explicit null as NULL |
//! | compressed | S, in the format of `compress` |
//! | encrypted | a ciphertext of [`crypto::envelope`](crate::crypto::envelope): B (`sealed`) or S (`pydynox`); null as NULL |
//! | object | M, the [`mod@pointer`] to the object in S3 |
//! | `tollgate:seal`, of a model that protects items | B, a seal of [`crypto::envelope`](crate::crypto::envelope); see [`protect`] |
//!
//! [`store`] builds the stored item and [`load`] the caller's; they are inverses. Never sends requests to DynamoDB or S3,
//! and reaches KMS only through the call's keyring.

mod attribute_type;
pub mod check;
mod compress;
mod item_id;
mod key;
pub mod load;
pub mod offloaded;
pub mod pointer;
pub mod protect;
pub mod store;
pub mod tenant;

pub use compress::{DecompressError, MAX_BYTES as MAX_DECOMPRESSED_BYTES, compress, decompress};
pub use item_id::ItemId;
pub use key::Key;
