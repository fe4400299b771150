//! The ledger of one RPC. Opened when the RPC arrives, fed while it runs, closed exactly once. Never calls AWS and
//! makes no decisions.
//!
//! Locks are always taken in the order ledger, then accounting. That, and a ledger that records whether it is closed,
//! makes the sums exact: a count is either part of the bill that closing posts, or is posted separately, never both and
//! never neither, even if resets happen in between.
//!
//! What is counted is charged to the caller's account at once; its lock is taken last.

use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tollgate_proto::Reason;
use tonic::Code;

use super::accounting::Accounting;
use super::charge::{Charge, duration_us};
use super::entry::Entry;
use super::owner::{Owned, Owner};
use crate::capacity::{Account, Consumption};
use crate::figure::unit::{micros, milliunits};
use crate::figure::{AwsOperation, Bill, Rpc};

/// The ledger of one RPC.
pub struct Ledger {
    accounting: Arc<Accounting>,
    owner: Owner,
    account: Option<Arc<Account>>,
    rpc: Rpc,
    serial: u64,
    generated_request_id: String,
    given_request_id: OnceLock<String>,
    session: Option<Arc<str>>,
    model: OnceLock<Arc<str>>,
    started: Instant,
    started_at: SystemTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bill: Bill,
    reason: Option<Reason>,
    busy: BusyTime,
    closed: bool,
    /// The call passed its checks: it made a request to AWS, or ended successfully.
    passed: bool,
    /// The bill was posted to the session too.
    in_session: bool,
}

/// The time during which at least one attempt is in progress.
#[derive(Default)]
struct BusyTime {
    attempts: u32,
    since: Option<Instant>,
    before: Duration,
}

/// The call that a ledger is opened for.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Whose call it is.
    pub owner: Owner,
    /// The account that its consumption is charged to; `None`: the caller has no limits.
    pub account: Option<Arc<Account>>,
    /// The RPC.
    pub rpc: Rpc,
    /// The caller's id of this call; if missing, one is generated.
    pub request_id: Option<&'a str>,
    /// The session that is billed; it starts with the first call that passes its checks.
    pub session: Option<&'a str>,
}

/// A closed ledger.
#[derive(Debug)]
pub struct Closed {
    /// The bill of the call.
    pub bill: Bill,
    /// Why the call failed, if known.
    pub reason: Option<Reason>,
    /// The totals of its session after it.
    pub session: Option<Bill>,
}

impl Ledger {
    /// Opens the ledger of an RPC that arrives now.
    pub fn open(accounting: &Arc<Accounting>, opening: &Opening<'_>) -> Arc<Ledger> {
        let given_request_id = OnceLock::new();
        if let Some(given) = opening.request_id {
            given_request_id.get_or_init(|| given.to_owned());
        }
        let generated_request_id = match opening.request_id {
            Some(_) => String::new(),
            None => ulid::Ulid::generate().to_string(),
        };
        Arc::new(Ledger {
            accounting: Arc::clone(accounting),
            owner: opening.owner,
            account: opening.account.clone(),
            rpc: opening.rpc,
            serial: accounting.next_serial(),
            generated_request_id,
            given_request_id,
            session: opening.session.map(Arc::from),
            model: OnceLock::new(),
            started: Instant::now(),
            started_at: SystemTime::now(),
            state: Mutex::default(),
        })
    }

    /// The RPC.
    pub fn rpc(&self) -> Rpc {
        self.rpc
    }

    /// The account that the call is charged to; `None`: its caller has no limits.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// The id of the call.
    pub fn request_id(&self) -> &str {
        self.given_request_id.get().unwrap_or(&self.generated_request_id)
    }

    /// The session that is billed.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The served model that the call names, once it is known.
    pub fn model(&self) -> Option<&Arc<str>> {
        self.model.get()
    }

    /// When the call arrived.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Why the call failed, if known.
    pub fn reason(&self) -> Option<Reason> {
        self.state.lock().reason
    }

