//! The limits of connections: those of the settings, and the fixed ones.

use std::time::Duration;

/// Interval of HTTP/2 pings, which detect callers that vanished.
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping may stay unacknowledged.
pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// The time that the calls in flight on a connection get once it has reached its age.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// Bytes of request headers.
pub(super) const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How many connections there may be, and how long each may last.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections in total; at most nine tenths of the descriptor limit are used.
    pub(crate) connections: usize,
    /// Connections of one peer address.
    pub(crate) connections_per_peer: usize,
    /// Streams of one connection; HTTP/2 makes the caller wait with any more.
    pub(crate) streams_per_connection: u32,
    /// Time for the preface and SETTINGS.
    pub(crate) handshake: Duration,
    /// Time without a stream.
    pub(crate) idle: Duration,
    /// Time until a connection is replaced.
    pub(crate) age: Duration,
}
