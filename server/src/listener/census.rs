//! How many connections there are, in all and per peer address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections; clones count the same ones.
#[derive(Clone, Debug)]
pub(super) struct Census(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_per_peer: usize,
    counted: Mutex<Counted>,
}

/// Has an entry for every address that has a connection, so it is bounded by the number of connections.
#[derive(Debug, Default)]
struct Counted {
    all: usize,
    peers: HashMap<IpAddr, usize>,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    census: Census,
    peer: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there are {0} connections already (limits.connections)")]
    All(usize),
    #[error("there are {0} connections of this address already (limits.connections_per_peer)")]
    Peer(usize),
    #[error("the descriptors left are for probes and the stores; raise the descriptor limit of the process")]
    Descriptors,
}

impl Census {
    pub(super) fn new(most: usize, most_per_peer: usize) -> Census {
        Census(Arc::new(Shared {
            most,
            most_per_peer,
            counted: Mutex::default(),
        }))
    }

    /// Counts a connection.
    pub(super) fn enter(&self, peer: IpAddr) -> Result<Place, Refusal> {
        let peer = peer.to_canonical();
        let mut counted = self.counted();
        let of_peer = counted.peers.get(&peer).copied().unwrap_or_default();
        if of_peer >= self.0.most_per_peer {
            return Err(Refusal::Peer(of_peer));
        }
        if counted.all >= self.0.most {
            return Err(Refusal::All(counted.all));
        }
        counted.all += 1;
        counted.peers.insert(peer, of_peer + 1);
        drop(counted);
        let census = self.clone();
        Ok(Place { census, peer })
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.census.counted();
        counted.all -= 1;
        if let Entry::Occupied(mut of_peer) = counted.peers.entry(self.peer) {
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
    fn no_more_connections_enter_than_there_are_places() {
        let census = Census::new(3, 2);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = census.enter(one).unwrap();
        // the same address, as a listener of both families sees it
        let second = census.enter(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(census.enter(one).unwrap_err(), Refusal::Peer(2));
        let third = census.enter(other).unwrap();
        assert_eq!(census.enter(other).unwrap_err(), Refusal::All(3));
        drop(first);
        let fourth = census.enter(one).unwrap();
        drop((second, third, fourth));
        let counted = census.counted();
        assert_eq!((counted.all, counted.peers.len()), (0, 0), "nothing is kept");
    }
}
