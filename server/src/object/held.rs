//! Content that is held back until it may be returned: as one buffer if all of it is wanted at once, else as the pieces that
//! arrived, which are not copied unless they are small.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The largest piece that is returned.
pub const PIECE_BYTES: usize = 256 * 1024;
/// Smaller pieces are joined.
const SMALL_BYTES: usize = 64 * 1024;

/// Content that is held back.
pub(super) enum Held {
    /// All of it.
    Whole(BytesMut),
    /// Some of it.
    Pieces {
        /// None of them is empty.
        pieces: VecDeque<Bytes>,
        bytes: usize,
    },
}

impl Held {
    /// A content of this size, to be taken at once.
    pub(super) fn whole(bytes: u64) -> Held {
        Held::Whole(BytesMut::with_capacity(usize::try_from(bytes).unwrap_or(0)))
    }

    /// A content that is taken in pieces.
    pub(super) fn pieces() -> Held {
        Held::Pieces {
            pieces: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        match self {
            Held::Whole(whole) => whole.extend_from_slice(&piece),
            Held::Pieces { .. } if piece.is_empty() => {}
            Held::Pieces { pieces, bytes } => {
                *bytes += piece.len();
                pieces.push_back(piece);
            }
        }
    }

    /// Drops what is held.
    pub(super) fn clear(&mut self) {
        match self {
            Held::Whole(whole) => whole.clear(),
            Held::Pieces { pieces, bytes } => {
                pieces.clear();
                *bytes = 0;
            }
        }
    }

    /// Takes the next piece, which is not the last one.
    pub(super) fn take_piece(&mut self) -> Option<Bytes> {
        let Held::Pieces { pieces, bytes } = self else {
            return None;
        };
        if *bytes <= PIECE_BYTES {
            return None;
        }
        let piece = match pieces.front().is_some_and(|first| first.len() < SMALL_BYTES) {
            true => join(pieces, PIECE_BYTES),
            false => split_first(pieces, PIECE_BYTES),
        };
        *bytes -= piece.len();
        Some(piece)
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Bytes {
        match self {
            Held::Whole(whole) => std::mem::take(whole).freeze(),
            Held::Pieces { pieces, bytes } => {
                let all = std::mem::take(bytes);
                match pieces.len() {
                    0 | 1 => pieces.pop_front().unwrap_or_default(),
                    _ => join(pieces, all),
                }
            }
        }
    }
}

/// Takes at most so many bytes of the first piece.
fn split_first(pieces: &mut VecDeque<Bytes>, max_bytes: usize) -> Bytes {
    let Some(first) = pieces.front_mut() else {
        return Bytes::new();
    };
    let taken = first.split_to(first.len().min(max_bytes));
    if first.is_empty() {
        pieces.pop_front();
    }
    taken
}

/// Takes so many bytes as one piece, or all there are.
fn join(pieces: &mut VecDeque<Bytes>, bytes: usize) -> Bytes {
    let mut joined = BytesMut::with_capacity(bytes);
    while joined.len() < bytes && !pieces.is_empty() {
        let piece = split_first(pieces, bytes - joined.len());
        joined.extend_from_slice(&piece);
    }
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_pushed_is_taken(sizes in prop::collection::vec(0..400_000_usize, 0..12)) {
            let content: Vec<u8> = (0..sizes.iter().sum()).map(|at: usize| (at % 251) as u8).collect();
            let (mut held, mut taken, mut start) = (Held::pieces(), Vec::new(), 0);
            for size in sizes {
                held.push(Bytes::copy_from_slice(&content[start..start + size]));
                start += size;
                while let Some(piece) = held.take_piece() {
                    prop_assert!((1..=PIECE_BYTES).contains(&piece.len()));
                    taken.extend_from_slice(&piece);
                    prop_assert!(taken.len() < start, "the last piece is held back");
                }
            }
            let last = held.take_all();
            prop_assert!(last.len() <= PIECE_BYTES);
            taken.extend_from_slice(&last);
            prop_assert!(taken == content);
            prop_assert!(held.take_all().is_empty());
        }
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let piece = Bytes::from(vec![7; PIECE_BYTES + 10]);
        let mut held = Held::pieces();
        held.push(piece.clone());
        let first = held.take_piece().unwrap();
        assert_eq!((first.as_ptr(), first.len()), (piece.as_ptr(), PIECE_BYTES));
        assert_eq!(held.take_all().len(), 10);
        held.push(piece);
        held.clear();
        assert!(held.take_piece().is_none() && held.take_all().is_empty());
    }

    #[test]
    fn a_whole_content_is_taken_at_once() {
        let mut held = Held::whole(1_000_000);
        held.push(Bytes::from(vec![1; 600_000]));
        assert!(held.take_piece().is_none());
        held.push(Bytes::from(vec![1; 400_000]));
        assert_eq!(held.take_all(), vec![1; 1_000_000]);
    }
}
