//! The gRPC contract of tollgate: messages, clients and servers of `tollgate.v1`, the reasons of its errors and the
//! names of its metadata. Also the codec, the limits on decoding, and decimal numbers, which server and client share.

pub mod budget;
pub mod codec;
mod decimal;
pub mod metadata;
pub mod reason;
mod redacted;

pub use decimal::Decimal;
pub use reason::Reason;

/// Generated from `proto/tollgate/v1/*.proto`, whose comments are the API reference.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    missing_docs,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("tollgate.v1");
}

/// The encoded `FileDescriptorSet` of the contract and its imports, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tollgate.v1.binpb"));
