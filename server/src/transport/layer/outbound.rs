//! Response bytes that are being sent. A message is split into chunks, each counted until HTTP/2 drops it, which is when it
//! has been written; hyper takes the next chunk only when the caller's window has space. A caller that does not read thus
//! leaves about two chunks in HTTP/2 and the rest here, where the end of the call frees it.

use bytes::{Buf as _, Bytes};

use crate::capacity::{Hold, Reservation};

/// Bytes of a chunk.
pub(super) const CHUNK_BYTES: usize = 32 * 1024;
/// Smaller messages are not counted: the stream itself uses as much.
const SMALL_BYTES: usize = 4 * 1024;

/// The unsent part of a message.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    rest: Bytes,
    /// Counts the whole message, whose memory is freed with the last chunk.
    counted: Reservation,
}

/// A chunk that HTTP/2 holds.
struct Chunk {
    bytes: Bytes,
    _counted: Reservation,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Outbound {
    /// Starts to send a message, and returns its first chunk.
    pub(super) fn start(&mut self, message: Bytes, hold: &Hold) -> Bytes {
        if message.len() <= SMALL_BYTES {
            return message;
        }
        let counted = hold.count(message.len());
        if message.len() <= CHUNK_BYTES {
            return chunk(message, counted);
        }
        self.rest = message;
        self.counted = counted;
        self.next(hold).unwrap_or_default()
    }

    /// The next chunk of the message; `None` if all were returned.
    pub(super) fn next(&mut self, hold: &Hold) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        // copied, because a slice would keep the whole message in memory
        let bytes = Bytes::copy_from_slice(&self.rest[..size]);
        self.rest.advance(size);
        let chunk = chunk(bytes, hold.count(size));
        if self.rest.is_empty() {
            *self = Outbound::default();
        }
        Some(chunk)
    }
}

fn chunk(bytes: Bytes, counted: Reservation) -> Bytes {
    Bytes::from_owner(Chunk {
        bytes,
        _counted: counted,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capacity::{Capacity, Limits, Share};

    #[test]
    fn counts_a_message_until_its_chunks_are_dropped() {
        let limits = Limits {
            memory: 1 << 30,
            in_flight: 1,
            in_flight_per_connection: 1,
            adaptive: false,
        };
        let capacity = Capacity::new(limits);
        let hold = Hold::open(&capacity, &Arc::<Share>::default(), 0).unwrap();
        let message: Vec<u8> = (0..100_000_u32).map(|byte| byte as u8).collect();
        let mut outbound = Outbound::default();
        let mut chunks = vec![outbound.start(message.clone().into(), &hold)];
        assert_eq!(capacity.reserved_bytes(), 100_000 + CHUNK_BYTES);
        while let Some(chunk) = outbound.next(&hold) {
            chunks.push(chunk);
        }
        assert_eq!((chunks.concat(), capacity.reserved_bytes()), (message, 100_000));
        drop(hold);
        chunks.truncate(1);
        assert_eq!(capacity.reserved_bytes(), CHUNK_BYTES, "HTTP/2 still holds it");
        chunks.clear();
        assert_eq!(capacity.reserved_bytes(), 0);
    }

    #[test]
    fn sends_small_messages_unchanged() {
        let limits = Limits {
            memory: 1 << 30,
            in_flight: 1,
            in_flight_per_connection: 1,
            adaptive: false,
        };
        let capacity = Capacity::new(limits);
        let hold = Hold::open(&capacity, &Arc::<Share>::default(), 0).unwrap();
        let message = Bytes::from(vec![1; SMALL_BYTES]);
        let sent = Outbound::default().start(message.clone(), &hold);
        assert_eq!((sent.as_ptr(), capacity.reserved_bytes()), (message.as_ptr(), 0));
        let larger = Outbound::default().start(Bytes::from(vec![1; CHUNK_BYTES]), &hold);
        assert_eq!(capacity.reserved_bytes(), CHUNK_BYTES);
        drop(larger);
        assert_eq!(capacity.reserved_bytes(), 0);
    }
}
