//! Between a caller's item and a stored one. What is stored of an item that [`check`] let through:
//!
//! | attribute | stored as |
//! |---|---|
//! | of any plain type | its own DynamoDB type, as it was given; an explicit null as NULL |
//! | encrypted | a ciphertext of [`crypto::envelope`](crate::crypto::envelope): B (`sealed`) or S (`pydynox`); null as NULL |
//! | object | M, the [`mod@pointer`] to the object in S3 |
//!
//! [`store`] makes the stored item and [`load`] the caller's; they are each other's inverse. Nothing here talks to
//! DynamoDB or S3, and to KMS only through the call's keyring.

pub mod check;
mod key;
pub mod load;
pub mod pointer;
pub mod store;
mod types;

pub use key::Key;
