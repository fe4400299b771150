//! A call of a service other than DataService: limited, but not billed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http::{Request, Response};
use tonic::body::Body;

use super::receipt::Receipt;
use super::refusal::{self, Refusal};
use super::request;
use super::request_body::RequestBody;
use super::response_body::{Ending, ResponseBody};
use super::rewrite;
use super::route::Route;
use super::shared::Shared;
use crate::billing::write_request_id;
use crate::capacity::{Hold, Pool};

/// A call of a service other than DataService.
pub(super) struct Unbilled {
    shared: Arc<Shared>,
    request_id: String,
    receipt: Arc<Receipt>,
    hold: Arc<Hold>,
    deadline: Option<Instant>,
}

impl Unbilled {
    pub(super) fn open(
        shared: &Arc<Shared>,
        route: Route,
        mut request: Request<Body>,
    ) -> Result<(Unbilled, Request<Body>), (String, Refusal)> {
        let request_id = request::request_id(request.headers());
        let Ok(hold) = shared.hold(&request) else {
            return Err((request_id, refusal::out_of_memory()));
        };
        let deadlines = shared.deadlines(route);
        let deadline = match route.pool {
            Pool::LongLived => request::deadline_if_set(request.headers(), deadlines.max),
            Pool::Data | Pool::Control | Pool::Health => {
                Some(request::deadline(request.headers(), deadlines))
            }
        };
        let receipt = Arc::new(Receipt::new(false));
        let body = std::mem::take(request.body_mut());
        let max_bytes = shared.settings.message_bytes;
        match RequestBody::wrap(body, route, &receipt, &hold, max_bytes) {
            Ok(body) => *request.body_mut() = body,
            Err(refusal) => return Err((request_id, refusal)),
        }
        let call = Unbilled {
            shared: Arc::clone(shared),
            request_id,
            receipt,
            hold,
            deadline,
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
            receipt,
            hold,
            deadline,
        } = self;
        let receive = shared.settings.receive;
        let handling = receipt.within(receive, deadline, inner.call(request));
        let mut response = match handling.await {
            Ok(response) => response?,
            Err(timeout) => return Ok(refuse(&request_id, &shared.timed_out(timeout, Some(&hold)))),
        };
        if receipt.is_broken() {
            // the caller is gone, and the error is not ours
            return Ok(response);
        }
        if let Some(rewritten) = rewrite::rewrite(response.headers_mut()) {
            rewritten.log(&request_id);
            write_request_id(response.headers_mut(), &request_id);
            return Ok(response);
        }
        let ending = Ending::Unbilled {
            request_id,
            hold,
            deadline,
        };
        Ok(response.map(|body| ResponseBody::wrap(body, ending)))
    }
}

/// The response to a call that is refused.
pub(super) fn refuse(request_id: &str, refusal: &Refusal) -> Response<Body> {
    let mut response: Response<Body> = refusal.status.clone().into_http();
    write_request_id(response.headers_mut(), request_id);
    response
}
