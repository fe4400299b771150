//! The state that all calls of a server share, and the limits computed from it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::Request;

use super::super::Connection;
use super::calls::OpenCalls;
use super::end::End;
use super::receipt::Timeout;
use super::refusal::{self, Refusal};
use super::request::{self, Deadlines};
use super::route::Route;
use super::settings::Settings;
use crate::audit::Audit;
use crate::billing::Accounting;
use crate::call;
use crate::caller::Caller;
use crate::capacity::{Account, Accounts, Capacity, Hold, Limits, OutOfMemory, Pool};
use crate::figure::Rpc;
use crate::identity::Authenticator;
use crate::telemetry::Telemetry;

/// Bytes of an open call, without its head.
const CALL_BYTES: usize = 4 * 1024;

/// The state that all calls of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) accounting: Arc<Accounting>,
    pub(super) telemetry: Telemetry,
    pub(super) settings: Settings,
    pub(super) capacity: Arc<Capacity>,
    /// `None`: callers have no limits.
    accounts: Option<Accounts>,
    pub(super) calls: OpenCalls,
    pub(super) draining: AtomicBool,
    /// `None`: callers have no identity.
    pub(super) authenticator: Option<Arc<Authenticator>>,
    /// `None`: calls are not audited.
    pub(super) audit: Option<Audit>,
}

impl Shared {
    pub(super) fn new(
        accounting: Arc<Accounting>,
        settings: Settings,
        telemetry: Telemetry,
        authenticator: Option<Arc<Authenticator>>,
        audit: Option<Audit>,
    ) -> Arc<Shared> {
        let in_flight = settings.in_flight.max(1);
        let settings = Settings {
            in_flight,
            ..settings
        };
        Arc::new(Shared {
            accounting,
            telemetry,
            capacity: Capacity::new(Limits {
                memory: settings.memory,
                in_flight,
                in_flight_per_connection: settings.in_flight_per_connection.max(1),
                adaptive: settings.adaptive,
            }),
            accounts: Accounts::new(settings.callers.clone(), call::now()),
            settings,
            calls: OpenCalls::default(),
            draining: AtomicBool::new(false),
            authenticator,
            audit,
        })
    }

    /// Reserves memory for the head of a request.
    pub(super) fn hold<B>(&self, request: &Request<B>) -> Result<Arc<Hold>, OutOfMemory> {
        let bytes = CALL_BYTES + request::head_bytes(request);
        match request.extensions().get::<Connection>() {
            Some(connection) => Hold::open(&self.capacity, connection.share(), bytes),
            None => Hold::open(&self.capacity, &Arc::default(), bytes),
        }
    }

    /// The account of a caller; `None` if it has no limits.
    pub(super) fn account(&self, caller: Option<&Caller>) -> Option<Arc<Account>> {
        let (accounts, caller) = self.accounts.as_ref().zip(caller)?;
        Some(accounts.open(caller.id(), &caller.name, &caller.groups, call::now()))
    }

    /// The bounds of a call's deadline.
    pub(super) fn deadlines(&self, route: Route) -> Deadlines {
        Deadlines {
            default: match route.rpc.is_some_and(Rpc::streams_content) {
                true => self.settings.stream_deadline_max,
                false => self.settings.deadline,
            },
            max: match route.streams {
                true => self.settings.stream_deadline_max,
                false => self.settings.deadline_max,
            },
        }
    }

    /// Calls of DataService in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.capacity.in_flight(Pool::Data)
    }

    /// Calls in flight divided by the calls that are admitted now.
    pub(super) fn utilization(&self) -> f64 {
        self.in_flight() as f64 / self.capacity.admitted().max(1) as f64
    }

    /// The refusal of a call that timed out.
    pub(super) fn timed_out(&self, timeout: Timeout, hold: Option<&Arc<Hold>>, end: &End) -> Refusal {
        let is_waiting = hold.is_some_and(|hold| hold.is_waiting());
        match timeout {
            Timeout::Deadline => end.refusal(is_waiting),
            Timeout::Receive if is_waiting => refusal::out_of_memory(),
            Timeout::Receive => refusal::receive_timed_out(self.settings.receive),
        }
    }
}
