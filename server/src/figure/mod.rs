//! What is counted: RPCs, AWS operations, and the bill. Counts nothing itself, and imports no other room.

mod aws_operation;
mod bill;
mod rpc;
pub mod unit;

pub use aws_operation::{AwsOperation, Service};
pub use bill::{Bill, FIGURES, ModelBill};
pub use rpc::{MethodKind, NO_MODEL, Rpc};
