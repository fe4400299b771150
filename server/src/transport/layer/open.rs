//! A call of DataService while it is open: its ledger, what it holds, and the only way to close it. A call that is dropped
//! before it was closed is closed as cancelled.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Response};
use tollgate_proto::Reason;
use tonic::Code;
use tonic::body::Body;
use tracing::{info, warn};

use super::audit;
use super::end::End;
use super::receipt::Timeout;
use super::refusal::Refusal;
use super::request::Head;
use super::rewrite::Rewritten;
use super::route::Route;
use super::settings::Settings;
use super::shared::Shared;
use crate::billing::{Closed, Ledger, Opening, Owner, TrailerContent, write_trailers};
use crate::call::{self, Call};
use crate::caller::Caller;
use crate::capacity::{Exceeded, Hold, Place};
use crate::figure::{Bill, Rpc};
use crate::telemetry::CallTrace;

/// An open call.
#[derive(Debug)]
pub(super) struct OpenCall {
    call: Call,
    shared: Arc<Shared>,
    /// Whether the deadline is when the credential of the caller expires.
    expires: bool,
    /// The entry among the open calls, plus one, once the call is admitted.
    entry: Option<NonZeroUsize>,
}

impl OpenCall {
    /// Opens the call of a caller; `None` if callers are not authenticated.
    pub(super) fn new(
        shared: Arc<Shared>,
        route: (Rpc, Route),
        head: &Head<'_>,
        trace: CallTrace,
        caller: Option<Arc<Caller>>,
    ) -> OpenCall {
        let (rpc, route) = route;
        let ledger = Ledger::open(
            &shared.accounting,
            &Opening {
                owner: Owner::of(caller.as_deref()),
                account: shared.account(caller.as_deref()),
                rpc,
                request_id: head.request_id,
                session: head.session,
            },
        );
        let end = End::new(Some(head.deadline), caller.as_deref(), route.streams);
        let call = Call::new(ledger, trace, end.at.unwrap_or(head.deadline));
        OpenCall {
            call: match caller {
                Some(caller) => call.with_caller(caller),
                None => call,
            },
            shared,
            expires: end.expires,
            entry: None,
        }
    }

    /// Opens the call of someone whose credential was refused, only to close it: it is counted and logged, but nothing is
    /// kept for its caller.
    pub(super) fn unidentified(shared: Arc<Shared>, rpc: Rpc, head: &Head<'_>, trace: CallTrace) -> OpenCall {
        let ledger = Ledger::open(
            &shared.accounting,
            &Opening {
                owner: Owner::NOBODY,
                account: None,
                rpc,
                request_id: head.request_id,
                session: None,
            },
        );
        OpenCall {
            call: Call::new(ledger, trace, head.deadline),
            shared,
            expires: false,
            entry: None,
        }
    }

    /// Begins its line of the audit log, if calls are audited. Refuses it if the line could not be written.
    pub(super) fn audited(mut self) -> Result<OpenCall, Box<(OpenCall, Refusal)>> {
        match audit::begin(self.shared.audit.as_ref()) {
            Ok(None) => Ok(self),
            Ok(record) => {
                self.call = self.call.clone().with_audit(record);
                Ok(self)
            }
            Err(refusal) => Err(Box::new((self, refusal))),
        }
    }

