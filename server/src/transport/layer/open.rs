//! One call of DataService while it is open: its ledger, what it holds, and the one way to close it. Dropped unclosed,
//! it was cancelled.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Response};
use tollgate_proto::Reason;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{info, warn};

use super::receipt::Late;
use super::refusal::Refusal;
use super::request::Head;
use super::rewrite::Rewritten;
use super::{Settings, Shared};
use crate::billing::{Answer, Closed, Ledger, Opening, write_trailers};
use crate::call::Call;
use crate::capacity::Hold;
use crate::figure::{Bill, Rpc};
use crate::telemetry::CallTrace;

/// An open call.
#[derive(Debug)]
pub(super) struct Open {
    call: Call,
    shared: Arc<Shared>,
    /// Among the open calls, once it is admitted.
    entry: Option<usize>,
}

impl Open {
    pub(super) fn new(shared: Arc<Shared>, rpc: Rpc, head: &Head<'_>, trace: CallTrace) -> Open {
        let opening = Opening {
            rpc,
            request_id: head.request_id,
            session: head.session,
        };
        let ledger = Ledger::open(&shared.accounting, &opening);
        Open {
            call: Call::new(ledger, trace, head.deadline),
            shared,
            entry: None,
        }
    }

    /// Lets the call in, with what it holds from now on.
    pub(super) fn admitted(mut self, hold: Arc<Hold>) -> Open {
        self.call = self.call.clone().with_hold(hold);
        self.entry = Some(self.shared.calls.enter(&self.call));
        self
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The status that its caller gets if it ran out of time.
    pub(super) fn late(&self, late: Late) -> Refusal {
        self.shared.late(late, self.call.hold())
    }

    /// Says why the call is about to fail.
    pub(super) fn because(self, reason: Reason) -> Open {
        self.call.set_reason(reason);
        self
    }

    /// The same, where tonic answered by itself and it is known; the log is told what the answer does not say.
    pub(super) fn told_by(self, rewritten: &Rewritten) -> Open {
        if rewritten.cause.is_some() {
            let _entered = self.call.trace().enter();
            rewritten.log(self.call.request_id());
        }
        match rewritten.reason {
            Some(reason) => self.because(reason),
            None => self,
        }
    }

    /// Closes the call with an answer of this layer's own.
    pub(super) fn answer(self, status: &Status) -> Response<Body> {
        let mut response: Response<Body> = status.clone().into_http();
        self.end(status.code(), Some(response.headers_mut()));
        response
    }

    /// Closes the call with the status that it ends with; the bill goes into the trailers, where there are some.
    pub(super) fn end(self, code: Code, trailers: Option<&mut HeaderMap>) {
        let Some(closed) = close(&self.call, code, self.shared.settings.slow) else {
            return;
        };
        let Some(trailers) = trailers else { return };
        let answer = Answer {
            request_id: self.call.request_id(),
            bill: &closed.bill,
            session: closed.session.as_ref(),
            utilization: self.shared.utilization(),
        };
        write_trailers(trailers, self.shared.settings.trailers, &answer);
    }
}

impl Drop for Open {
    /// Closes nothing where the call was closed.
    fn drop(&mut self) {
        close(&self.call, Code::Cancelled, self.shared.settings.slow);
        if let Some(entry) = self.entry.take() {
            self.shared.calls.leave(entry);
        }
    }
}

/// Closes a call: its bill is posted, its span ends, and the log has its line, a warning from `slow` on. `None` where it
/// was closed before.
pub(super) fn close(call: &Call, code: Code, slow: Duration) -> Option<Closed> {
    let closed = call.close(code)?;
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
