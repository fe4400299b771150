//! The one ledger of one RPC. Opened by the outermost layer, fed by the interceptor in `aws`, closed exactly once.
//! Never calls AWS and decides nothing.
//!
//! The order of locks is ledger, then books, always; that, and a ledger that knows whether it is settled, is what makes
//! the sums exact: a count is in the bill that closing posts, or is posted by itself, never both and never neither,
//! however resets fall between.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use tollgate_proto::Reason;
use tonic::Code;

use super::bill::{micros, milliunits};
use super::books::Entry;
use super::charge::{Charge, duration_us};
use super::{Bill, Books, lock};
use crate::capacity::{Hold, OutOfMemory, Reservation};
use crate::figure::{AwsOperation, Rpc};
use crate::telemetry::{CallTrace, Ended};

/// The ledger of one RPC, the deadline of the work that is billed to it, and what the RPC holds of the server's
/// capacity: that is free again once the last clone is dropped. Cloning gives the same ledger.
#[derive(Clone)]
pub struct Call(Arc<Shared>, Instant, Option<Arc<Hold>>);

struct Shared {
    books: Arc<Books>,
    rpc: Rpc,
    serial: u64,
    request_id: String,
    request_id_given: OnceLock<String>,
    session: Option<Arc<str>>,
    model: OnceLock<Arc<str>>,
    started: Instant,
    started_at: SystemTime,
    trace: CallTrace,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    bill: Bill,
    reason: Option<Reason>,
    /// AWS attempts under way, since when there is at least one, and the time in which there was one before.
    under_way: u32,
    under_way_since: Option<Instant>,
    busy: Duration,
    settled: bool,
    /// The call passed its checks: it made a request to AWS, or ended well.
    passed: bool,
    /// The bill was posted to the session too.
    in_session: bool,
}

/// What a call is opened with.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The RPC.
    pub rpc: Rpc,
    /// The caller's id of this call; without one the server makes it.
    pub request_id: Option<&'a str>,
    /// The session that is billed; it begins with the first call that passes its checks.
    pub session: Option<&'a str>,
    /// When the caller, or the server, gives up.
    pub deadline: Instant,
}

/// What closing a call tells.
#[derive(Debug)]
pub struct Closed {
    /// The bill of this call.
    pub bill: Bill,
    /// The totals of its session after it, where it named one.
    pub session: Option<Bill>,
}

impl Call {
    /// Opens the ledger of an RPC that came in now.
    pub fn open(books: &Arc<Books>, opening: &Opening<'_>) -> Call {
        Call::open_traced(books, opening, CallTrace::off())
    }

    /// The same, with the trace that it is told in.
    pub fn open_traced(books: &Arc<Books>, opening: &Opening<'_>, trace: CallTrace) -> Call {
        let started_at = SystemTime::now();
        let request_id_given = OnceLock::new();
        if let Some(given) = opening.request_id {
            request_id_given.get_or_init(|| given.to_owned());
        }
        let request_id = match opening.request_id {
            Some(_) => String::new(),
            None => ulid::Ulid::generate().to_string(),
        };
        let shared = Arc::new(Shared {
            books: Arc::clone(books),
            rpc: opening.rpc,
            serial: books.next_serial(),
            request_id,
            request_id_given,
            session: opening.session.map(Arc::from),
            model: OnceLock::new(),
            started: Instant::now(),
            started_at,
            trace,
            ledger: Mutex::new(Ledger::default()),
        });
        Call(shared, opening.deadline, None)
    }

    /// The id of this call.
    pub fn request_id(&self) -> &str {
        self.0.request_id_given.get().unwrap_or(&self.0.request_id)
    }

    /// The RPC.
    pub fn rpc(&self) -> Rpc {
        self.0.rpc
    }

    /// The session that is billed.
    pub fn session(&self) -> Option<&str> {
        self.0.session.as_deref()
    }

    /// The served model that the call is about, once it is known.
    pub fn model(&self) -> Option<&str> {
        self.0.model.get().map(AsRef::as_ref)
    }

    /// When the caller, or the server, gives up.
    pub fn deadline(&self) -> Instant {
        self.1
    }

    /// The same ledger with another deadline: for what runs to its end after the caller left.
    pub fn with_deadline(&self, deadline: Instant) -> Call {
        Call(Arc::clone(&self.0), deadline, self.2.clone())
    }

    /// The same ledger, with what the RPC holds.
    pub fn with_hold(self, hold: Arc<Hold>) -> Call {
        Call(self.0, self.1, Some(hold))
    }

