//! The HTTP side port: `/metrics` for Prometheus, `/healthz` while the process lives, `/readyz` while calls are taken.
//! Answers nothing else, and nothing that is secret; it has no authentication, so by default it is on loopback. A new
//! connection is always taken, soon: where there are many, the one that has been idle the longest goes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use super::on::Telemetry;
use super::{TARGET, scrape};
use crate::config;

/// Connections at once.
const MAX_CONNECTIONS: usize = 64;
/// A connection whose first request takes longer is closed.
const FIRST_REQUEST_TIME: Duration = Duration::from_secs(5);
/// A connection that sends no further request for this long is closed.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// A connection that did something this lately is not closed for the sake of another, which waits instead.
const BUSY_TIME: Duration = Duration::from_millis(500);
/// How long to wait after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const PLAIN: &str = "text/plain; charset=utf-8";

/// A side port that is bound, not yet serving.
#[derive(Debug)]
pub struct SidePort {
    listener: TcpListener,
    address: SocketAddr,
}

impl SidePort {
    /// Binds the address of the settings. Where it is the default's and is taken, by another gateway of this machine
    /// perhaps, there is none, and the log says so.
    ///
    /// # Errors
    ///
    /// Where somebody asked for an address that cannot be had.
    pub async fn bind(metrics: &config::Metrics) -> Result<Option<SidePort>, std::io::Error> {
        let Some(listen) = &metrics.listen else {
            return Ok(None);
        };
        let bound = TcpListener::bind(listen).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => Ok(Some(SidePort { listener, address })),
            Err(error) if metrics.listen_set => Err(error),
            Err(error) => {
                warn!(target: TARGET, %listen, %error, "no side port: metrics.listen names another, or off");
                Ok(None)
            }
        }
    }

    /// The address that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped. `ready` says whether calls are taken.
    pub async fn serve(self, telemetry: Telemetry, ready: Arc<AtomicBool>) {
        info!(target: TARGET, address = %self.address, "metrics and probes");
        let mut connections = Connections::default();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // no descriptors, most likely: whoever asks now goes before whoever asked
                    connections.close_idlest();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            connections.make_room().await;
            connections.add(stream, telemetry.clone(), Arc::clone(&ready));
        }
    }
}

/// The connections that are open; dropping it ends them.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: Vec<Open>,
}

struct Open {
    task: AbortHandle,
    activity: Arc<Activity>,
}

/// What a connection does.
struct Activity {
    opened: Instant,
    /// When its last request came.
    asked: Mutex<Option<Instant>>,
}

impl Connections {
    /// Waits until there is room, or closes the connection that has been idle the longest.
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

    fn add(&mut self, stream: TcpStream, telemetry: Telemetry, ready: Arc<AtomicBool>) {
        let activity = Activity::new();
        let serving = connection(stream, telemetry, ready, Arc::clone(&activity));
        let task = self.tasks.spawn(serving);
        self.open.push(Open { task, activity });
    }
}

impl Activity {
    fn new() -> Arc<Activity> {
        Arc::new(Activity {
            opened: Instant::now(),
            asked: Mutex::default(),
        })
    }

    fn ask(&self) {
        *self.asked() = Some(Instant::now());
    }

    fn last(&self) -> Instant {
        self.asked().unwrap_or(self.opened)
    }

    /// Ends where the first request does not come in time, else never.
    async fn none_in_time(&self) {
        tokio::time::sleep(FIRST_REQUEST_TIME).await;
        let has_asked = self.asked().is_some();
        if has_asked {
            std::future::pending::<()>().await;
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connection(
    stream: TcpStream,
    telemetry: Telemetry,
    ready: Arc<AtomicBool>,
    activity: Arc<Activity>,
) {
    let answer = service_fn(|request: Request<Incoming>| {
        activity.ask();
        let response = answer(request.method(), request.uri().path(), &telemetry, &ready);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIME)
        .serve_connection(TokioIo::new(stream), answer);
    // how a scraper's connection ends is its own affair
    tokio::select! {
        _ = serving => {}
        () = activity.none_in_time() => {}
    }
}

fn answer(method: &Method, path: &str, telemetry: &Telemetry, ready: &AtomicBool) -> Response<Full<Bytes>> {
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
        };
        let side_port = SidePort::bind(&metrics).await.unwrap().unwrap();
        let stream = TcpStream::connect(side_port.address()).await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(side_port.serve(Telemetry::off(), Arc::default()));
        (serving, stream)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_asks_is_closed_soon() {
        let (_serving, mut stream) = connected().await;
        stream.write_all(b"GET /healthz").await.unwrap();
        let begun = Instant::now();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), FIRST_REQUEST_TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asked_is_kept_a_while() {
        let (_serving, mut stream) = connected().await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let begun = Instant::now();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"alive\n"));
        assert_eq!(begun.elapsed().as_secs(), IDLE_TIME.as_secs());
    }
}
