//! The bytes of one part while it is filled. A part that is one piece is not copied; a small one grows with its pieces, and
//! any other is allocated once, so that filling it leaves nothing behind in the allocator.

use bytes::Bytes;

/// A part with more bytes is allocated whole.
const SMALL_BYTES: usize = 256 * 1024;

/// The bytes of a part that is being filled.
pub(super) enum Filling {
    /// One piece, not copied.
    Piece(Bytes),
    Copied(Vec<u8>),
}

impl Filling {
    /// How many there are.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Filling::Piece(piece) => piece.len(),
            Filling::Copied(bytes) => bytes.len(),
        }
    }

    /// Adds a piece to a part that becomes no larger than `target_bytes`.
    pub(super) fn append(&mut self, piece: Bytes, target_bytes: usize) {
        if self.bytes() == 0 {
            *self = Filling::Piece(piece);
            return;
        }
        if let Filling::Piece(first) = self {
            let first = std::mem::take(first);
            let mut bytes = Vec::new();
            grow(&mut bytes, first.len() + piece.len(), target_bytes);
            bytes.extend_from_slice(&first);
            *self = Filling::Copied(bytes);
        }
        if let Filling::Copied(bytes) = self {
            grow(bytes, piece.len(), target_bytes);
            bytes.extend_from_slice(&piece);
        }
    }

    /// The whole part.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Filling::Piece(piece) => piece,
            Filling::Copied(bytes) => bytes.into(),
        }
    }
}

/// Makes room for `more` bytes, but no more than the part needs.
fn grow(bytes: &mut Vec<u8>, more: usize, target_bytes: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let wanted = match needed {
            0..=SMALL_BYTES => 2 * bytes.capacity(),
            _ => target_bytes,
        };
        let capacity = wanted.min(target_bytes).max(needed);
        bytes.reserve_exact(capacity - bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(piece_bytes: usize, pieces: usize, target_bytes: usize) -> (Filling, Vec<usize>) {
        let (mut filling, mut capacities) = (Filling::Piece(Bytes::new()), Vec::new());
        for _ in 0..pieces {
            filling.append(Bytes::from(vec![7; piece_bytes]), target_bytes);
            if let Filling::Copied(bytes) = &filling {
                capacities.push(bytes.capacity());
            }
        }
        capacities.dedup();
        (filling, capacities)
    }

    #[test]
    fn a_large_part_is_allocated_once() {
        let target_bytes = 5 << 20;
        let (filling, capacities) = filled(1 << 20, 5, target_bytes);
        assert_eq!((filling.bytes(), capacities), (target_bytes, vec![target_bytes]));
        let (filling, _) = filled(1000, 1, target_bytes);
        assert!(matches!(filling, Filling::Piece(_)), "not copied");
    }

    #[test]
    fn a_small_part_takes_little() {
        let (filling, capacities) = filled(1000, 100, 5 << 20);
        assert_eq!(filling.into_bytes(), vec![7; 100_000]);
        assert!(
            capacities.iter().all(|capacity| *capacity <= 256 * 1024),
            "{capacities:?}"
        );
    }
}
