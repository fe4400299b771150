//! How the bytes of a content are stored. An encoder turns a caller's pieces into stored ones, one after the other.

use bytes::Bytes;

use crate::item::pointer::Pointer;

/// An encoder of one content.
#[derive(Default)]
pub(super) enum Encoder {
    /// The content is stored as it is.
    #[default]
    Plain,
}

impl Encoder {
    /// The stored form of the next piece of the content; may keep some of it for later.
    pub(super) fn push(&mut self, piece: Bytes) -> Vec<Bytes> {
        match self {
            Encoder::Plain => vec![piece],
        }
    }

    /// What is left of the stored form at the end of the content.
    pub(super) fn finish(&mut self) -> Vec<Bytes> {
        match self {
            Encoder::Plain => Vec::new(),
        }
    }

    /// The most bytes that the stored form of a content of this size has.
    pub(super) fn stored_bytes(&self, plain_bytes: u64) -> u64 {
        match self {
            Encoder::Plain => plain_bytes,
        }
    }

    /// Describes the stored form in the pointer to it. `sha256` is that of the content, in lower-case hex.
    pub(super) fn describe(&self, pointer: &mut Pointer, sha256: String) {
        match self {
            Encoder::Plain => pointer.sha256 = sha256,
        }
    }

    /// Whether a whole content can be sent as it is, without a pass through the encoder.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Encoder::Plain)
    }
}
