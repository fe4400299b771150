//! The bytes of one part while it is filled. A part that is one piece is not copied; otherwise it grows to its size and not
//! beyond.

use bytes::Bytes;

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

/// Makes room for `more` bytes: twice as much as before, but no more than the part needs.
fn grow(bytes: &mut Vec<u8>, more: usize, target_bytes: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let capacity = (2 * bytes.capacity()).min(target_bytes).max(needed);
        bytes.reserve_exact(capacity - bytes.len());
    }
}
