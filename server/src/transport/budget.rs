//! Limits how many values a request may have. They are counted before the request is decoded.

use std::task::{Context, Poll};

use http::Request;
use tollgate_proto::budget::{Within, within};
use tonic::server::NamedService;

/// A service that limits the values of its requests.
#[derive(Clone, Debug)]
pub struct Budgeted<S> {
    inner: S,
    max_values: usize,
}

impl<S> Budgeted<S> {
    /// Limits the messages of a service to `max_values` values.
    pub fn new(inner: S, max_values: usize) -> Budgeted<S> {
        Budgeted { inner, max_values }
    }
}

impl<S: NamedService> NamedService for Budgeted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> tower::Service<Request<B>> for Budgeted<S>
where
    S: tower::Service<Request<B>>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Within<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        within(self.max_values, self.inner.call(request))
    }
}
