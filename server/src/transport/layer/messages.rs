//! The sizes of the messages in a request, from the five-byte prefix of each. Never reads the messages themselves.

/// The prefix of a message: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;
/// A longer message is counted as a whole only once this many of its bytes have arrived: a message that is announced but
/// not sent counts for no more than this.
const FIRST_BYTES: usize = 64 * 1024;
/// A message is counted twice: as it arrived, and decoded.
const COPIES: usize = 2;
/// Small decoded values use up to this many times their encoded bytes in addition: a null is 4 bytes on the wire and about
/// 100 decoded.
const VALUES_FACTOR: usize = 24;
/// The most that this addition can be: the memory of as many values as one request may have.
const VALUES_BYTES: usize = 12 * 1024 * 1024;

/// Counts the messages of one request.
#[derive(Debug)]
pub(super) struct Messages {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    length: usize,
    left: usize,
    counted_whole: bool,
    /// The decoder refuses longer messages when it has read their prefix.
    max_bytes: usize,
}

/// What a chunk of bytes contained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrived {
    /// The least memory that it needs, in bytes.
    pub(super) least: usize,
    /// The memory that it is estimated to need, in bytes.
    pub(super) estimate: usize,
    /// Messages that started.
    pub(super) started: usize,
    /// Messages that are complete.
    pub(super) complete: usize,
}

impl Messages {
    /// For a request whose messages may have `max_bytes` bytes each.
    pub(super) fn new(max_bytes: usize) -> Messages {
        Messages {
            prefix: [0; PREFIX_BYTES],
            prefix_bytes: 0,
            length: 0,
            left: 0,
            counted_whole: false,
            max_bytes,
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
                self.start(&mut arrived);
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

    fn start(&mut self, arrived: &mut Arrived) {
        self.length = length(self.prefix);
        self.left = self.length;
        arrived.started += 1;
        self.counted_whole = self.length <= FIRST_BYTES || self.length > self.max_bytes;
        if self.length <= self.max_bytes {
            let first = self.length.min(FIRST_BYTES);
            arrived.least += first;
            arrived.estimate += in_memory(first);
        }
    }
}

/// The length of the message after a prefix.
pub(super) fn length([_, length @ ..]: [u8; PREFIX_BYTES]) -> usize {
    u32::from_be_bytes(length) as usize
}

/// The memory that a message uses while it is read and processed.
pub(super) fn in_memory(length: usize) -> usize {
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
    fn counts_messages_however_they_are_split() {
        let bytes = [message(3), message(0), message(300)].concat();
        let whole = Messages::new(1000).read(&bytes);
        assert_eq!((whole.started, whole.complete), (3, 3));
        assert_eq!((whole.least, whole.estimate), (303, 303 * 26));
        for size in 1..20 {
            let mut messages = Messages::new(1000);
            let mut sum = Arrived::default();
            for part in bytes.chunks(size) {
                let part = messages.read(part);
                sum.least += part.least;
                sum.estimate += part.estimate;
                sum.started += part.started;
                sum.complete += part.complete;
            }
            assert_eq!(sum, whole, "{size}");
        }
    }

    #[test]
    fn counts_a_large_message_as_a_whole_once_a_part_arrived() {
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
    fn leaves_messages_that_are_too_long_to_the_decoder() {
        let mut messages = Messages::new(100);
        let arrived = messages.read(&message(101));
        assert_eq!((arrived.least, arrived.estimate, arrived.started), (0, 0, 1));
    }
}
