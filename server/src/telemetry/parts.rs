//! The parts of telemetry that the settings enable.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::export::{AuditLines, Dropped, LogQueue, Tasks};
use super::instruments::Instruments;
use super::scrape::Scrape;
use super::tracer::CallTracer;
use super::variables::Propagators;

/// The enabled parts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) tracer: Option<CallTracer>,
    pub(super) instruments: Option<Instruments>,
    pub(super) propagators: Propagators,
    /// Spans may have the keys of objects.
    pub(super) object_keys: bool,
    pub(super) log: Option<LogQueue>,
    /// The lines of the audit log.
    pub(super) audit: Option<AuditLines>,
    pub(super) scrape: Option<Scrape>,
    pub(super) dropped: Arc<Dropped>,
    /// Lines that the log dropped, counted by its writer.
    pub(super) log_drops: OnceLock<Arc<AtomicU64>>,
    pub(super) tasks: Mutex<Option<Tasks>>,
}
