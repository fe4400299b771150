//! A call of DataService, from its admission to the response head.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Request, Response};
use tollgate_proto::Reason;
use tonic::body::Body;

use super::super::{Connection, status};
use super::encoding::Encoding;
use super::inflated;
use super::open::OpenCall;
use super::pace::Pace;
use super::receipt::Receipt;
use super::refusal::{self, Refusal};
use super::request::Head;
use super::response_body::{Ending, ResponseBody};
use super::rewrite;
use super::route::Route;
use super::shared::Shared;
use crate::caller::Caller;
use crate::figure::Rpc;
use crate::identity::Refused;

/// A call whose handler may run once its message is complete.
pub(super) struct Admitted {
    open: OpenCall,
    /// How the response may be compressed.
    accepted: Option<Encoding>,
    streams: bool,
    receipt: Arc<Receipt>,
}

/// A call that was opened, but is refused.
pub(super) type RefusedCall = Box<(OpenCall, Refusal)>;

/// Opens a call. Refuses it if its metadata is invalid, its caller has reached a limit, memory is exhausted or the server is
/// draining.
pub(super) fn admit(
    shared: &Arc<Shared>,
    rpc: Rpc,
    route: Route,
    mut request: Request<Body>,
    caller: Option<Arc<Caller>>,
) -> Result<(Admitted, Request<Body>), RefusedCall> {
    let head = Head::read(request.headers(), shared.deadlines(route));
    let trace = shared.telemetry.begin(rpc, request.headers());
    let open = OpenCall::new(Arc::clone(shared), (rpc, route), &head, trace, caller);
    let open = open.audited()?;
    if !head.faults.is_empty() {
        let status = status::invalid(Reason::InvalidField, &head.faults);
        let reason = Reason::InvalidField;
        return Err(Box::new((open, Refusal { reason, status })));
    }
    if shared.draining.load(Ordering::SeqCst) {
        return Err(Box::new((open, refusal::shutting_down())));
    }
    let place = match open.begin(route.streams) {
        Ok(place) => place,
        Err(exceeded) => return Err(Box::new((open, refusal::limit_exceeded(&exceeded)))),
    };
    let Ok(hold) = shared.hold(&request) else {
        return Err(Box::new((open, refusal::out_of_memory())));
    };
    if let Some(place) = place {
        hold.keep_place(place);
    }
    if let Some(connection) = request.extensions().get::<Connection>().filter(|_| route.streams) {
        connection.stream_began(open.call().deadline().into());
    }
    let receipt = Arc::new(Receipt::new(route.streams_contents));
    let open = open.admitted(Arc::clone(&hold));
    let pace = Pace::new(open.call().account().filter(|_| route.streams_requests));
    let max_bytes = shared.settings.message_bytes;
    if let Err(refusal) = inflated::receive(&mut request, route, &receipt, &hold, pace, max_bytes) {
        return Err(Box::new((open, refusal)));
    }
    request.extensions_mut().insert(open.call().clone());
    let admitted = Admitted {
        open,
        accepted: Encoding::accepted(request.headers()),
        streams: route.streams,
        receipt,
    };
    Ok((admitted, request))
}

/// Refuses a call whose caller has no identity. Reads nothing but its head.
pub(super) fn unidentified(
    shared: &Arc<Shared>,
    rpc: Rpc,
    route: Route,
    request: &Request<Body>,
    refused: Refused,
) -> Response<Body> {
    let head = Head::read(request.headers(), shared.deadlines(route));
    let trace = shared.telemetry.begin(rpc, request.headers());
    let open = OpenCall::unidentified(Arc::clone(shared), rpc, &head, trace);
    match open.audited() {
        Ok(open) => open.refuse(&refusal::unauthenticated(refused)),
        Err(refused) => {
            let (open, refusal) = *refused;
            open.refuse(&refusal)
        }
    }
}

impl Admitted {
    /// Runs the handler and returns the response head.
    pub(super) async fn run<S>(
        self,
        mut inner: S,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let Admitted {
            open,
            accepted,
            streams,
            receipt,
        } = self;
        open.observe_delay();
        let (receive, deadline) = (open.settings().receive, open.call().deadline());
        let handling = open.call().trace().scope(async {
            if streams && open.call().is_in_debt() {
                receipt.our_turn();
                open.call().wait_for_debt().await;
                receipt.callers_turn();
            }
            inner.call(request).await
        });
        let mut response = match receipt.within(receive, Some(deadline), handling).await {
            Ok(response) => response?,
            Err(timeout) => {
                let refusal = open.timed_out(timeout);
                return Ok(open.refuse(&refusal));
            }
        };
        if receipt.is_broken() {
            return Ok(open.refuse(&refusal::caller_disconnected()));
        }
        let open = match receipt.refused() {
            Some(reason) => open.with_reason(reason),
            None => open,
        };
        if let Some(rewritten) = rewrite::rewrite(response.headers_mut()) {
            open.with_rewritten(&rewritten)
                .end(rewritten.code, Some(response.headers_mut()));
            return Ok(response);
        }
        if let Some(hold) = open.call().hold().filter(|_| streams) {
            // a stream continues to read its request
            hold.keep_to_the_end();
        }
        Ok(ResponseBody::wrap(response, accepted, Ending::Billed(open)))
    }
}
