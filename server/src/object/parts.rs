//! Reads a content part by part, as it is stored: checks, hashes and encodes it on the way. Holds one part at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::content::{Content, ContentError, ContentStream, Piece};
use super::encoder::{EncodeError, Encoder};
use super::filling::Filling;
use super::key;
use super::part_size::{PART_BYTES, part_bytes};
use super::window::Room;
use crate::model::limits::{MAX_OBJECT_BYTES, MAX_PARTS};

/// The largest piece that is hashed and encoded on an async thread; larger ones are on a blocking thread.
const MAX_INLINE_BYTES: usize = 256 * 1024;

/// What is known of a content before it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Announced {
    /// Its size.
    pub size_bytes: Option<u64>,
    /// Its SHA-256, in lower-case hex.
    pub sha256: Option<String>,
    /// The most bytes that it may have; S3's limit applies too.
    pub max_bytes: Option<u64>,
}

/// A content that is read part by part.
pub(super) struct Parts {
    source: Source,
    announced: Announced,
    pass: Pass,
    plain_bytes: u64,
    stored_bytes: u64,
    /// Stored bytes that belong to later parts.
    later: VecDeque<Bytes>,
    /// Parts that were returned.
    parts: usize,
}

/// One part.
pub(super) struct PartContent {
    /// Its stored bytes.
    pub(super) bytes: Bytes,
    /// Released when the part is sent.
    pub(super) room: Option<Room>,
    /// Whether it is the last one.
    pub(super) is_last: bool,
}

/// What a content was.
pub(super) struct Finished {
    pub(super) plain_bytes: u64,
    pub(super) encoder: Encoder,
    /// `None` if it was not hashed here.
    pub(super) sha256: Option<String>,
}

enum Source {
    /// The rest of a whole content.
    Whole(Bytes),
    Stream(ContentStream),
    /// The content ended; its stored form may have bytes left.
    Ended,
}

/// What every piece passes.
#[derive(Default)]
struct Pass {
    encoder: Encoder,
    /// `None`: the content is hashed elsewhere.
    hasher: Option<Sha256>,
}

impl Parts {
    /// Reads a content. A whole one is hashed only if the encoder changes it.
    pub(super) fn new(content: Content, announced: Announced, encoder: Encoder) -> Parts {
        let (source, is_hashed) = match content {
            Content::Whole(bytes) => (Source::Whole(bytes), !encoder.is_plain()),
            Content::Stream(stream) => (Source::Stream(stream), true),
        };
        Parts {
            source,
            announced,
            pass: Pass {
                encoder,
                hasher: is_hashed.then(Sha256::new),
            },
            plain_bytes: 0,
            stored_bytes: 0,
            later: VecDeque::new(),
            parts: 0,
        }
    }

    /// The next part; not to be called again after the last one. Every content has at least one, which is empty if the
    /// content is.
    ///
    /// # Errors
    ///
    /// The content is not as it was announced, or too large. Checked before the last part is returned.
    pub(super) async fn next(&mut self) -> Result<PartContent, ContentError> {
        let mut target_bytes = self.target_bytes();
        let room = match &self.source {
            Source::Stream(stream) => stream.room(target_bytes).await,
            Source::Whole(_) | Source::Ended => None,
        };
        if let Some(room) = &room {
            target_bytes = target_bytes.min(room.bytes());
        }
        let mut filling = Filling::Piece(Bytes::new());
        loop {
            self.fill(&mut filling, target_bytes);
            let missing_bytes = target_bytes.saturating_sub(filling.bytes());
            let is_last = self.is_at_the_end();
            if is_last || (missing_bytes == 0 && self.goes_on()) {
                self.parts += 1;
                if self.parts >= MAX_PARTS && !is_last {
                    let max_bytes = self.plain_bytes;
                    return Err(ContentError::TooLarge { max_bytes });
                }
                return Ok(PartContent {
                    bytes: filling.into_bytes(),
                    room,
                    is_last,
                });
            }
            self.read(missing_bytes).await?;
        }
    }

    /// What the content was, at its end.
    pub(super) fn finish(self) -> Finished {
        let Pass { encoder, hasher } = self.pass;
        Finished {
            plain_bytes: self.plain_bytes,
            encoder,
            sha256: hasher.map(|hasher| key::hex(&hasher.finalize())),
        }
    }

    /// Moves bytes that are there already into a part.
    fn fill(&mut self, filling: &mut Filling, target_bytes: usize) {
        while let Some(piece) = self.later.front_mut() {
            let missing_bytes = target_bytes.saturating_sub(filling.bytes());
            if missing_bytes == 0 {
                return;
            }
            let taken = piece.split_to(missing_bytes.min(piece.len()));
            if piece.is_empty() {
                self.later.pop_front();
            }
            filling.append(taken, target_bytes);
        }
    }

