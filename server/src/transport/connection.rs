//! The connection that a request arrived on. The listener creates it on accept and adds it to the extensions of every
//! request, for limits per connection. Holds no bytes of requests.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::capacity::Share;
use crate::identity::PeerCertificate;

/// One connection of a caller; clones refer to the same connection.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

/// What is counted per connection.
#[derive(Debug)]
struct Inner {
    /// `None` if the system did not report it.
    peer: Option<SocketAddr>,
    /// The verified certificate of the caller, if it presented one.
    certificate: Option<PeerCertificate>,
    /// The capacity that its calls hold.
    share: Arc<Share>,
    /// The latest deadline of its calls that stream.
    streams_until: Mutex<Option<Instant>>,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(peer: Option<SocketAddr>, certificate: Option<PeerCertificate>) -> Connection {
        Connection(Arc::new(Inner {
            peer,
            certificate,
            share: Arc::default(),
            streams_until: Mutex::default(),
        }))
    }

    /// The address of the caller, if known.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// The verified certificate of the caller, if it presented one.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.0.certificate.as_ref()
    }

    /// The server's capacity that the calls of this connection hold.
    pub fn share(&self) -> &Arc<Share> {
        &self.0.share
    }

    /// The latest deadline of the calls that stream, or streamed, on this connection.
    pub fn streams_until(&self) -> Option<Instant> {
        *self.0.streams_until.lock()
    }

    /// Records the deadline of a call that streams.
    pub(super) fn stream_began(&self, deadline: Instant) {
        let mut until = self.0.streams_until.lock();
        *until = (*until).max(Some(deadline));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_latest_deadline_counts() {
        let connection = Connection::new(None, None);
        assert_eq!(connection.streams_until(), None);
        let now = Instant::now();
        for (seconds, latest) in [(5, 5), (9, 9), (7, 9)] {
            connection.stream_began(now + Duration::from_secs(seconds));
            assert_eq!(
                connection.streams_until(),
                Some(now + Duration::from_secs(latest))
            );
        }
    }
}
