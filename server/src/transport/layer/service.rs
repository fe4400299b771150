//! The tower layer and service: routes each request to a billed or an unbilled call.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;

use super::billed;
use super::in_flight::InFlight;
use super::route::Route;
use super::settings::Settings;
use super::shared::Shared;
use super::unbilled::{self, Unbilled};
use crate::billing::Accounting;
use crate::capacity::Capacity;
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
        CallLayer(Shared::new(accounting, settings, telemetry))
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
        let Some(rpc) = route.rpc else {
            return match Unbilled::open(&self.shared, route, request) {
                Ok((call, request)) => Box::pin(call.run(ready, request)),
                Err((request_id, refusal)) => {
                    Box::pin(std::future::ready(Ok(unbilled::refuse(&request_id, &refusal))))
                }
            };
        };
        match billed::admit(&self.shared, rpc, route, request) {
            Ok((admitted, request)) => Box::pin(admitted.run(ready, request)),
            Err((open, refusal)) => {
                let response = open.refuse(&refusal);
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}
