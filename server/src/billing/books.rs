//! The books: what all calls cost, for the server and for every session, and the bills of the calls that finished last.
//! Answers MetricsService; never asks who is asking.
//!
//! One lock guards all of it, so a reset answers exactly what it cleared. It is held for a few hundred nanoseconds.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tonic::Code;

use super::book::Book;
#[cfg(feature = "telemetry")]
use super::ever::Ever;
use super::finished::{Finished, FinishedCall};
use super::sessions::Sessions;
use super::{Bill, Bounds, Prices, lock};
use crate::figure::{NO_MODEL, Rpc};

/// What is asked for or reset; both empty: the whole server.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// A session's name.
    pub session: Option<String>,
    /// A model's name.
    pub model: Option<String>,
}

/// Totals of a scope; each of the two maps sums to `total` exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The sum over all calls.
    pub total: Bill,
    /// By model name; [`NO_MODEL`] for calls that named no served model.
    pub by_model: BTreeMap<Arc<str>, Bill>,
    /// By RPC.
    pub by_operation: BTreeMap<Rpc, Bill>,
    /// Since when the scope is being counted: its first call, its last reset, or the server's start.
    pub since: SystemTime,
}

/// The totals of the server and of its sessions, and the last finished calls.
#[derive(Debug)]
pub struct Books {
    prices: Prices,
    serial: AtomicU64,
    /// The names of served models that were called: a bounded set.
    names: Mutex<HashSet<Arc<str>>>,
    none: Arc<str>,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    server: Book,
    #[cfg(feature = "telemetry")]
    ever: Ever,
    sessions: Sessions,
    finished: Finished,
}

/// Whose bill is posted.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) rpc: Rpc,
    pub(super) serial: u64,
    pub(super) request_id: &'a str,
    pub(super) session: Option<&'a Arc<str>>,
    pub(super) model: Option<&'a Arc<str>>,
    pub(super) started_at: SystemTime,
}

impl Books {
    /// Empty books, counting from now.
    pub fn new(bounds: Bounds, prices: Prices) -> Books {
        let pages = Pages {
            server: Book::new(SystemTime::now()),
            #[cfg(feature = "telemetry")]
            ever: Ever::default(),
            sessions: Sessions::new(bounds.session_idle, bounds.session_max),
            finished: Finished::new(bounds.finished_calls),
        };
        Books {
            prices,
            serial: AtomicU64::new(0),
            names: Mutex::default(),
            none: Arc::from(NO_MODEL),
            pages: Mutex::new(pages),
        }
    }

    /// What things cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The totals of a scope; `None` for a session that nobody used or that was forgotten.
    pub fn totals(&self, scope: &Scope) -> Option<Totals> {
        let pages = lock(&self.pages);
        let model = scope.model.as_deref();
        match &scope.session {
            Some(name) => Some(pages.sessions.peek(name, Instant::now())?.totals(model)),
            None => Some(pages.server.totals(model)),
        }
    }

    /// Zeroes a scope and returns what it held; `None` as for [`Books::totals`]. The other scopes keep what they have.
    pub fn reset(&self, scope: &Scope) -> Option<Bill> {
        let mut pages = lock(&self.pages);
        let (model, now) = (scope.model.as_deref(), SystemTime::now());
        match &scope.session {
            Some(name) => {
                let account = pages.sessions.peek_mut(name, Instant::now())?;
                Some(account.reset(model, now))
            }
            None => Some(pages.server_to_reset(model).reset(model, now)),
        }
    }

    /// The bill of a finished call by its request id; of several with one id, the last that passed its checks.
    pub fn finished(&self, request_id: &str) -> Option<FinishedCall> {
        lock(&self.pages).finished.get(request_id).cloned()
    }

    /// What all calls cost since the start by model and operation, resets notwithstanding; no figure is ever less
    /// than it was before.
    #[cfg(feature = "telemetry")]
    pub fn ever(&self) -> Vec<crate::telemetry::Line> {
        let mut pages = lock(&self.pages);
        let Pages { server, ever, .. } = &mut *pages;
        ever.tell(server)
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn intern(&self, model: &str) -> Arc<str> {
        let mut names = lock(&self.names);
        if let Some(name) = names.get(model) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(model);
        names.insert(Arc::clone(&name));
        name
    }

    /// Begins a session, or marks it as used now.
    pub(super) fn open_session(&self, name: &Arc<str>) {
        lock(&self.pages).sessions.of(name, Instant::now());
    }

    /// Posts the bill of a call that ends now; its session's totals after it. A call that was refused, not `passed`, is
    /// posted to a session only if there is one.
    pub(super) fn post(&self, entry: &Entry<'_>, bill: &Bill, code: Code, passed: bool) -> Option<Bill> {
        let finished = FinishedCall::new(entry, bill, code);
        let mut pages = lock(&self.pages);
        pages.finished.put(finished, passed);
        let model = entry.model.unwrap_or(&self.none);
        pages.server.add(model, entry.rpc, entry.started_at, bill);
        let name = entry.session?;
        let account = match passed {
            true => pages.sessions.of(name, Instant::now()),
            false => pages.sessions.peek_mut(name, Instant::now())?,
        };
        account.add(model, entry.rpc, entry.started_at, bill);
        Some(account.total())
    }

    /// Posts what was counted after the call was closed; to its session, if the call's bill went there.
    pub(super) fn post_late(&self, entry: &Entry<'_>, late: &Bill, in_session: bool) {
        let mut pages = lock(&self.pages);
        pages.finished.add_late(entry, late);
        let model = entry.model.unwrap_or(&self.none);
        pages.server.add(model, entry.rpc, entry.started_at, late);
        if in_session {
            self.add_to_session(&mut pages, entry, late);
        }
    }

    /// Posts the bill of a call to its session that was taken for refused when it was closed.
    pub(super) fn post_passed(&self, entry: &Entry<'_>, bill: &Bill, in_session: bool) {
        let mut pages = lock(&self.pages);
        pages.finished.promote(entry);
        if !in_session {
            self.add_to_session(&mut pages, entry, bill);
        }
    }

    fn add_to_session(&self, pages: &mut Pages, entry: &Entry<'_>, bill: &Bill) {
        let Some(name) = entry.session else { return };
        let account = pages.sessions.of(name, Instant::now());
        let model = entry.model.unwrap_or(&self.none);
        account.add(model, entry.rpc, entry.started_at, bill);
    }
}

impl Pages {
    /// The server's book, once what is about to be cleared is kept for the instruments.
    fn server_to_reset(&mut self, model: Option<&str>) -> &mut Book {
        #[cfg(feature = "telemetry")]
        self.ever.keep(&self.server, model);
        #[cfg(not(feature = "telemetry"))]
        let _ = model;
        &mut self.server
    }
}
