//! The tower layer and service: routes each request to a billed or an unbilled call.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use super::super::Connection;
use super::billed;
use super::in_flight::InFlight;
use super::route::Route;
use super::settings::Settings;
use super::shared::Shared;
use super::unbilled::{self, Unbilled};
use crate::audit::Audit;
use crate::billing::Accounting;
use crate::caller::Caller;
use crate::capacity::Capacity;
use crate::identity::{Authenticator, Refused};
use crate::telemetry::Telemetry;

/// Wraps the routes in a [`CallService`].
#[derive(Clone, Debug)]
pub struct CallLayer(pub(super) Arc<Shared>);

/// Opens, limits and closes the calls of the routes.
#[derive(Clone, Debug)]
pub struct CallService<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl CallLayer {
    /// Creates a layer that bills to `accounting`, without telemetry.
    pub fn new(accounting: Arc<Accounting>, settings: Settings) -> CallLayer {
        CallLayer::traced(accounting, settings, Telemetry::off())
    }

    /// Like [`new`](CallLayer::new), but traces every call.
    pub fn traced(accounting: Arc<Accounting>, settings: Settings, telemetry: Telemetry) -> CallLayer {
        CallLayer::guarded(accounting, settings, telemetry, (None, None))
    }

    /// Like [`traced`](CallLayer::traced), but with the identity of every caller and a line about every call; `None`:
    /// callers have no identity, calls are not audited.
    pub fn guarded(
        accounting: Arc<Accounting>,
        settings: Settings,
        telemetry: Telemetry,
        (authenticator, audit): (Option<Arc<Authenticator>>, Option<Audit>),
    ) -> CallLayer {
        CallLayer(Shared::new(accounting, settings, telemetry, authenticator, audit))
    }

    /// The calls in flight.
    pub fn in_flight(&self) -> InFlight {
        InFlight(Arc::clone(&self.0))
    }

    /// The capacity that the calls share.
    pub fn capacity(&self) -> Arc<Capacity> {
        Arc::clone(&self.0.capacity)
    }
}

impl<S> tower::Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService {
            shared: Arc::clone(&self.0),
            inner,
        }
    }
}

impl<S> tower::Service<Request<Body>> for CallService<S>
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
        let shared = &self.shared;
        match identify(shared.authenticator.as_deref(), route, &request) {
            Ok(caller) => open(shared, route, request, Ok(caller), ready),
            Err(Refused::UnknownKey | Refused::NoKeys) => {
                let shared = Arc::clone(shared);
                Box::pin(async move {
                    let connection: Option<Connection> = request.extensions().get().cloned();
                    let authenticator = shared.authenticator.as_deref();
                    let caller = identify_again(authenticator, request.headers(), connection).await;
                    open(&shared, route, request, caller, ready).await
                })
            }
            Err(refused) => open(shared, route, request, Err(refused), ready),
        }
    }
}

/// The caller of a request; `None` if it needs no identity.
fn identify(
    authenticator: Option<&Authenticator>,
    route: Route,
    request: &Request<Body>,
) -> Result<Option<Arc<Caller>>, Refused> {
    let Some(authenticator) = authenticator else {
        return Ok(None);
    };
    if route
        .public
        .is_some_and(|service| authenticator.public().contains(&service))
    {
        return Ok(None);
    }
    let certificate = request.extensions().get().and_then(Connection::certificate);
    let caller = authenticator.authenticate(request.headers(), certificate, SystemTime::now());
    caller.map(Some)
}

/// Like [`identify`], after the keys of the token's issuer were fetched.
async fn identify_again(
    authenticator: Option<&Authenticator>,
    headers: &HeaderMap,
    connection: Option<Connection>,
) -> Result<Option<Arc<Caller>>, Refused> {
    let Some(authenticator) = authenticator else {
        return Ok(None);
    };
    let certificate = connection.as_ref().and_then(Connection::certificate);
    authenticator.refreshed(headers, certificate).await.map(Some)
}

/// Opens the call of a caller, or refuses it.
fn open<S>(
    shared: &Arc<Shared>,
    route: Route,
    request: Request<Body>,
    caller: Result<Option<Arc<Caller>>, Refused>,
    inner: S,
) -> BoxFuture<'static, Result<Response<Body>, Infallible>>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let refuse = |response| -> BoxFuture<'static, _> { Box::pin(std::future::ready(Ok(response))) };
    match (route.rpc, caller) {
        (Some(rpc), Ok(caller)) => match billed::admit(shared, rpc, route, request, caller) {
            Ok((admitted, request)) => Box::pin(admitted.run(inner, request)),
            Err(refused) => {
                let (open, refusal) = *refused;
                refuse(open.refuse(&refusal))
            }
        },
        (Some(rpc), Err(refused)) => refuse(billed::unidentified(shared, rpc, route, &request, refused)),
        (None, Ok(caller)) => match Unbilled::open(shared, route, request, caller) {
            Ok((call, request)) => Box::pin(call.run(inner, request)),
            Err((request_id, refusal)) => refuse(unbilled::refuse(&request_id, &refusal)),
        },
        (None, Err(refused)) => refuse(unbilled::unidentified(shared, &request, refused)),
    }
}
