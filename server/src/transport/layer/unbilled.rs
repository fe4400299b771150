//! A call of a service other than DataService: limited, but not billed.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;
use tracing::warn;

use super::audit::Audited;
use super::encoding::Encoding;
use super::end::End;
use super::inflated;
use super::pace::Pace;
use super::receipt::Receipt;
use super::refusal::{self, Refusal};
use super::request;
use super::response_body::{Ending, ResponseBody};
use super::rewrite;
use super::route::Route;
use super::shared::Shared;
use crate::billing::write_request_id;
use crate::caller::Caller;
use crate::capacity::{Hold, Pool};
use crate::identity::Refused;

/// A call of a service other than DataService.
pub(super) struct Unbilled {
    shared: Arc<Shared>,
    request_id: String,
    /// How the response may be compressed.
    accepted: Option<Encoding>,
    receipt: Arc<Receipt>,
    hold: Arc<Hold>,
    end: End,
    audited: Audited,
}

impl Unbilled {
    pub(super) fn open(
        shared: &Arc<Shared>,
        route: Route,
        mut request: Request<Body>,
        caller: Option<Arc<Caller>>,
    ) -> Result<(Unbilled, Request<Body>), (String, Refusal)> {
        let request_id = request::request_id(request.headers());
        let audit = shared.audit.as_ref().filter(|_| route.public.is_none());
        let audited = match Audited::begin(audit, request.uri().path(), caller.clone(), &request_id) {
            Ok(audited) => audited,
            Err(refusal) => return Err((request_id, refusal)),
        };
        let Ok(hold) = shared.hold(&request) else {
            let refusal = refusal::out_of_memory();
            audited.end(refusal.status.code());
            return Err((request_id, refusal));
        };
        let deadlines = shared.deadlines(route);
        let deadline = match route.pool {
            Pool::LongLived => request::deadline_if_set(request.headers(), deadlines.max),
            Pool::Data | Pool::Control | Pool::Health => {
                Some(request::deadline(request.headers(), deadlines))
            }
        };
        let end = End::new(deadline, caller.as_deref(), route.streams);
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let receipt = Arc::new(Receipt::new(false));
        let max_bytes = shared.settings.message_bytes;
        let pace = Pace::default();
        if let Err(refusal) = inflated::receive(&mut request, route, &receipt, &hold, pace, max_bytes) {
            audited.end(refusal.status.code());
            return Err((request_id, refusal));
        }
        let call = Unbilled {
            shared: Arc::clone(shared),
            request_id,
            accepted: Encoding::accepted(request.headers()),
            receipt,
            hold,
            end,
            audited,
        };
        Ok((call, request))
    }

    pub(super) async fn run<S>(
        self,
        mut inner: S,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let Unbilled {
            shared,
            request_id,
            accepted,
            receipt,
            hold,
            end,
            audited,
        } = self;
        let receive = shared.settings.receive;
        let handling = receipt.within(receive, end.at, inner.call(request));
        let mut response = match handling.await {
            Ok(response) => response?,
            Err(timeout) => {
                let refusal = shared.timed_out(timeout, Some(&hold), &end);
                audited.end(refusal.status.code());
                return Ok(refuse(&request_id, &refusal));
            }
        };
        if receipt.is_broken() {
            // the caller is gone, and the error is not ours
            return Ok(response);
        }
        if let Some(rewritten) = rewrite::rewrite(response.headers_mut()) {
            rewritten.log(&request_id);
            audited.end(rewritten.code);
            write_request_id(response.headers_mut(), &request_id);
            return Ok(response);
        }
        let ending = Ending::Unbilled {
            request_id,
            hold,
            end,
            audited,
        };
        Ok(ResponseBody::wrap(response, accepted, ending))
    }
}

/// Refuses a call whose caller has no identity. Reads nothing but its head.
pub(super) fn unidentified(shared: &Shared, request: &Request<Body>, refused: Refused) -> Response<Body> {
    let request_id = request::request_id(request.headers());
    let mut refusal = refusal::unauthenticated(refused);
    match Audited::begin(shared.audit.as_ref(), request.uri().path(), None, &request_id) {
        Ok(audited) => audited.end(refusal.status.code()),
        Err(unavailable) => refusal = unavailable,
    }
    warn!(
        path = request.uri().path(),
        request_id,
        reason = refusal.reason.as_str(),
        error = %refused,
        "call refused"
    );
    refuse(&request_id, &refusal)
}

/// The response to a call that is refused.
pub(super) fn refuse(request_id: &str, refusal: &Refusal) -> Response<Body> {
    let mut response: Response<Body> = refusal.status.clone().into_http();
    write_request_id(response.headers_mut(), request_id);
    response
}
