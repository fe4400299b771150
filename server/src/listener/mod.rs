//! The listener of calls: accepts connections, serves HTTP/2 on them and closes those that do nothing for too long. Knows
//! how many connections there are and how long each may take; knows nothing of what is called on them.
//!
//! | a connection | is closed |
//! |---|---|
//! | beyond `connections`, `connections_per_peer` or the descriptors that connections may have | at once |
//! | without a preface and SETTINGS after `handshake` | at once |
//! | without a stream for `idle` | with GOAWAY |
//! | older than `age`, a tenth more or less | with GOAWAY; what is in flight has [`GRACE`] to end |
//! | that does not acknowledge a ping, or takes no bytes | after [`KEEPALIVE_INTERVAL`] and [`KEEPALIVE_TIMEOUT`] |
//! | at shutdown | with GOAWAY; without a handshake: at once |

mod activity;
mod census;
pub(crate) mod descriptors;
mod drive;
mod lifetime;
mod socket;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tracing::warn;

use self::census::{Census, Refusal};
use self::descriptors::Descriptors;

/// HTTP/2 pings find callers that are gone without a word.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping may stay unacknowledged.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// What a connection that reached its age has for the calls in flight on it.
const GRACE: Duration = Duration::from_secs(60);
/// Bytes of request headers.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How long to wait after the system refused a connection: it has no descriptors or memory, and would refuse the next
/// one, too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At most one line in the log about refused connections in this time.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How many connections there may be, and how long each may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections in all; nine tenths of the descriptor limit where that is less.
    pub(crate) connections: usize,
    /// Connections of one peer address.
    pub(crate) connections_per_peer: usize,
    /// Streams of one connection; past it the caller waits, as HTTP/2 has it.
    pub(crate) streams_per_connection: u32,
    /// Time for the preface and SETTINGS.
    pub(crate) handshake: Duration,
    /// Time without a stream.
    pub(crate) idle: Duration,
    /// Time until a connection is replaced.
    pub(crate) age: Duration,
}

/// What is served on every connection.
pub(crate) trait Calls:
    tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Calls for S where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Serves until `stop` changes: then the socket is closed, every connection gets a GOAWAY, and this ends with the last
/// one of them. Connections are tasks: they go on if this is dropped.
pub(crate) async fn serve(
    socket: TcpListener,
    calls: impl Calls,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let connections = TaskTracker::new();
    let descriptors = Descriptors::now();
    let census = Census::new(descriptors.bound(limits.connections), limits.connections_per_peer);
    let mut refusals = Refusals::default();
    let ending = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                refusals.note(None, &error);
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                    _ = stop.changed() => break,
                }
            }
        };
        // dropped where there is no room: the caller finds out at once, and tries elsewhere or later
        match admit(&stream, peer, &census, &descriptors) {
            Ok(place) => {
                let driving = drive::drive(stream, peer, calls.clone(), limits.clone(), ending.clone());
                connections.spawn(async move {
                    driving.await;
                    drop(place);
                });
            }
            Err(refusal) => refusals.note(Some(peer), &refusal),
        }
    }
    drop(socket);
    connections.close();
    connections.wait().await;
}

fn admit(
    stream: &TcpStream,
    peer: SocketAddr,
    census: &Census,
    descriptors: &Descriptors,
) -> Result<census::Place, Refusal> {
    if descriptors.is_of_reserve(stream) {
        return Err(Refusal::Descriptors);
    }
    let place = census.enter(peer.ip())?;
    // fails for a connection that is gone already, which its driver finds out
    let _ = stream.set_nodelay(true);
    Ok(place)
}

/// Whether an error of `accept` is about the connection that it would have returned, and not about the system.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Refused connections, of which the log has a line now and then: whoever floods the listener must not flood the log.
#[derive(Debug, Default)]
struct Refusals {
    logged: Option<tokio::time::Instant>,
    since: u64,
}

impl Refusals {
    fn note(&mut self, peer: Option<SocketAddr>, cause: &dyn std::fmt::Display) {
        self.since += 1;
        if self
            .logged
            .is_some_and(|logged| logged.elapsed() < REFUSAL_LOG_INTERVAL)
        {
            return;
        }
        let peer = peer.map(tracing::field::display);
        warn!(peer, %cause, connections = self.since, "connections refused");
        self.logged = Some(tokio::time::Instant::now());
        self.since = 0;
    }
}
