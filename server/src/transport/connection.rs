//! The connection that a request arrived on. The listener creates it on accept and adds it to the extensions of every
//! request, for limits per connection. Holds no bytes of requests.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::capacity::Share;

/// One connection of a caller; clones refer to the same connection.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

/// What is counted per connection.
#[derive(Debug)]
struct Inner {
    /// `None` if the system did not report it.
    peer: Option<SocketAddr>,
    /// The capacity that its calls hold.
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

    /// The address of the caller, if known.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// The server's capacity that the calls of this connection hold.
    pub fn share(&self) -> &Arc<Share> {
        &self.0.share
    }
}
