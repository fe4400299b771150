//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower::util::Oneshot;
use tracing::debug;

use super::activity::Activity;
use super::lifetime::{Due, Lifetime};
use super::socket::Socket;
use super::{Calls, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Limits, MAX_HEADER_BYTES};
use crate::transport::{Connection, stream};

/// Serves a connection to its end.
pub(super) async fn drive(
    stream: TcpStream,
    peer: SocketAddr,
    calls: impl Calls,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::begin());
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let service = Service {
        calls,
        connection: Connection::new(Some(peer)),
    };
    let streams = Streams(Arc::clone(&activity));
    let mut serving = pin!(http2(&limits, streams).serve_connection(socket, service));
    let mut lifetime = Lifetime::new(&limits, activity.opened(), jitter());
    let mut timer = pin!(tokio::time::sleep_until(activity.opened() + limits.handshake));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // how a caller's connection ends is its own affair
            _ = &mut serving => return,
            () = &mut timer => match lifetime.due(&activity, Instant::now()) {
                Due::Nothing(next) => timer.as_mut().reset(next),
                Due::GoAway => {
                    serving.as_mut().graceful_shutdown();
                    timer.as_mut().reset(Instant::now());
                }
                Due::Close(cause) => return debug!(%peer, ?cause, "connection closed"),
            },
            _ = stop.changed(), if !is_stopping => {
                if !activity.has_greeted() {
                    return;
                }
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

fn http2(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut http2 = http2::Builder::new(streams);
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(MAX_HEADER_BYTES);
    http2
}

/// From 0 to 1; without a random source: the middle.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

/// The calls of one connection, each with the connection in its extensions.
#[derive(Clone, Debug)]
struct Service<S> {
    calls: S,
    connection: Connection,
}

impl<S: Calls> hyper::service::Service<Request<Incoming>> for Service<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Oneshot<S, Request<Body>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.connection.clone());
        self.calls.clone().oneshot(request)
    }
}

/// Runs the streams of a connection, and counts them.
#[derive(Clone, Debug)]
struct Streams(Arc<Activity>);

/// A stream that runs, until it is dropped.
struct Running(Arc<Activity>);

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.stream_begins();
        let running = Running(Arc::clone(&self.0));
        tokio::spawn(async move {
            stream::run(task).await;
            drop(running);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stream_ends();
    }
}
