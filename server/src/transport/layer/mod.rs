//! The outermost layer: every call of DataService is opened, admitted, bounded by its deadline, and closed here, once,
//! with its bill in the trailers and one line in the log. Errors that tonic answers by itself get the contract's
//! details, for all services. Knows the wire, nothing of operations.
//!
//! | how a call ends | who closes it, with which status |
//! |---|---|
//! | response head with a status (Trailers-Only) | `Open::end`, that status, the bill in the head |
//! | response body with trailers | the body, the trailers' status, the bill in the trailers |
//! | response body that breaks off | the body, the error's status or UNKNOWN |
//! | deadline before the head, or in the body | the layer or the body's watch, DEADLINE_EXCEEDED, the bill in the trailers |
//! | the caller leaves: future or body dropped | `Drop` of `Open`, CANCELLED |
//! | refused here (names, calls in flight, drain) | `Open::end`, the refusal's status |
//!
//! Only the RPC's own future and stream are dropped by a deadline; work that was spawned to run to its end goes on, and
//! what it counts reaches the same bill.

mod arrival;
mod body;
mod open;
mod places;
mod request;
mod rewrite;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::time::timeout_at;
use tollgate_proto::Reason;
use tonic::body::Body;
use tonic::{Code, Status};

use self::body::{Ending, TrailedBody};
use self::open::Open;
use self::places::Places;
use self::request::Head;
use super::status;
use crate::billing::{Books, NONE, OPERATIONS, TrailerChoice, write_request_id};
use crate::telemetry::Telemetry;

/// How often a drain looks whether calls are still in flight.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// What the layer is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Calls of DataService at once; past it they are refused.
    pub in_flight: usize,
    /// How long a call may take whose caller set no deadline.
    pub deadline: Duration,
    /// From this duration on a call's log line is a warning.
    pub slow: Duration,
    /// Which trailers are sent.
    pub trailers: TrailerChoice,
}

/// Makes a [`Gate`] of the routes.
#[derive(Clone, Debug)]
pub struct GateLayer(Arc<Shared>);

/// Tells who drains how many calls are left.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<Shared>);

/// The routes behind the gate.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    shared: Arc<Shared>,
    inner: S,
}

#[derive(Debug)]
struct Shared {
    books: Arc<Books>,
    telemetry: Telemetry,
    settings: Settings,
    places: Places,
    draining: AtomicBool,
}

impl GateLayer {
    /// A gate that bills to these books.
    pub fn new(books: Arc<Books>, settings: Settings) -> GateLayer {
        GateLayer::traced(books, settings, Telemetry::off())
    }

    /// The same, with every call told in a trace.
    pub fn traced(books: Arc<Books>, settings: Settings, telemetry: Telemetry) -> GateLayer {
        let in_flight = settings.in_flight.max(1);
        let settings = Settings {
            in_flight,
            ..settings
        };
        GateLayer(Arc::new(Shared {
            books,
            telemetry,
            settings,
            places: Places::new(in_flight),
            draining: AtomicBool::new(false),
        }))
    }

    /// The calls in flight behind this gate.
    pub fn in_flight(&self) -> InFlight {
        InFlight(Arc::clone(&self.0))
    }
}

impl InFlight {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.in_flight()
    }

    /// How many there may be.
    pub fn limit(&self) -> usize {
        self.0.settings.in_flight
    }

    /// Waits until there are none. From now on no call is admitted: its caller is told to go elsewhere.
    pub async fn idle(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        while self.count() > 0 {
            tokio::time::sleep(IDLE_CHECK_INTERVAL).await;
        }
    }

    /// Closes the calls that the end of the server cuts off: they are billed, logged and told as any other. Nobody
    /// answers them; their callers find the connection gone, which gRPC calls UNAVAILABLE.
    pub fn cut_off(&self) {
        for call in self.0.places.calls() {
            call.set_reason(Reason::ShuttingDown);
            open::close(&call, Code::Unavailable, self.0.settings.slow);
        }
    }
}

impl<S> tower::Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate {
            shared: Arc::clone(&self.0),
            inner,
        }
    }
}

