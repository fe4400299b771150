//! The HTTP side port: `/metrics` for Prometheus, `/healthz` while the process runs, `/readyz` while calls are accepted.
//! Serves nothing else and nothing secret; it has no authentication, so it listens on loopback by default. New connections
//! are always accepted soon: if there are too many, the one that has been idle the longest is closed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tracing::{info, warn};

use super::on::Telemetry;
use super::{TARGET, scrape};
use crate::config;
use crate::tls::Certificates;

/// The most connections at one time.
const MAX_CONNECTIONS: usize = 64;
/// A connection whose first request takes longer is closed.
const FIRST_REQUEST_TIME: Duration = Duration::from_secs(5);
/// A connection that sends no further request for this long is closed.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// A connection that was active within this time is not closed to admit another, which waits instead.
const BUSY_TIME: Duration = Duration::from_millis(500);
/// Pause after a failed `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const PLAIN: &str = "text/plain; charset=utf-8";

/// A side port that is bound but does not serve yet.
#[derive(Debug)]
pub struct SidePort {
    listener: TcpListener,
    address: SocketAddr,
    /// `None`: no TLS.
    tls: Option<Arc<Certificates>>,
}

impl SidePort {
    /// Binds the address of the settings. If that is the default address and it is in use, perhaps by another gateway on
    /// this machine, logs a warning and returns `None`.
    ///
    /// # Errors
    ///
    /// An address that was set explicitly cannot be bound.
    pub async fn bind(
        metrics: &config::Metrics,
        tls: Option<Arc<Certificates>>,
    ) -> Result<Option<SidePort>, std::io::Error> {
        let Some(listen) = &metrics.listen else {
            return Ok(None);
        };
        let bound = TcpListener::bind(listen).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => Ok(Some(SidePort {
                listener,
                address,
                tls,
            })),
            Err(error) if metrics.listen_set => Err(error),
            Err(error) => {
                warn!(target: TARGET, %listen, %error, "metrics port disabled: the address cannot be bound; set metrics.listen to another one, or to off");
                Ok(None)
            }
        }
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped. `ready` is whether calls are accepted.
    pub async fn serve(self, telemetry: Telemetry, ready: Arc<AtomicBool>) {
        info!(target: TARGET, address = %self.address, "metrics and probes");
        let mut connections = Connections::default();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // probably out of descriptors: new connections take precedence over old ones
                    connections.close_idlest();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            connections.make_room().await;
            connections.add(stream, self.tls.clone(), telemetry.clone(), Arc::clone(&ready));
        }
    }
}

/// The open connections; dropping this closes them.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: Vec<Open>,
}

struct Open {
    task: AbortHandle,
    activity: Arc<Activity>,
}

/// When a connection was active.
struct Activity {
    opened: Instant,
    /// When its last request arrived.
    requested: Mutex<Option<Instant>>,
}

impl Connections {
    /// Waits until another connection is allowed, or closes the one that has been idle the longest.
    async fn make_room(&mut self) {
        loop {
            while self.tasks.try_join_next().is_some() {}
            self.open.retain(|open| !open.task.is_finished());
            if self.open.len() < MAX_CONNECTIONS {
                return;
            }
            let places = self.open.iter().map(|open| open.activity.last()).enumerate();
            let Some((place, last)) = places.min_by_key(|(_, last)| *last) else {
                return;
            };
            if last.elapsed() >= BUSY_TIME {
                return self.open.swap_remove(place).task.abort();
            }
            tokio::select! {
                _ = self.tasks.join_next() => {}
                () = tokio::time::sleep_until(last + BUSY_TIME) => {}
            }
        }
    }

    /// Closes the connection that has been idle the longest, unless all are busy.
    fn close_idlest(&mut self) {
        let places = self.open.iter().map(|open| open.activity.last()).enumerate();
        if let Some((place, last)) = places.min_by_key(|(_, last)| *last)
            && last.elapsed() >= BUSY_TIME
        {
            self.open.swap_remove(place).task.abort();
        }
    }

