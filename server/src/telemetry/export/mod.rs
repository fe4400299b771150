//! Export to a collector: one bounded queue and one task per signal. A collector that is slow or down fills its queue;
//! records that do not fit are dropped and counted, callers never wait, and the log reports the outage once for all
//! signals. The lines of the audit log have a queue whose room is asked for before a call begins.

mod audit;
mod exporter;
mod health;
mod in_hand;
mod log_processor;
mod metrics;
mod queue;
mod signal;
mod tasks;
mod transport;
mod web;
mod worker;

pub use self::audit::AuditLines;
pub(super) use self::log_processor::LogQueue;
pub(super) use self::metrics::PushReader;
pub(super) use self::queue::SpanQueue;
pub(super) use self::signal::Dropped;
pub(super) use self::tasks::Tasks;
pub(super) use self::transport::{log_exporter, metric_exporter, span_exporter};
