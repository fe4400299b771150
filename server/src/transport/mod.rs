//! gRPC: the tonic services, what they decode and encode, and how errors become statuses. Knows tonic and the
//! contract, nothing of AWS.

mod budget;
mod connection;
mod data_service;
mod decode;
mod encode;
pub mod layer;
mod metrics_service;
pub mod reflection;
mod schema_service;
pub mod status;
pub(crate) mod stream;

pub use budget::Budgeted;
pub use connection::Connection;
pub use data_service::Data;
pub use metrics_service::Metrics;
pub use schema_service::Schema;
