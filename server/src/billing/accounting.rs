//! What all calls cost: totals of the server and of every session, and the bills of recently finished calls. MetricsService
//! reads it; every ledger posts to it.
//!
//! One lock guards all of it, so a reset returns exactly what it cleared. It is held for a few hundred nanoseconds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use tonic::Code;

use super::bounds::Bounds;
use super::entry::Entry;
use super::finished::{Finished, FinishedCall};
use super::owner::{Owned, Owner};
use super::prices::Prices;
#[cfg(feature = "telemetry")]
use super::process_totals::ProcessTotals;
use super::server_totals::ServerTotals;
use super::sessions::Sessions;
use super::totals::{Scope, Totals};
#[cfg(feature = "telemetry")]
use crate::figure::ModelBill;
use crate::figure::{Bill, NO_MODEL};

/// The totals of the server and of its sessions, and the last finished calls.
#[derive(Debug)]
pub struct Accounting {
    prices: Prices,
    serial: AtomicU64,
    /// The names of served models that were called: a bounded set, since only served models are added.
    names: Mutex<HashSet<Arc<str>>>,
    none: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    server: ServerTotals,
    #[cfg(feature = "telemetry")]
    process: ProcessTotals,
    sessions: Sessions,
    finished: Finished,
}

impl Accounting {
    /// Starts counting now.
    pub fn new(bounds: Bounds, prices: Prices) -> Accounting {
        let state = State {
            server: ServerTotals::new(SystemTime::now()),
            #[cfg(feature = "telemetry")]
            process: ProcessTotals::default(),
            sessions: Sessions::new(bounds.session_idle, bounds.session_max),
            finished: Finished::new(bounds.finished_calls),
        };
        Accounting {
            prices,
            serial: AtomicU64::new(0),
            names: Mutex::default(),
            none: Arc::from(NO_MODEL),
            state: Mutex::new(state),
        }
    }

    /// The price book.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The totals of a scope; `None` for a session that no call of its owner used, or that was forgotten.
    pub fn totals(&self, owner: Owner, scope: &Scope) -> Option<Totals> {
        let session = scope.session.as_deref().map(|name| Owned::new(owner, name));
        let state = self.state.lock();
        let model = scope.model.as_deref();
        match &session {
            Some(session) => Some(state.sessions.peek(session, Instant::now())?.totals(model)),
            None => Some(state.server.totals(model)),
        }
    }

    /// Zeroes a scope and returns what it cleared; `None` as for [`Accounting::totals`]. Other scopes are unchanged.
    pub fn reset(&self, owner: Owner, scope: &Scope) -> Option<Bill> {
        let session = scope.session.as_deref().map(|name| Owned::new(owner, name));
        let mut state = self.state.lock();
        let (model, now) = (scope.model.as_deref(), SystemTime::now());
        match &session {
            Some(session) => {
                let session = state.sessions.peek_mut(session, Instant::now())?;
                Some(session.reset(model, now))
            }
            None => Some(state.server_to_reset(model).reset(model, now)),
        }
    }

    /// The bill of a finished call of this owner by its request id; of several with one id, the latest that passed its
    /// checks.
    pub fn finished(&self, owner: Owner, request_id: &str) -> Option<FinishedCall> {
        let key = Owned::new(owner, request_id);
        self.state.lock().finished.get(&key).cloned()
    }

    /// What all calls cost since the process started, by model and RPC, regardless of resets. No figure ever decreases.
    #[cfg(feature = "telemetry")]
    pub fn since_start(&self) -> Vec<ModelBill> {
        let mut state = self.state.lock();
        let State { server, process, .. } = &mut *state;
        process.report(server)
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn intern(&self, model: &str) -> Arc<str> {
        let mut names = self.names.lock();
        if let Some(name) = names.get(model) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(model);
        names.insert(Arc::clone(&name));
        name
    }

    /// Starts a session, or marks it as used now.
    pub(super) fn open_session(&self, name: &Owned) {
        self.state.lock().sessions.use_session(name, Instant::now());
    }

    /// Posts the bill of a call that ends now, and returns its session's totals after it. A call that was refused (not
    /// `passed`) is posted to a session only if the session exists.
    pub(super) fn post(&self, entry: &Entry<'_>, bill: &Bill, code: Code, passed: bool) -> Option<Bill> {
        let finished = FinishedCall::new(entry, bill, code);
        let session = entry.owned_session();
        let mut state = self.state.lock();
        // calls without a valid credential must not evict those of callers
        if entry.owner != Owner::NOBODY {
            state.finished.put(finished, passed);
        }
        let model = entry.model.unwrap_or(&self.none);
        state.server.add(model, entry.rpc, entry.started_at, bill);
        let session = session?;
        let session = match passed {
            true => state.sessions.use_session(&session, Instant::now()),
            false => state.sessions.peek_mut(&session, Instant::now())?,
        };
        session.add(model, entry.rpc, entry.started_at, bill);
        Some(session.total())
    }

    /// Posts what was counted after the call was closed; to its session only if the call's bill was posted there.
    pub(super) fn post_late(&self, entry: &Entry<'_>, late: &Bill, in_session: bool) {
        let mut state = self.state.lock();
        state.finished.add_late(entry, late);
        let model = entry.model.unwrap_or(&self.none);
        state.server.add(model, entry.rpc, entry.started_at, late);
        if in_session {
            self.add_to_session(&mut state, entry, late);
        }
    }

    /// Posts the bill of a call that did something after it was closed as refused to its session.
    pub(super) fn post_passed(&self, entry: &Entry<'_>, bill: &Bill, in_session: bool) {
        let mut state = self.state.lock();
        state.finished.promote(entry);
        if !in_session {
            self.add_to_session(&mut state, entry, bill);
        }
    }

    fn add_to_session(&self, state: &mut State, entry: &Entry<'_>, bill: &Bill) {
        let Some(session) = entry.owned_session() else {
            return;
        };
        let session = state.sessions.use_session(&session, Instant::now());
        let model = entry.model.unwrap_or(&self.none);
        session.add(model, entry.rpc, entry.started_at, bill);
    }
}

impl State {
    /// The server's totals, after saving what is about to be cleared for the instruments.
    fn server_to_reset(&mut self, model: Option<&str>) -> &mut ServerTotals {
        #[cfg(feature = "telemetry")]
        self.process.keep(&self.server, model);
        #[cfg(not(feature = "telemetry"))]
        let _ = model;
        &mut self.server
    }
}