    /// The same ledger alone: keeping it keeps nothing of the server's capacity.
    pub fn without_hold(&self) -> Call {
        Call(Arc::clone(&self.0), self.1, None)
    }

    /// What the RPC holds.
    pub fn hold(&self) -> Option<&Arc<Hold>> {
        self.2.as_ref()
    }

    /// Waits for bytes of the server's memory, without a bound in time.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if they can never fit.
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, OutOfMemory> {
        match &self.2 {
            Some(hold) => hold.reserve(bytes).await,
            None => Ok(Reservation::default()),
        }
    }

    /// When the call came in.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The trace that the call is told in.
    pub fn trace(&self) -> &CallTrace {
        &self.0.trace
    }

    /// Why the call failed, where somebody said so.
    pub fn reason(&self) -> Option<Reason> {
        lock(&self.0.ledger).reason
    }

    /// What was counted so far.
    pub fn bill(&self) -> Bill {
        lock(&self.0.ledger).bill.clone()
    }

    /// Names the served model that the call is about; the first name stands.
    pub fn set_model(&self, model: &str) {
        self.0.model.get_or_init(|| self.0.books.intern(model));
    }

    /// Names the call, where its metadata did not; the first name stands.
    pub fn set_request_id(&self, request_id: &str) {
        self.0.request_id_given.get_or_init(|| request_id.to_owned());
    }

    /// Says why the call failed, for the log and its span; what is said last stands.
    pub fn set_reason(&self, reason: Reason) {
        lock(&self.0.ledger).reason = Some(reason);
    }

    /// Counts an attempt that is being sent now. Its time is added when the [`Attempt`] ends.
    #[must_use = "the attempt ends when this is dropped"]
    pub fn attempt(&self, operation: AwsOperation) -> Attempt {
        let charge = Charge::for_operation(operation, self.0.books.prices());
        let started = Instant::now();
        let mut ledger = lock(&self.0.ledger);
        if ledger.under_way == 0 {
            ledger.under_way_since = Some(started);
        }
        ledger.under_way += 1;
        self.0.pass(&mut ledger);
        self.0.count(&mut ledger, |bill| charge.add(bill));
        drop(ledger);
        Attempt {
            call: self.clone(),
            operation,
            charge,
            started,
            sent: true,
        }
    }

    /// Counts an attempt after the first of one AWS call.
    pub fn add_retry(&self) {
        self.count(|bill| bill.retries += 1);
    }

    /// Counts an attempt that AWS answered with throttling.
    pub fn add_throttled(&self) {
        self.count(|bill| bill.throttled += 1);
    }

    /// Adds time waited between attempts.
    pub fn add_backoff(&self, waited: Duration) {
        self.count(|bill| bill.backoff_us += micros(waited));
    }

    /// Adds bytes of object content sent to S3.
    pub fn add_uploaded(&self, bytes: u64) {
        self.count(|bill| bill.uploaded_bytes += bytes);
    }

    /// Adds bytes of object content received from S3.
    pub fn add_downloaded(&self, bytes: u64) {
        self.count(|bill| bill.downloaded_bytes += bytes);
    }

    /// Adds the capacity that DynamoDB answered, in units, and its price.
    pub fn add_capacity(&self, read_units: f64, write_units: f64) {
        let (read, write) = (milliunits(read_units), milliunits(write_units));
        let prices = self.0.books.prices();
        let picodollars = prices.read_capacity(read) + prices.write_capacity(write);
        self.count(|bill| {
            bill.read_milliunits += read;
            bill.write_milliunits += write;
            bill.dynamodb_picodollars += picodollars;
        });
    }

    /// Adds write capacity that DynamoDB consumed and did not answer, in units, and its price.
    pub fn add_estimated_write(&self, units: f64) {
        let write = milliunits(units);
        let picodollars = self.0.books.prices().write_capacity(write);
        self.count(|bill| {
            bill.estimated_write_milliunits += write;
            bill.dynamodb_picodollars += picodollars;
        });
    }

    /// Adds items that DynamoDB returned, and that Query and Scan evaluated.
    pub fn add_items(&self, returned: u64, scanned: u64) {
        self.count(|bill| {
            bill.items += returned;
            bill.scanned += scanned;
        });
    }

    /// Counts an item of a page that is answered with this status in its place.
    pub fn add_failed_item(&self, code: Code) {
        self.count(|bill| match code {
            Code::DataLoss => bill.items_lost += 1,
            _ => bill.items_unopened += 1,
        });
    }

