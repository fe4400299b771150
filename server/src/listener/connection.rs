//! Serves one connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
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
use tokio_rustls::server::TlsStream;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower::util::Oneshot;
use tracing::debug;

use super::activity::Activity;
use super::lifetime::{Cause, Due, Lifetime};
use super::limits::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, Limits, MAX_HEADER_BYTES};
use super::socket::{Socket, Stream};
use crate::identity::PeerCertificate;
use crate::tls::Certificates;
use crate::transport::{Connection, stream};

/// The service behind every connection.
pub(crate) trait CallService:
    tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> CallService for S where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// A connection that was just accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
}

/// Serves a connection to its end: its TLS handshake if there are certificates, then its calls.
pub(super) async fn serve(
    accepted: Accepted,
    tls: Option<Arc<Certificates>>,
    calls: impl CallService,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let Accepted { stream, peer } = accepted;
    let activity = Arc::new(Activity::new());
    let (stream, secured) = match tls {
        None => (Stream::Left(stream), Secured::default()),
        Some(certificates) => {
            let authorities = certificates.authorities();
            let until = activity.opened() + limits.handshake;
            tokio::select! {
                secured = tokio::time::timeout_at(until, certificates.accept_calls(stream)) => match secured {
                    Ok(Ok(stream)) => {
                        let certificate = certificate(&stream);
                        let authorities = Some(authorities);
                        (Stream::Right(Box::new(stream)), Secured { authorities, certificate })
                    }
                    Ok(Err(cause)) => return debug!(%peer, %cause, "tls handshake failed"),
                    Err(_) => return debug!(%peer, cause = ?Cause::Handshake, "connection closed"),
                },
                _ = stop.changed() => return,
            }
        }
    };
    let socket = Socket::new(stream, Arc::clone(&activity));
    serve_calls(socket, peer, activity, secured, calls, limits, stop).await;
}

/// What the handshake of a connection established.
#[derive(Default)]
struct Secured {
    /// Sends when the authorities of client certificates are replaced.
    authorities: Option<watch::Receiver<()>>,
    certificate: Option<PeerCertificate>,
}

/// The certificate that the caller presented; TLS has verified its chain.
fn certificate(stream: &TlsStream<TcpStream>) -> Option<PeerCertificate> {
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates()?;
    Some(PeerCertificate::from_der(certificates.first()?))
}

/// Serves the calls of a connection. It ends soon after the authorities of client certificates were replaced.
async fn serve_calls(
    socket: Socket,
    peer: SocketAddr,
    activity: Arc<Activity>,
    secured: Secured,
    calls: impl CallService,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let Secured {
        mut authorities,
        certificate,
    } = secured;
    let connection = Connection::new(Some(peer), certificate);
    let service = Service {
        calls,
        connection: connection.clone(),
    };
    let streams = StreamExecutor(Arc::clone(&activity));
    let io = TokioIo::new(socket.clone());
    let mut serving = pin!(http2(&limits, streams).serve_connection(io, service));
    let mut lifetime = Lifetime::new(&limits, activity.opened(), jitter());
    let mut timer = pin!(tokio::time::sleep_until(activity.opened() + limits.handshake));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // an error concerns only the caller of this connection
            _ = poll_fn(|context| {
                let served = serving.as_mut().poll(context);
                socket.poll_send(context);
                served
            }) => return,
            () = &mut timer => match lifetime.due(&activity, connection.streams_until(), Instant::now()) {
                Due::Wait(next) => timer.as_mut().reset(next),
                Due::GoAway => {
                    serving.as_mut().graceful_shutdown();
                    timer.as_mut().reset(Instant::now());
                }
                Due::Close(cause) => return debug!(%peer, ?cause, "connection closed"),
            },
            () = replaced(&mut authorities) => {
                if !activity.is_established() {
                    return;
                }
                lifetime.distrust(Instant::now());
                serving.as_mut().graceful_shutdown();
                timer.as_mut().reset(Instant::now());
            }
            _ = stop.changed(), if !is_stopping => {
                if !activity.is_established() {
                    return;
                }
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns once, when the authorities are replaced.
async fn replaced(authorities: &mut Option<watch::Receiver<()>>) {
    if let Some(watched) = authorities
        && watched.changed().await.is_ok()
    {
        *authorities = None;
        return;
    }
    std::future::pending::<()>().await;
}

fn http2(limits: &Limits, streams: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let mut http2 = http2::Builder::new(streams);
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(MAX_HEADER_BYTES);
    http2
}

/// A random number from 0 to 1; 0.5 if the random source fails.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

/// Puts the connection into the extensions of each of its calls.
#[derive(Clone, Debug)]
struct Service<S> {
    calls: S,
    connection: Connection,
}

impl<S: CallService> hyper::service::Service<Request<Incoming>> for Service<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Oneshot<S, Request<Body>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.connection.clone());
        self.calls.clone().oneshot(request)
    }
}

/// Runs and counts the streams of a connection.
#[derive(Clone, Debug)]
struct StreamExecutor(Arc<Activity>);

/// Counts one stream until it is dropped.
struct OpenStream(Arc<Activity>);

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.stream_started();
        let open = OpenStream(Arc::clone(&self.0));
        tokio::spawn(async move {
            stream::run(task).await;
            drop(open);
        });
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.stream_ended();
    }
}
