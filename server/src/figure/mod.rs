//! What is counted: RPCs and AWS operations as enums. Counts nothing itself, and imports no other room.

mod aws_operation;
mod rpc;

pub use aws_operation::{AwsOperation, Service};
pub use rpc::{MethodKind, NO_MODEL, Rpc};