    fn is_at_the_end(&self) -> bool {
        self.later.is_empty() && matches!(self.source, Source::Ended)
    }

    /// Whether it is certain that bytes follow. A stream shows it only by its next piece.
    fn goes_on(&self) -> bool {
        let has_rest = match &self.source {
            Source::Whole(rest) => !rest.is_empty(),
            Source::Stream(_) | Source::Ended => false,
        };
        has_rest || !self.later.is_empty()
    }

    /// The size of the next part.
    fn target_bytes(&self) -> usize {
        let whole_bytes = match &self.source {
            Source::Whole(rest) => Some(self.plain_bytes + rest.len() as u64),
            Source::Stream(_) => self.announced.size_bytes,
            Source::Ended => Some(self.plain_bytes),
        };
        let left_bytes = whole_bytes.map(|bytes| {
            let stored_bytes = self.pass.encoder.stored_bytes(bytes);
            stored_bytes.saturating_sub(self.stored_bytes) + self.later_bytes()
        });
        part_bytes(self.parts, left_bytes)
    }

    fn later_bytes(&self) -> u64 {
        self.later.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Reads the next piece of the content, and encodes it.
    async fn read(&mut self, wanted_bytes: usize) -> Result<(), ContentError> {
        let piece = match &mut self.source {
            Source::Whole(rest) => {
                let wanted_bytes = wanted_bytes.clamp(1, PART_BYTES);
                let piece = rest.split_to(wanted_bytes.min(rest.len()));
                match piece.is_empty() {
                    true => Piece::End(None),
                    false => Piece::Bytes(piece),
                }
            }
            Source::Stream(stream) => stream.next().await.ok_or(ContentError::Incomplete)?,
            Source::Ended => return Ok(()),
        };
        let stored = match piece {
            Piece::Bytes(piece) => {
                self.plain_bytes += piece.len() as u64;
                self.check_size()?;
                self.encode(piece).await?
            }
            Piece::End(sha256) => {
                self.source = Source::Ended;
                self.check_end(sha256.as_deref())?;
                self.pass.encoder.finish()?
            }
        };
        self.stored_bytes += stored.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let stored = stored.into_iter().filter(|piece| !piece.is_empty());
        self.later.extend(stored);
        Ok(())
    }

    async fn encode(&mut self, piece: Bytes) -> Result<Vec<Bytes>, EncodeError> {
        if piece.len() <= MAX_INLINE_BYTES || self.pass.passes_on() {
            return self.pass.push(piece);
        }
        let mut pass = std::mem::take(&mut self.pass);
        let pushed = tokio::task::spawn_blocking(move || (pass.push(piece), pass)).await;
        let (stored, pass) = pushed.expect("encoding does not panic, and nobody aborts it");
        self.pass = pass;
        stored
    }

    /// Rejects a content that is larger than it may be, or than announced.
    fn check_size(&self) -> Result<(), ContentError> {
        let max_bytes = self.announced.max_bytes.unwrap_or(MAX_OBJECT_BYTES);
        if self.plain_bytes > max_bytes.min(MAX_OBJECT_BYTES) {
            return Err(ContentError::TooLarge { max_bytes });
        }
        match self.announced.size_bytes {
            Some(announced_bytes) if self.plain_bytes > announced_bytes => {
                Err(ContentError::Size { announced_bytes })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Rejects a content that is not as announced, at its end.
    fn check_end(&self, sha256: Option<&str>) -> Result<(), ContentError> {
        if let Some(announced_bytes) = self.announced.size_bytes
            && announced_bytes != self.plain_bytes
        {
            return Err(ContentError::Size { announced_bytes });
        }
        let Some(hasher) = &self.pass.hasher else {
            return Ok(());
        };
        let announced = [sha256, self.announced.sha256.as_deref()];
        let mut announced = announced.into_iter().flatten().peekable();
        if announced.peek().is_none() {
            return Ok(());
        }
        let actual = key::hex(&hasher.clone().finalize());
        match announced.all(|announced| *announced == actual) {
            true => Ok(()),
            false => Err(ContentError::Sha256),
        }
    }
}

impl Pass {
    fn push(&mut self, piece: Bytes) -> Result<Vec<Bytes>, EncodeError> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
        }
        self.encoder.push(piece)
    }

    /// Whether pieces pass without any work.
    fn passes_on(&self) -> bool {
        self.hasher.is_none() && self.encoder.is_plain()
    }
}

#[cfg(test)]
mod tests;
