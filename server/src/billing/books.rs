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
use super::{Bill, Bounds, NONE, Prices, lock};

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
    /// By model name; [`NONE`] for calls that named no served model.
    pub by_model: BTreeMap<Arc<str>, Bill>,
    /// By RPC name.
    pub by_operation: BTreeMap<&'static str, Bill>,
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
    pub(super) operation: &'static str,
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
            none: Arc::from(NONE),
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
        let book = match &scope.session {
            Some(name) => pages.sessions.peek(name, Instant::now())?,
            None => &pages.server,
        };
        Some(book.totals(scope.model.as_deref()))
    }

    /// Zeroes a scope and answers what it held; `None` as for [`Books::totals`]. The other scopes keep what they have.
    pub fn reset(&self, scope: &Scope) -> Option<Bill> {
        let mut pages = lock(&self.pages);
        let book = match &scope.session {
            Some(name) => pages.sessions.peek_mut(name, Instant::now())?,
            None => pages.server_to_reset(scope.model.as_deref()),
        };
        Some(book.reset(scope.model.as_deref(), SystemTime::now()))
    }

    /// The bill of a finished call by its request id; of several with one id, the last.
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

    /// Marks a session as used now; the call that is being opened keeps the name that is answered.
    pub(super) fn open_session(&self, name: &str) -> Arc<str> {
        lock(&self.pages).sessions.open(name, Instant::now())
    }

    /// Posts the bill of a call that ends now; answers its session's totals after it.
    pub(super) fn post(&self, entry: &Entry<'_>, bill: &Bill, code: Code) -> Option<Bill> {
        let finished = FinishedCall::new(entry, bill, code);
        let mut pages = lock(&self.pages);
        pages.finished.put(finished);
        let book = self.add(&mut pages, entry, bill)?;
        Some(book.total().clone())
    }

    /// Posts what was counted after the call was closed.
    pub(super) fn post_late(&self, entry: &Entry<'_>, late: &Bill) {
        let mut pages = lock(&self.pages);
        pages.finished.add_late(entry, late);
        self.add(&mut pages, entry, late);
    }

    fn add<'a>(&self, pages: &'a mut Pages, entry: &Entry<'_>, bill: &Bill) -> Option<&'a Book> {
        let model = entry.model.unwrap_or(&self.none);
        pages.server.add(model, entry.operation, entry.started_at, bill);
        let book = pages.sessions.of(entry.session?, Instant::now());
        book.add(model, entry.operation, entry.started_at, bill);
        Some(book)
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
