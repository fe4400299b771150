//! The outermost layer: every call of DataService is opened, admitted, bounded by its deadline, and closed here, once,
//! with its bill in the trailers and one line in the log. Errors that tonic answers by itself get the contract's
//! details, and memory, time and calls are bounded, for all services. Knows the wire, nothing of operations.
//!
//! A call holds a few KiB from its head on, memory for its message as that arrives, and a place in flight once the
//! message is there. What the call holds is free when the last clone of its [`Call`](crate::call::Call) is dropped:
//! work that was spawned for it and goes on after its caller left keeps its place.
//!
//! | how a call ends | who closes it, with which status |
//! |---|---|
//! | response head with a status (Trailers-Only) | `Open::end`, that status, the bill in the head |
//! | response body with trailers | the body, the trailers' status, the bill in the trailers |
//! | response body that breaks off | the body, the error's status or UNKNOWN |
//! | deadline before the head, or in the body | the layer or the body's watch, DEADLINE_EXCEEDED, the bill in the trailers |
//! | the caller leaves: future or body dropped | `Drop` of `Open`, CANCELLED |
//! | refused here (names, memory, calls in flight, drain) | `Open::end`, the refusal's status |
//!
//! Only the RPC's own future and stream are dropped by a deadline; work that was spawned to run to its end goes on, and
//! what it counts reaches the same bill.

mod arrival;
mod body;
mod calls;
mod messages;
mod open;
mod outbound;
mod receipt;
mod refusal;
mod request;
mod rewrite;
mod route;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use tollgate_proto::Reason;
use tonic::Code;
use tonic::body::Body;

use self::arrival::Arrival;
use self::body::{Ending, TrailedBody};
use self::calls::OpenCalls;
use self::open::Open;
use self::receipt::{Late, Receipt};
use self::refusal::Refusal;
use self::request::{Deadlines, Head};
use self::route::Route;
use super::{Connection, status};
use crate::billing::{Accounting, TrailerChoice, write_request_id};
use crate::capacity::{Capacity, Hold, Limits, Pool};
use crate::figure::Rpc;
use crate::telemetry::Telemetry;

/// How often a drain looks whether calls are still in flight.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// What an open call takes by itself, without its head.
const CALL_BYTES: usize = 4 * 1024;

/// The limits of calls.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Calls of DataService at once; past it they are refused.
    pub in_flight: usize,
    /// Of those, calls on one connection.
    pub in_flight_per_connection: usize,
    /// Bytes of requests, of what they are decoded to, and of responses, at one time.
    pub memory: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// How long a call may take whose caller set no deadline.
    pub deadline: Duration,
    /// The longest deadline of a unary call.
    pub deadline_max: Duration,
    /// The longest deadline of a stream.
    pub stream_deadline_max: Duration,
    /// How long a request message may take to arrive.
    pub receive: Duration,
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
    accounting: Arc<Accounting>,
    telemetry: Telemetry,
    settings: Settings,
    capacity: Arc<Capacity>,
    calls: OpenCalls,
    draining: AtomicBool,
}

impl GateLayer {
    /// A gate that bills to these accounting.
    pub fn new(accounting: Arc<Accounting>, settings: Settings) -> GateLayer {
        GateLayer::traced(accounting, settings, Telemetry::off())
    }

    /// The same, with every call told in a trace.
    pub fn traced(accounting: Arc<Accounting>, settings: Settings, telemetry: Telemetry) -> GateLayer {
        let in_flight = settings.in_flight.max(1);
        let settings = Settings {
            in_flight,
            ..settings
        };
        GateLayer(Arc::new(Shared {
            accounting,
            telemetry,
            settings,
            capacity: Capacity::new(Limits {
                memory: settings.memory,
                in_flight,
                in_flight_per_connection: settings.in_flight_per_connection.max(1),
            }),
            calls: OpenCalls::default(),
            draining: AtomicBool::new(false),
        }))
    }