impl<S> tower::Service<Request<Body>> for Gate<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        let Some(operation) = operation(request.uri().path()) else {
            return Box::pin(unbilled(ready, request));
        };
        // opened here, not when the future is first polled: the deadline counts from now
        match self.shared.admit(operation, &request) {
            Ok(open) => Box::pin(billed(ready, request, open)),
            Err((open, refusal)) => Box::pin(std::future::ready(Ok(open.answer(&refusal)))),
        }
    }
}

impl Shared {
    /// Opens a call, and refuses it where its names are wrong, too many are in flight, or the server drains.
    fn admit(
        self: &Arc<Shared>,
        operation: &'static str,
        request: &Request<Body>,
    ) -> Result<Open, (Open, Status)> {
        let head = Head::read(request.headers(), self.settings.deadline);
        let trace = self.telemetry.begin(operation, request.headers());
        let mut open = Open::new(Arc::clone(self), operation, &head, trace);
        let (reason, refusal) = if !head.faults.is_empty() {
            (
                Reason::InvalidField,
                status::invalid(Reason::InvalidField, &head.faults),
            )
        } else if self.draining.load(Ordering::SeqCst) {
            (
                Reason::ShuttingDown,
                status::retry_later(Reason::ShuttingDown, "the server is shutting down"),
            )
        } else if open.take_place() {
            return Ok(open);
        } else {
            let text = format!("{} calls are in flight already", self.settings.in_flight);
            (
                Reason::TooManyCalls,
                status::over_limit(Reason::TooManyCalls, "limits.in_flight", text),
            )
        };
        Err((open.because(reason), refusal))
    }

    fn in_flight(&self) -> usize {
        self.places.count()
    }

    /// Calls in flight over the limit.
    fn utilization(&self) -> f64 {
        self.in_flight() as f64 / self.settings.in_flight as f64
    }
}

/// The RPC's name where it is one of DataService.
fn operation(path: &str) -> Option<&'static str> {
    let method = path.strip_prefix("/tollgate.v1.DataService/")?;
    Some(
        OPERATIONS
            .into_iter()
            .find(|name| *name == method)
            .unwrap_or(NONE),
    )
}

async fn billed<S>(mut inner: S, request: Request<Body>, open: Open) -> Result<Response<Body>, Infallible>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let call = open.call().clone();
    let mut request = request.map(|body| arrival::watched(body, move || call.set_reason(Reason::Cancelled)));
    request.extensions_mut().insert(open.call().clone());
    let answering = open.call().trace().scope(inner.call(request));
    let answered = timeout_at(open.call().deadline().into(), answering).await;
    let Ok(response) = answered else {
        let open = open.because(Reason::DeadlineExceeded);
        return Ok(open.answer(&deadline_passed()));
    };
    let mut response = response?;
    if open.caller_left() {
        return Ok(open.answer(&caller_left()));
    }
    if let Some(rewritten) = rewrite::rewrite(response.headers_mut()) {
        open.told_by(&rewritten)
            .end(rewritten.code, Some(response.headers_mut()));
        return Ok(response);
    }
    Ok(response.map(|body| TrailedBody::wrap(body, Ending::Billed(open))))
}

async fn unbilled<S>(mut inner: S, request: Request<Body>) -> Result<Response<Body>, Infallible>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let request_id = request::id_of(request.headers());
    let left = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&left);
    let request = request.map(|body| arrival::watched(body, move || noted.store(true, Ordering::Relaxed)));
    let mut response = inner.call(request).await?;
    if left.load(Ordering::Relaxed) {
        // nobody gets it, and it is no error of ours
        return Ok(response);
    }
    if let Some(rewritten) = rewrite::rewrite(response.headers_mut()) {
        rewritten.log(&request_id);
        write_request_id(response.headers_mut(), &request_id);
        return Ok(response);
    }
    Ok(response.map(|body| TrailedBody::wrap(body, Ending::Unbilled { request_id })))
}

fn deadline_passed() -> Status {
    status::status(
        Reason::DeadlineExceeded,
        "the deadline passed before the call ended",
    )
}

fn caller_left() -> Status {
    status::status(Reason::Cancelled, "the caller left before its request was here")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire;
