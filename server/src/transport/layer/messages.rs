//! The sizes of the messages in a request's bytes: the five bytes before each say how long it is. Reads nothing of the
//! messages themselves.

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// A message of more bytes is counted whole once so many of them have arrived: what is announced and not sent counts
/// for this much.
const FIRST_BYTES: usize = 64 * 1024;
/// A message is counted twice: as it arrived, and decoded.
const COPIES: usize = 2;
/// Decoded, small values take up to so many times their bytes more: a null is 4 bytes on the wire and about 100 decoded,
const VALUES_FACTOR: usize = 24;
/// and never more than what the values that one request may have take.
const VALUES_BYTES: usize = 12 * 1024 * 1024;

/// Follows the messages of one request.
#[derive(Debug)]
pub(super) struct Messages {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    length: usize,
    left: usize,
    counted_whole: bool,
    /// Longer messages are refused by their prefix, by whoever decodes them.
    longest: usize,
}

/// What some bytes brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Bytes of memory that what arrives takes at least, and as it is estimated.
    pub(super) least: usize,
    pub(super) estimate: usize,
    /// Messages that began, and that are whole.
    pub(super) begun: usize,
    pub(super) complete: usize,
}

impl Messages {
    /// Of a request whose messages may have so many bytes.
    pub(super) fn new(longest: usize) -> Messages {
        Messages {
            prefix: [0; PREFIX_BYTES],
            prefix_bytes: 0,
            length: 0,
            left: 0,
            counted_whole: false,
            longest,
        }
    }

    /// Reads the next bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Arrived {
        let mut arrived = Arrived::default();
        while !bytes.is_empty() {
            if self.prefix_bytes < PREFIX_BYTES {
                let (taken, rest) = bytes.split_at(bytes.len().min(PREFIX_BYTES - self.prefix_bytes));
                self.prefix[self.prefix_bytes..self.prefix_bytes + taken.len()].copy_from_slice(taken);
                self.prefix_bytes += taken.len();
                bytes = rest;
                if self.prefix_bytes < PREFIX_BYTES {
                    break;
                }
                self.begin(&mut arrived);
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            bytes = &bytes[taken..];
            if !self.counted_whole && self.length - self.left > FIRST_BYTES {
                self.counted_whole = true;
                arrived.least += self.length - FIRST_BYTES;
                arrived.estimate += in_memory(self.length) - in_memory(FIRST_BYTES);
            }
            if self.left == 0 {
                self.prefix_bytes = 0;
                arrived.complete += 1;
            }
        }
        arrived
    }

    fn begin(&mut self, arrived: &mut Arrived) {
        let [_, length @ ..] = self.prefix;
        self.length = u32::from_be_bytes(length) as usize;
        self.left = self.length;
        arrived.begun += 1;
        self.counted_whole = self.length <= FIRST_BYTES || self.length > self.longest;
        if self.length <= self.longest {
            let first = self.length.min(FIRST_BYTES);
            arrived.least += first;
            arrived.estimate += in_memory(first);
        }
    }
}

/// What a message takes while it is read and worked on.
fn in_memory(length: usize) -> usize {
    COPIES * length + (VALUES_FACTOR * length).min(VALUES_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
        bytes.resize(PREFIX_BYTES + length, 7);
        bytes
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let bytes = [message(3), message(0), message(300)].concat();
        let whole = Messages::new(1000).read(&bytes);
        assert_eq!((whole.begun, whole.complete), (3, 3));
        assert_eq!((whole.least, whole.estimate), (303, 303 * 26));
        for size in 1..20 {
            let mut messages = Messages::new(1000);
            let mut sum = Arrived::default();
            for part in bytes.chunks(size) {
                let part = messages.read(part);
                sum.least += part.least;
                sum.estimate += part.estimate;
                sum.begun += part.begun;
                sum.complete += part.complete;
            }
            assert_eq!(sum, whole, "{size}");
        }
    }

    #[test]
    fn a_large_message_is_counted_whole_once_a_part_of_it_is_there() {
        let length = 32 << 20;
        let bytes = message(length);
        let mut messages = Messages::new(length);
        let first = messages.read(&bytes[..FIRST_BYTES + PREFIX_BYTES]);
        assert_eq!((first.least, first.estimate), (FIRST_BYTES, 26 * FIRST_BYTES));
        let second = messages.read(&bytes[FIRST_BYTES + PREFIX_BYTES..][..1]);
        assert_eq!(first.estimate + second.estimate, 2 * length + VALUES_BYTES);
        assert_eq!(first.least + second.least, length);
        let rest = messages.read(&bytes[FIRST_BYTES + PREFIX_BYTES + 1..]);
        assert_eq!((rest.estimate, rest.complete), (0, 1));
    }

    #[test]
    fn what_is_too_long_is_left_to_the_decoder() {
        let mut messages = Messages::new(100);
        let arrived = messages.read(&message(101));
        assert_eq!((arrived.least, arrived.estimate, arrived.begun), (0, 0, 1));
    }
}
