//! Admission of connections: how many there are, in total and per peer address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts connections; clones share one count.
#[derive(Clone, Debug)]
pub(super) struct ConnectionCounter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    limit_per_peer: usize,
    counts: Mutex<Counts>,
}

/// Has an entry for every address with a connection, so its size is bounded by the number of connections.
#[derive(Debug, Default)]
struct Counts {
    total: usize,
    peers: HashMap<IpAddr, usize>,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    counter: ConnectionCounter,
    peer: IpAddr,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("too many connections: {0} are open; raise limits.connections")]
    Total(usize),
    #[error("too many connections of this address: {0} are open; raise limits.connections_per_peer")]
    Peer(usize),
    #[error(
        "too few file descriptors: the rest are reserved for probes and the stores; raise the descriptor limit of the process"
    )]
    Descriptors,
}

impl ConnectionCounter {
    pub(super) fn new(limit: usize, limit_per_peer: usize) -> ConnectionCounter {
        ConnectionCounter(Arc::new(Shared {
            limit,
            limit_per_peer,
            counts: Mutex::default(),
        }))
    }

    /// Counts a connection, or refuses it.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<ConnectionPermit, Refusal> {
        let peer = peer.to_canonical();
        let mut counts = self.0.counts.lock();
        let of_peer = counts.peers.get(&peer).copied().unwrap_or_default();
        if of_peer >= self.0.limit_per_peer {
            return Err(Refusal::Peer(of_peer));
        }
        if counts.total >= self.0.limit {
            return Err(Refusal::Total(counts.total));
        }
        counts.total += 1;
        counts.peers.insert(peer, of_peer + 1);
        drop(counts);
        let counter = self.clone();
        Ok(ConnectionPermit { counter, peer })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.counter.0.counts.lock();
        counts.total -= 1;
        if let Entry::Occupied(mut of_peer) = counts.peers.entry(self.peer) {
            *of_peer.get_mut() -= 1;
            if *of_peer.get() == 0 {
                of_peer.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn refuses_connections_beyond_the_limits() {
        let counter = ConnectionCounter::new(3, 2);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = counter.admit(one).unwrap();
        // the same address as a dual-stack listener reports it
        let second = counter.admit(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(counter.admit(one).unwrap_err(), Refusal::Peer(2));
        let third = counter.admit(other).unwrap();
        assert_eq!(counter.admit(other).unwrap_err(), Refusal::Total(3));
        drop(first);
        let fourth = counter.admit(one).unwrap();
        drop((second, third, fourth));
        let counts = counter.0.counts.lock();
        assert_eq!((counts.total, counts.peers.len()), (0, 0), "no entry is left");
    }
}
