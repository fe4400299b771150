//! What is counted: RPCs, AWS operations, and the table of figures. Counts nothing itself, and imports no other room.

mod aws_operation;
mod metric;
mod model_bill;
mod row;
mod rpc;
mod table;
pub mod unit;

pub use aws_operation::{AwsOperation, Service};
pub use metric::MetricValue;
pub use model_bill::ModelBill;
pub use row::{Counter, Unit};
pub use rpc::{MethodKind, NO_MODEL, Rpc};
pub use table::{Bill, COUNTED, FIGURES, Figure, metric_values};
