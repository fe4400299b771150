//! The connection that a request came in on. Made by the listener when it accepts, and put into the extensions of every
//! request of it, so that limits per connection have a place. Holds no bytes of requests.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::capacity::Share;

/// One connection of a caller; clones are the same connection.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

/// What is counted per connection.
#[derive(Debug)]
struct Inner {
    /// None if the system did not say.
    peer: Option<SocketAddr>,
    /// What its calls hold.
    share: Arc<Share>,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(peer: Option<SocketAddr>) -> Connection {
        Connection(Arc::new(Inner {
            peer,
            share: Arc::default(),
        }))
    }

    /// The address of the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// What the calls of this connection hold of the server's capacity.
    pub fn share(&self) -> &Arc<Share> {
        &self.0.share
    }
}
