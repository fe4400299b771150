//! The connection that a request came in on. Made by the listener when it accepts, and put into the extensions of every
//! request of it, so that limits per connection have a place. Holds no bytes of requests.

use std::net::SocketAddr;
use std::sync::Arc;

/// One connection of a caller; clones are the same connection.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

/// What is counted per connection.
#[derive(Debug)]
struct Inner {
    /// None if the system did not say.
    peer: Option<SocketAddr>,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(peer: Option<SocketAddr>) -> Connection {
        Connection(Arc::new(Inner { peer }))
    }

    /// The address of the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }
}