    /// The calls in flight behind this gate.
    pub fn in_flight(&self) -> InFlight {
        InFlight(Arc::clone(&self.0))
    }

    /// What the calls behind this gate hold.
    pub fn capacity(&self) -> Arc<Capacity> {
        Arc::clone(&self.0.capacity)
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

    /// Waits until there are none, and none whose request is still arriving. From now on no call is admitted: its
    /// caller is told to go elsewhere.
    pub async fn idle(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        while self.count() > 0 || self.0.calls.count() > 0 {
            tokio::time::sleep(IDLE_CHECK_INTERVAL).await;
        }
    }

    /// Closes the calls that the end of the server cuts off: they are billed, logged and told as any other. Nobody
    /// answers them; their callers find the connection gone, which gRPC calls UNAVAILABLE.
    pub fn cut_off(&self) {
        for call in self.0.calls.calls() {
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
        let route = Route::from_path(request.uri().path());
        // opened here, not when the future is first polled: the deadline counts from now
        let Some(rpc) = route.rpc else {
            return match Unbilled::open(&self.shared, route, request) {
                Ok((call, request)) => Box::pin(call.run(ready, request)),
                Err((request_id, refusal)) => Box::pin(std::future::ready(Ok(refuse(&request_id, &refusal)))),
            };
        };
        match self.shared.admit(rpc, route, request) {
            Ok((admitted, request)) => Box::pin(billed(ready, request, admitted)),
            Err((open, refusal)) => {
                let response = open.because(refusal.reason).answer(&refusal.status);
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

/// A call whose handler may run once its message is there.
struct Admitted {
    open: Open,
    streams: bool,
    receipt: Arc<Receipt>,
}

impl Shared {
    /// Opens a call, and refuses it if its names are wrong, there is no memory, or the server drains.
    fn admit(
        self: &Arc<Shared>,
        rpc: Rpc,
        route: Route,
        mut request: Request<Body>,
    ) -> Result<(Admitted, Request<Body>), (Open, Refusal)> {
        let head = Head::read(request.headers(), self.deadlines(route));
        let trace = self.telemetry.begin(rpc, request.headers());
        let open = Open::new(Arc::clone(self), rpc, &head, trace);
        if !head.faults.is_empty() {
            let status = status::invalid(Reason::InvalidField, &head.faults);
            let reason = Reason::InvalidField;
            return Err((open, Refusal { reason, status }));
        }
        if self.draining.load(Ordering::SeqCst) {
            return Err((open, refusal::shutting_down()));
        }
        let Ok(hold) = self.hold(&request) else {
            return Err((open, refusal::out_of_memory()));
        };
        let receipt = Arc::new(Receipt::new());
        let open = open.admitted(Arc::clone(&hold));
        let body = std::mem::take(request.body_mut());
        match Arrival::watch(body, route, &receipt, &hold, self.settings.message_bytes) {
            Ok(body) => *request.body_mut() = body,
            Err(refusal) => return Err((open, refusal)),
        }
        request.extensions_mut().insert(open.call().clone());
        let admitted = Admitted {
            open,
            streams: route.streams,
            receipt,
        };
        Ok((admitted, request))
    }

    fn hold(&self, request: &Request<Body>) -> Result<Arc<Hold>, crate::capacity::OutOfMemory> {
        let bytes = CALL_BYTES + request::head_bytes(request);
        match request.extensions().get::<Connection>() {
            Some(connection) => Hold::open(&self.capacity, connection.share(), bytes),
            None => Hold::open(&self.capacity, &Arc::default(), bytes),
        }
    }

    fn deadlines(&self, route: Route) -> Deadlines {
        Deadlines {
            default: self.settings.deadline,
            most: match route.streams {
                true => self.settings.stream_deadline_max,
                false => self.settings.deadline_max,
            },
        }
    }

    fn in_flight(&self) -> usize {
        self.capacity.in_flight(Pool::Data)
    }

    /// Calls in flight over the limit.
    fn utilization(&self) -> f64 {
        self.in_flight() as f64 / self.settings.in_flight as f64
    }

    /// The status of a call that ran out of time.
    fn late(&self, late: Late, hold: Option<&Arc<Hold>>) -> Refusal {
        if hold.is_some_and(|hold| hold.is_waiting()) {
            return refusal::out_of_memory();
        }
        Refusal {
            reason: Reason::DeadlineExceeded,
            status: match late {
                Late::Deadline => refusal::deadline_passed(),
                Late::Receive => refusal::receive_passed(self.settings.receive),
            },
        }
    }
}

async fn billed<S>(
    mut inner: S,
    request: Request<Body>,
    admitted: Admitted,
) -> Result<Response<Body>, Infallible>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let Admitted {
        open,
        streams,
        receipt,
    } = admitted;
    let (receive, deadline) = (open.settings().receive, open.call().deadline());
    let answering = open.call().trace().scope(inner.call(request));
    let mut response = match receipt.within(receive, Some(deadline), answering).await {
        Ok(response) => response?,
        Err(late) => {
            let refusal = open.late(late);
            return Ok(open.because(refusal.reason).answer(&refusal.status));
        }
    };
    if receipt.is_broken() {
        return Ok(open.because(Reason::Cancelled).answer(&refusal::caller_left()));
    }
    let open = match receipt.refused() {
        Some(reason) => open.because(reason),
        None => open,
    };
    if let Some(rewritten) = rewrite::rewrite(response.headers_mut()) {
        open.told_by(&rewritten)
            .end(rewritten.code, Some(response.headers_mut()));
        return Ok(response);
    }
    if let Some(hold) = open.call().hold().filter(|_| streams) {
        // a stream goes on reading its request
        hold.keep_to_the_end();
    }
    Ok(response.map(|body| TrailedBody::wrap(body, Ending::Billed(open))))
}

/// A call of another service than DataService: bounded, not billed.
struct Unbilled {
    shared: Arc<Shared>,
    request_id: String,
    receipt: Arc<Receipt>,
    hold: Arc<Hold>,
    deadline: Option<std::time::Instant>,
}

impl Unbilled {
    fn open(
        shared: &Arc<Shared>,
        route: Route,
        mut request: Request<Body>,
    ) -> Result<(Unbilled, Request<Body>), (String, Refusal)> {
        let request_id = request::id_of(request.headers());
        let Ok(hold) = shared.hold(&request) else {
            return Err((request_id, refusal::out_of_memory()));
        };
        let deadlines = shared.deadlines(route);
        let deadline = match route.pool {
            Pool::LongLived => request::deadline_of_endless(request.headers(), deadlines.most),
            Pool::Data | Pool::Control | Pool::Health => {
                Some(request::deadline(request.headers(), deadlines))
            }
        };
        let receipt = Arc::new(Receipt::new());
        let body = std::mem::take(request.body_mut());
        let longest = shared.settings.message_bytes;
        match Arrival::watch(body, route, &receipt, &hold, longest) {
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

    async fn run<S>(self, mut inner: S, request: Request<Body>) -> Result<Response<Body>, Infallible>
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
        let answering = receipt.within(receive, deadline, inner.call(request));
        let mut response = match answering.await {
            Ok(response) => response?,
            Err(late) => return Ok(refuse(&request_id, &shared.late(late, Some(&hold)))),
        };
        if receipt.is_broken() {
            // nobody receives it, and the error is not ours
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
        Ok(response.map(|body| TrailedBody::wrap(body, ending)))
    }
}

/// The answer to a call that is not billed.
fn refuse(request_id: &str, refusal: &Refusal) -> Response<Body> {
    let mut response: Response<Body> = refusal.status.clone().into_http();
    write_request_id(response.headers_mut(), request_id);
    response
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire;
