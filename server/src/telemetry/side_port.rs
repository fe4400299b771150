//! The HTTP side port: `/metrics` for Prometheus, `/healthz` while the process lives, `/readyz` while calls are taken.
//! Answers nothing else, and nothing that is secret; it has no authentication, so by default it is on loopback.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::on::Telemetry;
use super::{TARGET, scrape};
use crate::config;

/// Connections at once; others wait in the listener's queue.
const MAX_CONNECTIONS: usize = 64;
/// A connection that sends no request for this long is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
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
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        // dropping the set ends the connections
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let permit = Arc::clone(&permits).acquire_owned().await;
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (telemetry, ready) = (telemetry.clone(), Arc::clone(&ready));
            connections.spawn(async move {
                connection(stream, &telemetry, &ready).await;
                drop(permit);
            });
        }
    }
}

async fn connection(stream: TcpStream, telemetry: &Telemetry, ready: &AtomicBool) {
    let answer = service_fn(|request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), telemetry, ready);
        async move { Ok::<_, Infallible>(response) }
    });
    // how a scraper's connection ends is its own affair
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

fn answer(method: &Method, path: &str, telemetry: &Telemetry, ready: &AtomicBool) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET or HEAD\n");
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
