//! The calls in flight, as shutdown and metrics see them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tollgate_proto::Reason;
use tonic::Code;

use super::open;
use super::shared::Shared;

/// Interval at which a drain checks whether calls are in flight.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The calls in flight on a server.
#[derive(Clone, Debug)]
pub struct InFlight(pub(super) Arc<Shared>);

impl InFlight {
    /// The number of calls.
    pub fn count(&self) -> usize {
        self.0.in_flight()
    }

    /// The limit of that number.
    pub fn limit(&self) -> usize {
        self.0.settings.in_flight
    }

    /// Waits until no call is in flight and no request is arriving. Every new call is refused from now on, with a status
    /// that makes its caller retry elsewhere.
    pub async fn idle(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        while self.count() > 0 || self.0.calls.count() > 0 {
            tokio::time::sleep(IDLE_CHECK_INTERVAL).await;
        }
    }

    /// Closes the calls that shutdown interrupts: they are billed, logged and traced like any other. They get no response;
    /// their callers see a closed connection, which gRPC reports as UNAVAILABLE.
    pub fn cut_off(&self) {
        for call in self.0.calls.calls() {
            call.set_reason(Reason::ShuttingDown);
            open::close(&call, Code::Unavailable, self.0.settings.slow);
        }
    }
}
