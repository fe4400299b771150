//! The handle of one RPC, which its work passes down to `aws`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tollgate_proto::Reason;
use tonic::Code;

use super::attempt::Attempt;
use super::clock::now;
use crate::audit::Record;
use crate::billing::{Closed, Ledger};
use crate::caller::Caller;
use crate::capacity::{Account, Hold, OutOfMemory, Reservation};
use crate::figure::unit::micros;
use crate::figure::{AwsOperation, Bill, Rpc};
use crate::telemetry::{CallTrace, EndedCall};

/// One RPC. Clones share the ledger, the trace and the hold; what is held is released when the last clone is dropped.
#[derive(Clone)]
pub struct Call {
    ledger: Arc<Ledger>,
    trace: CallTrace,
    deadline: Instant,
    hold: Option<Arc<Hold>>,
    caller: Option<Arc<Caller>>,
    /// Whether messages of the response must not be compressed.
    is_plain: Arc<AtomicBool>,
    audit: Option<Arc<Record>>,
}

impl Call {
    /// A call that holds nothing yet. `deadline` is when the caller, or the server, gives up.
    pub fn new(ledger: Arc<Ledger>, trace: CallTrace, deadline: Instant) -> Call {
        Call {
            ledger,
            trace,
            deadline,
            hold: None,
            caller: None,
            is_plain: Arc::default(),
            audit: None,
        }
    }

    /// The same call, of an authenticated caller.
    pub fn with_caller(self, caller: Arc<Caller>) -> Call {
        Call {
            caller: Some(caller),
            ..self
        }
    }

    /// The same call, whose line of the audit log has what is recorded; `None`: it is not audited.
    pub fn with_audit(self, audit: Option<Arc<Record>>) -> Call {
        Call { audit, ..self }
    }

    /// What the audit log records of the call; `None` if it is not audited.
    pub fn audit(&self) -> Option<&Arc<Record>> {
        self.audit.as_ref()
    }

