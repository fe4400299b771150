//! One call of DataService while it is open: its ledger, its place among the calls in flight, and the one way to close
//! it. Dropped unclosed, it was cancelled.

use std::sync::Arc;

use http::{HeaderMap, Response};
use tokio::sync::OwnedSemaphorePermit;
use tollgate_proto::Reason;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{info, warn};

use super::Shared;
use super::request::Head;
use crate::billing::{Answer, Bill, Call, Closed, Opening, write_trailers};
use crate::telemetry::CallTrace;

/// An open call. Its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    call: Call,
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Open {
    pub(super) fn new(
        shared: Arc<Shared>,
        operation: &'static str,
        head: &Head<'_>,
        trace: CallTrace,
    ) -> Open {
        let opening = Opening {
            operation,
            request_id: head.request_id,
            session: head.session,
            deadline: head.deadline,
        };
        Open {
            call: Call::open_traced(&shared.books, &opening, trace),
            shared,
            permit: None,
        }
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    /// Takes a place among the calls in flight; whether there was one.
    pub(super) fn take_permit(&mut self) -> bool {
        self.permit = Arc::clone(&self.shared.permits).try_acquire_owned().ok();
        self.permit.is_some()
    }

    /// Says why the call is about to fail.
    pub(super) fn because(self, reason: Reason) -> Open {
        self.because_of(Some(reason))
    }

    /// The same, where it is known.
    pub(super) fn because_of(self, reason: Option<Reason>) -> Open {
        if let Some(reason) = reason {
            self.call.set_reason(reason);
        }
        self
    }

    /// Closes the call with an answer of this layer's own.
    pub(super) fn answer(self, status: &Status) -> Response<Body> {
        let mut response: Response<Body> = status.clone().into_http();
        self.end(status.code(), Some(response.headers_mut()));
        response
    }

    /// Closes the call with the status that it ends with; the bill goes into the trailers, where there are some.
    pub(super) fn end(self, code: Code, trailers: Option<&mut HeaderMap>) {
        let Some(closed) = self.close(code) else { return };
        let Some(trailers) = trailers else { return };
        let answer = Answer {
            request_id: self.call.request_id(),
            bill: &closed.bill,
            session: closed.session.as_ref(),
            utilization: self.shared.utilization(),
        };
        write_trailers(trailers, self.shared.settings.trailers, &answer);
    }

    fn close(&self, code: Code) -> Option<Closed> {
        let closed = self.call.close(code)?;
        self.log(code, &closed.bill);
        Some(closed)
    }

    fn log(&self, code: Code, bill: &Bill) {
        let call = &self.call;
        let _entered = call.trace().enter();
        let reason = call
            .reason()
            .or((code == Code::Cancelled).then_some(Reason::Cancelled));
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    target: "tollgate::call",
                    op = call.operation(),
                    model = call.model(),
                    request_id = call.request_id(),
                    session = call.session(),
                    code = code as i32,
                    reason = reason.map(Reason::as_str),
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
        if u128::from(bill.wall_us) < self.shared.settings.slow.as_micros() {
            line!(info);
        } else {
            line!(warn);
        }
    }
}

impl Drop for Open {
    /// Does nothing where the call was closed.
    fn drop(&mut self) {
        self.close(Code::Cancelled);
    }
}

fn thousandths(value: u64) -> f64 {
    value as f64 / 1000.0
}
