//! The log processor of the SDK that puts records into a bounded queue. Never blocks.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LogRecord as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};

use super::super::variables::Bounds;
use super::queue::Queue;
use super::signal::{Dropped, Signal};

/// Log records that wait to be exported. Cheap to clone.
#[derive(Clone, Debug)]
pub(in super::super) struct LogQueue(Arc<Queue<SdkLogRecord>>);

impl LogQueue {
    pub(in super::super) fn new(bounds: Bounds, dropped: Arc<Dropped>) -> LogQueue {
        LogQueue(Queue::new(Signal::Logs, bounds, dropped))
    }

    pub(super) fn queue(&self) -> Arc<Queue<SdkLogRecord>> {
        Arc::clone(&self.0)
    }
}

/// The tasks flush the queue and end by themselves, so the SDK has nothing to flush or shut down.
impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        // the bridge from `tracing` uses the place in the source as the name, which is of no use to others
        record.set_event_name("");
        // the bridge leaves the time to the SDK, which sets only that of the observation: they are the same
        if let Some(observed) = record.observed_timestamp() {
            record.set_timestamp(observed);
        }
        self.0.put(record.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