    /// The figures counted so far.
    pub fn bill(&self) -> Bill {
        self.state.lock().bill.clone()
    }

    /// Sets the served model; only the first call has an effect.
    pub fn set_model(&self, model: &str) {
        self.model.get_or_init(|| self.accounting.intern(model));
    }

    /// Sets the request id if the metadata had none; only the first call has an effect.
    pub fn set_request_id(&self, request_id: &str) {
        self.given_request_id.get_or_init(|| request_id.to_owned());
    }

    /// Sets why the call failed, for the log and its span; the last reason counts.
    pub fn set_reason(&self, reason: Reason) {
        self.state.lock().reason = Some(reason);
    }

    /// Counts an attempt that is being sent now. Its time is added when the [`Attempt`] ends.
    #[must_use = "the attempt ends when this is dropped"]
    pub fn attempt(self: &Arc<Ledger>, operation: AwsOperation) -> Attempt {
        let charge = Charge::for_operation(operation, self.accounting.prices());
        let started = Instant::now();
        let mut state = self.state.lock();
        state.busy.begin(started);
        self.pass(&mut state);
        self.count_in(&mut state, |bill| charge.add(bill));
        drop(state);
        Attempt {
            ledger: Arc::clone(self),
            operation,
            charge,
            started,
            ended: false,
        }
    }

    /// Changes the bill while the ledger is open; afterwards the bill and all totals that include it.
    pub fn count(&self, change: impl FnOnce(&mut Bill)) {
        self.count_in(&mut self.state.lock(), change);
    }

    /// Adds the capacity that DynamoDB reported, in units, and its price.
    pub fn add_capacity(&self, read_units: f64, write_units: f64) {
        let (read, write) = (milliunits(read_units), milliunits(write_units));
        let prices = self.accounting.prices();
        let picodollars = prices.read_capacity(read) + prices.write_capacity(write);
        self.count(|bill| {
            bill.read_milliunits += read;
            bill.write_milliunits += write;
            bill.dynamodb_picodollars += picodollars;
        });
    }

    /// Adds write capacity that DynamoDB consumed but did not report, in units, and its price.
    pub fn add_estimated_write(&self, units: f64) {
        let write = milliunits(units);
        let picodollars = self.accounting.prices().write_capacity(write);
        self.count(|bill| {
            bill.estimated_write_milliunits += write;
            bill.dynamodb_picodollars += picodollars;
        });
    }

    /// Counts an item of a page that is returned as an error with this status.
    pub fn add_failed_item(&self, code: Code) {
        self.count(|bill| match code {
            Code::DataLoss => bill.items_lost += 1,
            _ => bill.items_unopened += 1, // one figure for all other statuses
        });
    }