    /// Closes the call with the status that it ends with and posts its bill. `None` where it was closed before.
    ///
    /// A call is one of three things: ended well, failed, or cancelled. CANCELLED and DEADLINE_EXCEEDED are cancelled,
    /// every other error is failed.
    pub fn close(&self, code: Code) -> Option<Closed> {
        let now = Instant::now();
        let mut ledger = lock(&self.0.ledger);
        if ledger.settled {
            return None;
        }
        ledger.settled = true;
        let busy = ledger.busy + ledger.under_way_since.map_or(Duration::ZERO, |since| now - since);
        let bill = &mut ledger.bill;
        bill.calls = 1;
        match code {
            Code::Ok => {}
            Code::Cancelled | Code::DeadlineExceeded => bill.cancelled_calls = 1,
            _ => bill.failed_calls = 1,
        }
        bill.wall_us = micros(now - self.0.started);
        bill.gateway_us = bill.wall_us.saturating_sub(micros(busy));
        let bill = bill.clone();
        if code == Code::Cancelled {
            ledger.reason.get_or_insert(Reason::Cancelled);
        }
        let reason = ledger.reason;
        ledger.passed |= code == Code::Ok;
        let session = self.0.books.post(&self.0.entry(), &bill, code, ledger.passed);
        ledger.in_session = session.is_some();
        drop(ledger);
        self.0.trace.close(&Ended {
            rpc: self.0.rpc,
            model: self.0.model.get(),
            session: self.session(),
            request_id: self.request_id(),
            code,
            reason,
            bill: &bill,
        });
        Some(Closed { bill, session })
    }

    fn count(&self, change: impl FnOnce(&mut Bill)) {
        self.0.count(&mut lock(&self.0.ledger), change);
    }

    /// A call with 30 s to go and books of its own.
    #[cfg(test)]
    pub fn for_test() -> Call {
        let books = Arc::new(Books::new(super::Bounds::default(), Prices::shipped()));
        let deadline = Instant::now() + Duration::from_secs(30);
        Call::open(
            &books,
            &Opening {
                rpc: Rpc::Save,
                request_id: None,
                session: None,
                deadline,
            },
        )
    }
}

#[cfg(test)]
use super::Prices;

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("rpc", &self.0.rpc)
            .field("id", &self.request_id())
            .finish()
    }
}

impl Shared {
    /// The call passed its checks: from now on there is its session.
    fn pass(&self, ledger: &mut Ledger) {
        if std::mem::replace(&mut ledger.passed, true) {
            return;
        }
        if ledger.settled {
            self.books
                .post_passed(&self.entry(), &ledger.bill, ledger.in_session);
            ledger.in_session = self.session.is_some();
        } else if let Some(name) = &self.session {
            self.books.open_session(name);
        }
    }

    /// Counts in the bill while it is open; afterwards in the bill and in the books.
    fn count(&self, ledger: &mut Ledger, change: impl FnOnce(&mut Bill)) {
        if !ledger.settled {
            return change(&mut ledger.bill);
        }
        let mut late = Bill::default();
        change(&mut late);
        ledger.bill += &late;
        self.books.post_late(&self.entry(), &late, ledger.in_session);
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            rpc: self.rpc,
            serial: self.serial,
            request_id: self.request_id_given.get().unwrap_or(&self.request_id),
            session: self.session.as_ref(),
            model: self.model.get(),
            started_at: self.started_at,
        }
    }
}

/// One AWS attempt under way. Ends, and adds its time, when it is finished or dropped.
#[derive(Debug)]
pub struct Attempt {
    call: Call,
    operation: AwsOperation,
    charge: Charge,
    started: Instant,
    sent: bool,
}

impl Attempt {
    /// The attempt was answered, or its answer will not come.
    pub fn finish(self) {}

    /// The attempt never left the process (no connection): it is not counted.
    pub fn unsent(mut self) {
        self.sent = false;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = Instant::now();
        let shared = &self.call.0;
        let mut ledger = lock(&shared.ledger);
        ledger.under_way -= 1;
        if ledger.under_way == 0
            && let Some(since) = ledger.under_way_since.take()
        {
            ledger.busy += now - since;
        }
        let took = now - self.started;
        shared.count(&mut ledger, |bill| match self.sent {
            true if self.charge.is_billed() => *duration_us(self.operation.service(), bill) += micros(took),
            true => {}
            false => self.charge.take_back(bill),
        });
        drop(ledger);
        if self.sent && self.charge.is_billed() {
            let model = shared.model.get();
            shared.trace.attempt_ended(self.operation, model, took);
        }
    }
}