    /// Admits the call, with the hold of its capacity.
    pub(super) fn admitted(mut self, hold: Arc<Hold>) -> OpenCall {
        self.call = self.call.clone().with_hold(hold);
        let entry = self.shared.calls.enter(&self.call);
        self.entry = NonZeroUsize::new(entry + 1);
        self
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Begins the call on the account of its caller, if that has limits. One that streams may wait for a debt until its end.
    pub(super) fn begin(&self, streams: bool) -> Result<Option<Place>, Exceeded> {
        let Some(account) = self.call.account() else {
            return Ok(None);
        };
        let now = call::now();
        let patience = streams.then(|| self.call.deadline().saturating_duration_since(now));
        account.begin(patience, now).map(Some)
    }

    /// Notes how long the call waited for a processor; its work runs from now on.
    pub(super) fn observe_delay(&self) {
        let now = Instant::now();
        let delay = now.saturating_duration_since(self.call.started());
        self.shared.capacity.observe_delay(delay, now);
    }

    /// The refusal if the call timed out.
    pub(super) fn timed_out(&self, timeout: Timeout) -> Refusal {
        self.shared.timed_out(timeout, self.call.hold(), &self.end_at())
    }

    /// When the call ends at the latest, and how.
    pub(super) fn end_at(&self) -> End {
        End {
            at: Some(self.call.deadline()),
            expires: self.expires,
        }
    }

    /// Sets the reason of a call that is about to fail.
    pub(super) fn with_reason(self, reason: Reason) -> OpenCall {
        self.call.set_reason(reason);
        self
    }

    /// Sets the reason of an error that tonic returned itself, if it is known. Logs the cause that the response omits.
    pub(super) fn with_rewritten(self, rewritten: &Rewritten) -> OpenCall {
        if rewritten.cause.is_some() {
            let _entered = self.call.trace().enter();
            rewritten.log(self.call.request_id());
        }
        match rewritten.reason {
            Some(reason) => self.with_reason(reason),
            None => self,
        }
    }

    /// Closes the call with an error of this layer.
    pub(super) fn refuse(self, refusal: &Refusal) -> Response<Body> {
        let Refusal { reason, status } = refusal;
        let mut response: Response<Body> = status.clone().into_http();
        self.with_reason(*reason)
            .end(status.code(), Some(response.headers_mut()));
        response
    }

    /// Closes the call with its final status, and writes the bill into the trailers if there are any.
    pub(super) fn end(self, code: Code, trailers: Option<&mut HeaderMap>) {
        let Some(closed) = close(&self.call, code, self.shared.settings.slow) else {
            return;
        };
        let Some(trailers) = trailers else { return };
        let content = TrailerContent {
            request_id: self.call.request_id(),
            bill: &closed.bill,
            session: closed.session.as_ref(),
            utilization: self.shared.utilization(),
        };
        write_trailers(trailers, self.shared.settings.trailers, &content);
    }
}

impl Drop for OpenCall {
    /// Has no effect on a call that was closed before.
    fn drop(&mut self) {
        close(&self.call, Code::Cancelled, self.shared.settings.slow);
        if let Some(entry) = self.entry.take() {
            self.shared.calls.leave(entry.get() - 1);
        }
    }
}

/// Closes a call: posts its bill, ends its span, writes its line of the audit log and logs it, as a warning if it took
/// `slow` or longer. Returns `None` if it was closed before.
pub(super) fn close(call: &Call, code: Code, slow: Duration) -> Option<Closed> {
    let closed = call.close(code)?;
    audit::end(call, code);
    log(call, code, &closed.bill, slow);
    Some(closed)
}

fn log(call: &Call, code: Code, bill: &Bill, slow: Duration) {
    let _entered = call.trace().enter();
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: "tollgate::call",
                op = call.rpc().name(),
                model = call.model(),
                request_id = call.request_id(),
                session = call.session(),
                code = code as i32,
                reason = call.reason().map(Reason::as_str),
                duration_ms = thousandths(bill.wall_us),
                gateway_ms = thousandths(bill.gateway_us),
                dynamodb = bill.dynamodb_calls,
                rcu = thousandths(bill.read_milliunits),
                wcu = thousandths(bill.all_write_milliunits()),
                kms = bill.kms_calls,
                s3 = bill.s3_calls,
                retries = bill.retries,
                "call"
            )
        };
    }
    if u128::from(bill.wall_us) < slow.as_micros() {
        line!(info);
    } else {
        line!(warn);
    }
}

fn thousandths(value: u64) -> f64 {
    value as f64 / 1000.0
}