    /// Closes the ledger with the call's final status and posts its bill. `None` if it was closed before.
    ///
    /// A call is counted as one of successful, failed, or cancelled. `CANCELLED` and `DEADLINE_EXCEEDED` are cancelled,
    /// all other errors are failed.
    pub fn close(&self, code: Code) -> Option<Closed> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if mem::replace(&mut state.closed, true) {
            return None;
        }
        let busy = state.busy.until(now);
        let bill = &mut state.bill;
        bill.calls = 1;
        match code {
            Code::Ok => {}
            Code::Cancelled | Code::DeadlineExceeded => bill.cancelled_calls = 1,
            _ => bill.failed_calls = 1, // all other errors
        }
        bill.wall_us = micros(now - self.started);
        bill.gateway_us = bill.wall_us.saturating_sub(micros(busy));
        let bill = bill.clone();
        if code == Code::Cancelled {
            state.reason.get_or_insert(Reason::Cancelled);
        }
        state.passed |= code == Code::Ok;
        let session = self.accounting.post(&self.entry(), &bill, code, state.passed);
        state.in_session = session.is_some();
        Some(Closed {
            bill,
            reason: state.reason,
            session,
        })
    }

    /// Marks the call as having passed its checks: from now on its session exists.
    fn pass(&self, state: &mut State) {
        if mem::replace(&mut state.passed, true) {
            return;
        }
        if state.closed {
            self.accounting
                .post_passed(&self.entry(), &state.bill, state.in_session);
            state.in_session = self.session.is_some();
        } else if let Some(name) = &self.session {
            self.accounting.open_session(&Owned {
                owner: self.owner,
                name: Arc::clone(name),
            });
        }
    }

    fn count_in(&self, state: &mut State, change: impl FnOnce(&mut Bill)) {
        let Some(account) = &self.account else {
            return self.count_only(state, change);
        };
        let before = consumed(&state.bill);
        self.count_only(state, change);
        account.charge(difference(consumed(&state.bill), before), Instant::now());
    }

    fn count_only(&self, state: &mut State, change: impl FnOnce(&mut Bill)) {
        if !state.closed {
            return change(&mut state.bill);
        }
        let mut late = Bill::default();
        change(&mut late);
        state.bill += &late;
        self.accounting.post_late(&self.entry(), &late, state.in_session);
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            owner: self.owner,
            rpc: self.rpc,
            serial: self.serial,
            request_id: self.request_id(),
            session: self.session.as_ref(),
            model: self.model.get(),
            started_at: self.started_at,
        }
    }
}

/// The figures that a caller's limits are about: units read and written, and the cost.
fn consumed(bill: &Bill) -> [u64; 3] {
    [
        bill.read_milliunits,
        bill.all_write_milliunits(),
        bill.picodollars(),
    ]
}

/// What was added; less than nothing where something was taken back.
fn difference(after: [u64; 3], before: [u64; 3]) -> Consumption {
    let [read_milliunits, write_milliunits, picodollars] =
        std::array::from_fn(|index| after[index].wrapping_sub(before[index]).cast_signed());
    Consumption {
        read_milliunits,
        write_milliunits,
        picodollars,
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ledger")
            .field("rpc", &self.rpc)
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

impl BusyTime {
    fn begin(&mut self, now: Instant) {
        if self.attempts == 0 {
            self.since = Some(now);
        }
        self.attempts += 1;
    }

    fn end(&mut self, now: Instant) {
        self.attempts -= 1;
        if self.attempts == 0
            && let Some(since) = self.since.take()
        {
            self.before += now - since;
        }
    }

    fn until(&self, now: Instant) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now - since)
    }
}

/// One AWS attempt in progress. Its time is added to the ledger when it ends or is dropped.
#[derive(Debug)]
pub struct Attempt {
    ledger: Arc<Ledger>,
    operation: AwsOperation,
    charge: Charge,
    started: Instant,
    ended: bool,
}

impl Attempt {
    /// The ledger that counts the attempt.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The operation.
    pub fn operation(&self) -> AwsOperation {
        self.operation
    }

    /// Ends the attempt: a response arrived, or none is expected any more. Returns its duration if such attempts are
    /// billed; `None` if it ended before.
    pub fn end(&mut self) -> Option<Duration> {
        self.end_as(true)
    }

    /// Ends the attempt as never sent (no connection), and takes its count back.
    pub fn end_unsent(&mut self) {
        self.end_as(false);
    }

    fn end_as(&mut self, sent: bool) -> Option<Duration> {
        if mem::replace(&mut self.ended, true) {
            return None;
        }
        let now = Instant::now();
        let took = now - self.started;
        let is_billed = self.charge.is_billed();
        let mut state = self.ledger.state.lock();
        state.busy.end(now);
        self.ledger.count_in(&mut state, |bill| match sent {
            true if is_billed => *duration_us(self.operation.service(), bill) += micros(took),
            true => {}
            false => self.charge.take_back(bill),
        });
        (sent && is_billed).then_some(took)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end();
    }
}