    /// Who calls; `None` if callers are not authenticated.
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.as_ref()
    }

    /// What distinguishes the caller from others, for all that belongs to it; empty if callers are not authenticated.
    pub fn caller_id(&self) -> &[u8] {
        self.caller.as_ref().map_or(&[], |caller| caller.id())
    }

    /// The same call with another deadline, for work that runs to completion after the caller disconnected.
    pub fn with_deadline(&self, deadline: Instant) -> Call {
        Call {
            deadline,
            ..self.clone()
        }
    }

    /// The same call with what it holds.
    pub fn with_hold(self, hold: Arc<Hold>) -> Call {
        Call {
            hold: Some(hold),
            ..self
        }
    }

    /// The same call without what it holds: keeping it keeps none of the server's capacity.
    pub fn without_hold(&self) -> Call {
        Call {
            hold: None,
            ..self.clone()
        }
    }

    /// What the call holds of the server's capacity.
    pub fn hold(&self) -> Option<&Arc<Hold>> {
        self.hold.as_ref()
    }

    /// Waits for bytes of the server's memory, without a timeout.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if they can never fit.
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, OutOfMemory> {
        match &self.hold {
            Some(hold) => hold.reserve(bytes).await,
            None => Ok(Reservation::default()),
        }
    }

    /// The account of the caller; `None` if it has no limits.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.ledger.account()
    }

    /// Whether the caller has used more than its limits allow, and time has not repaid it yet.
    pub fn is_in_debt(&self) -> bool {
        self.account()
            .is_some_and(|account| account.debt(now()).is_some())
    }

    /// Waits until the caller is no longer in debt, and adds the time to the bill.
    pub async fn wait_for_debt(&self) {
        while let Some(wait) = self.account().and_then(|account| account.debt(now())) {
            let since = now();
            tokio::time::sleep(wait).await;
            self.add_backoff(now() - since);
        }
    }

    /// When the caller, or the server, gives up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The trace of the call.
    pub fn trace(&self) -> &CallTrace {
        &self.trace
    }

    /// The RPC.
    pub fn rpc(&self) -> Rpc {
        self.ledger.rpc()
    }

    /// The id of the call.
    pub fn request_id(&self) -> &str {
        self.ledger.request_id()
    }

    /// The session that is billed.
    pub fn session(&self) -> Option<&str> {
        self.ledger.session()
    }

    /// The served model that the call names, once it is known.
    pub fn model(&self) -> Option<&str> {
        self.ledger.model().map(AsRef::as_ref)
    }

    /// When the call arrived.
    pub fn started(&self) -> Instant {
        self.ledger.started()
    }

    /// Why the call failed, if known.
    pub fn reason(&self) -> Option<Reason> {
        self.ledger.reason()
    }

    /// The figures counted so far.
    pub fn bill(&self) -> Bill {
        self.ledger.bill()
    }

    /// Sets the served model; only the first call has an effect.
    pub fn set_model(&self, model: &str) {
        self.ledger.set_model(model);
    }

    /// Sets the request id if the metadata had none; only the first call has an effect.
    pub fn set_request_id(&self, request_id: &str) {
        self.ledger.set_request_id(request_id);
    }

    /// Sets why the call failed, for the log and its span; the last reason counts.
    pub fn set_reason(&self, reason: Reason) {
        self.ledger.set_reason(reason);
    }

    /// The response may have what was encrypted: from now on its messages are not compressed.
    pub fn forbid_compression(&self) {
        self.is_plain.store(true, Ordering::Release);
    }

    /// Whether messages of the response may be compressed.
    pub fn may_compress(&self) -> bool {
        !self.is_plain.load(Ordering::Acquire)
    }

    /// Counts an attempt that is being sent now. Its time is added when the [`Attempt`] ends.
    #[must_use = "the attempt ends when this is dropped"]
    pub fn attempt(&self, operation: AwsOperation) -> Attempt {
        Attempt::new(self.ledger.attempt(operation), self.trace.clone())
    }

    /// Counts an attempt after the first of one AWS request.
    pub fn add_retry(&self) {
        self.ledger.count(|bill| bill.retries += 1);
    }

    /// Counts an attempt that AWS throttled.
    pub fn add_throttled(&self) {
        self.ledger.count(|bill| bill.throttled += 1);
    }

    /// Counts a KMS request that the cache of data keys saved.
    pub fn add_key_cache_hit(&self) {
        self.ledger.count(|bill| bill.kms_cache_hits += 1);
    }

    /// Adds time spent waiting between attempts.
    pub fn add_backoff(&self, waited: Duration) {
        self.ledger.count(|bill| bill.backoff_us += micros(waited));
    }

    /// Adds bytes of object content sent to S3.
    pub fn add_uploaded(&self, bytes: u64) {
        self.ledger.count(|bill| bill.uploaded_bytes += bytes);
    }

    /// Adds bytes of object content received from S3.
    pub fn add_downloaded(&self, bytes: u64) {
        self.ledger.count(|bill| bill.downloaded_bytes += bytes);
    }

    /// Adds the capacity that DynamoDB reported, in units, and its price.
    pub fn add_capacity(&self, read_units: f64, write_units: f64) {
        self.ledger.add_capacity(read_units, write_units);
    }

    /// Adds write capacity that DynamoDB consumed but did not report, in units, and its price.
    pub fn add_estimated_write(&self, units: f64) {
        self.ledger.add_estimated_write(units);
    }

    /// Adds items that DynamoDB returned, and items that Query and Scan evaluated.
    pub fn add_items(&self, returned: u64, scanned: u64) {
        self.ledger.count(|bill| {
            bill.items += returned;
            bill.scanned += scanned;
        });
    }

    /// Counts an item of a page that is returned as an error with this status.
    pub fn add_failed_item(&self, code: Code) {
        self.ledger.add_failed_item(code);
    }

    /// Closes the call with its final status: posts its bill and ends its server span. `None` if it was closed before.
    pub fn close(&self, code: Code) -> Option<Closed> {
        let closed = self.ledger.close(code)?;
        self.trace.close(&EndedCall {
            rpc: self.rpc(),
            model: self.ledger.model(),
            session: self.session(),
            request_id: self.request_id(),
            code,
            reason: closed.reason,
            bill: &closed.bill,
        });
        Some(closed)
    }
}

#[cfg(test)]
impl Call {
    /// A Save with 30 s left and separate accounting.
    pub fn for_test() -> Call {
        use crate::billing::{Accounting, Bounds, Opening, Owner, Prices};

        let accounting = Arc::new(Accounting::new(Bounds::default(), Prices::shipped()));
        let opening = Opening {
            owner: Owner::EVERYONE,
            account: None,
            rpc: Rpc::Save,
            request_id: None,
            session: None,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        Call::new(Ledger::open(&accounting, &opening), CallTrace::off(), deadline)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("rpc", &self.rpc())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}