    fn add(
        &mut self,
        stream: TcpStream,
        tls: Option<Arc<Certificates>>,
        telemetry: Telemetry,
        ready: Arc<AtomicBool>,
    ) {
        let activity = Activity::new();
        let serving = serve(stream, tls, telemetry, ready, Arc::clone(&activity));
        let task = self.tasks.spawn(serving);
        self.open.push(Open { task, activity });
    }
}

impl Activity {
    fn new() -> Arc<Activity> {
        Arc::new(Activity {
            opened: Instant::now(),
            requested: Mutex::default(),
        })
    }

    fn record_request(&self) {
        *self.requested.lock() = Some(Instant::now());
    }

    fn last(&self) -> Instant {
        self.requested.lock().unwrap_or(self.opened)
    }

    /// Returns if the first request does not arrive in time, else never.
    async fn first_request_timeout(&self) {
        tokio::time::sleep(FIRST_REQUEST_TIME).await;
        let has_requested = self.requested.lock().is_some();
        if has_requested {
            std::future::pending::<()>().await;
        }
    }
}

/// Serves a connection, after its TLS handshake if there are certificates.
async fn serve(
    stream: TcpStream,
    tls: Option<Arc<Certificates>>,
    telemetry: Telemetry,
    ready: Arc<AtomicBool>,
    activity: Arc<Activity>,
) {
    let stream = match tls {
        None => Either::Left(stream),
        Some(certificates) => {
            let handshake = certificates.accept_probes(stream);
            match tokio::time::timeout(FIRST_REQUEST_TIME, handshake).await {
                Ok(Ok(secured)) => Either::Right(Box::new(secured)),
                Ok(Err(_)) | Err(_) => return,
            }
        }
    };
    connection(stream, telemetry, ready, activity).await;
}

async fn connection(
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    telemetry: Telemetry,
    ready: Arc<AtomicBool>,
    activity: Arc<Activity>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        activity.record_request();
        let response = respond(request.method(), request.uri().path(), &telemetry, &ready);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIME)
        .serve_connection(TokioIo::new(stream), service);
    // an error concerns only the client of this connection
    tokio::select! {
        _ = serving => {}
        () = activity.first_request_timeout() => {}
    }
}

fn respond(method: &Method, path: &str, telemetry: &Telemetry, ready: &AtomicBool) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET or HEAD\n");
        let allowed = header::HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(header::ALLOW, allowed);
        return refusal;
    }
    match path {
        "/metrics" => response(StatusCode::OK, scrape::MEDIA_TYPE, telemetry.scrape()),
        "/healthz" => response(StatusCode::OK, PLAIN, "alive\n"),
        "/readyz" if ready.load(Ordering::Relaxed) => response(StatusCode::OK, PLAIN, "serving\n"),
        "/readyz" => response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "not serving\n"),
        _ => response(StatusCode::NOT_FOUND, PLAIN, "/metrics, /healthz or /readyz\n"),
    }
}

fn response(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A side port that serves, and a connection to it.
    async fn connected() -> (JoinSet<()>, TcpStream) {
        let metrics = config::Metrics {
            listen: Some("127.0.0.1:0".to_owned()),
            listen_set: true,
            tls: false,
        };
        let side_port = SidePort::bind(&metrics, None).await.unwrap().unwrap();
        let stream = TcpStream::connect(side_port.address()).await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(side_port.serve(Telemetry::off(), Arc::default()));
        (serving, stream)
    }

    #[tokio::test(start_paused = true)]
    async fn closes_a_connection_without_a_request_soon() {
        let (_serving, mut stream) = connected().await;
        stream.write_all(b"GET /healthz").await.unwrap();
        let begun = Instant::now();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), FIRST_REQUEST_TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_a_connection_open_after_a_request() {
        let (_serving, mut stream) = connected().await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let begun = Instant::now();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        assert!(response.ends_with(b"alive\n"));
        assert_eq!(begun.elapsed().as_secs(), IDLE_TIME.as_secs());
    }
}
