//! gRPC: the tonic services, the decoding of requests, the encoding of responses, and the mapping of errors to statuses.
//! Of `aws` it knows the kinds of failures, which it maps to statuses; it never sends a request to a store.

mod admin_service;
mod authorized;
mod batches;
mod budget;
mod connection;
mod data_service;
mod decode;
mod encode;
mod failure;
pub mod layer;
mod metrics_service;
pub mod reflection;
mod schema_service;
pub mod status;
pub(crate) mod stream;
mod uploads;

pub use admin_service::Admin;
pub use budget::Budgeted;
pub use connection::Connection;
pub use data_service::Data;
pub use metrics_service::Metrics;
pub use schema_service::Schema;
