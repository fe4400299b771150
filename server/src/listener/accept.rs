//! The accept loop of calls and of presigned URLs: admits connections, serves each as a task, and logs those that are refused.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::admission::{ConnectionCounter, ConnectionPermit, Refusal};
use super::connection::{self, Accepted, CallService};
use super::descriptors::Descriptors;
use super::limits::Limits;
use super::url_connection::{self, UrlPort};
use crate::tls::Certificates;

/// Pause after a failed `accept`: the system is out of descriptors or memory and would refuse the next connection too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refused connections are logged at most once in this time.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Serves calls until `stop` changes. Then the socket is closed, every connection gets a GOAWAY, and this returns when the
/// last connection has ended. Connections are tasks: they continue if this future is dropped.
pub(crate) async fn serve(
    socket: TcpListener,
    tls: Option<Arc<Certificates>>,
    calls: impl CallService,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let ending = stop.clone();
    let connect_limits = limits.clone();
    accept(socket, &limits, stop, move |stream, peer| {
        connection::serve(
            Accepted { stream, peer },
            tls.clone(),
            calls.clone(),
            connect_limits.clone(),
            ending.clone(),
        )
    })
    .await;
}

/// Like [`serve`], for requests by presigned URL.
pub(crate) async fn serve_urls(port: UrlPort, limits: Limits, stop: watch::Receiver<bool>) {
    let UrlPort { socket, respond } = port;
    let ending = stop.clone();
    let connect_limits = limits.clone();
    accept(socket, &limits, stop, move |stream, _| {
        url_connection::serve(stream, respond.clone(), connect_limits.clone(), ending.clone())
    })
    .await;
}

async fn accept<S>(
    socket: TcpListener,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
    serve_one: impl Fn(TcpStream, SocketAddr) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let connections = TaskTracker::new();
    let descriptors = Descriptors::current();
    let counter = ConnectionCounter::new(descriptors.bound(limits.connections), limits.connections_per_peer);
    let mut refusals = Refusals::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(error) => {
                refusals.record(None, &error);
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                    _ = stop.changed() => break,
                }
            }
        };
        // a refused connection is closed at once, so that the caller tries elsewhere or later
        match admit(&stream, peer, &counter, &descriptors) {
            Ok(permit) => {
                let serving = serve_one(stream, peer);
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(refusal) => refusals.record(Some(peer), &refusal),
        }
    }
    drop(socket);
    connections.close();
    connections.wait().await;
}

fn admit(
    stream: &TcpStream,
    peer: SocketAddr,
    counter: &ConnectionCounter,
    descriptors: &Descriptors,
) -> Result<ConnectionPermit, Refusal> {
    if descriptors.is_reserved(stream) {
        return Err(Refusal::Descriptors);
    }
    let permit = counter.admit(peer.ip())?;
    // fails only if the connection is closed already, which serving it detects
    let _ = stream.set_nodelay(true);
    Ok(permit)
}

/// Whether an error of `accept` concerns only the connection that it would have returned, not the system.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Refused connections. They are logged at intervals, so that a flood of connections does not flood the log.
#[derive(Debug, Default)]
struct Refusals {
    logged: Option<tokio::time::Instant>,
    /// Connections since the last log line.
    unlogged: u64,
}

impl Refusals {
    fn record(&mut self, peer: Option<SocketAddr>, cause: &dyn std::fmt::Display) {
        self.unlogged += 1;
        if self
            .logged
            .is_some_and(|logged| logged.elapsed() < REFUSAL_LOG_INTERVAL)
        {
            return;
        }
        let peer = peer.map(tracing::field::display);
        warn!(peer, %cause, connections = self.unlogged, "connections refused");
        self.logged = Some(tokio::time::Instant::now());
        self.unlogged = 0;
    }
}
