//! The content of a new object: whole in memory, or a stream of pieces as they arrive from the caller. A stream has an end;
//! one that closes without it is incomplete and never stored.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::encoder::EncodeError;
use super::window::{Open, Room, Window};

/// The content of a new object.
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// Pieces that arrive one after the other.
    Stream(ContentStream),
}

/// Why a content cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The stream closed before the end of the content.
    #[error("the stream ended before the last chunk of this content, which has end set")]
    Incomplete,
    /// It has another size than announced.
    #[error("the content has another size than {announced_bytes} bytes")]
    Size {
        /// The announced size.
        announced_bytes: u64,
    },
    /// Nothing is uploaded by URL for it.
    #[error("nothing is uploaded with the URL of this upload_token, or it was taken up already")]
    NotUploaded,
    /// It has another SHA-256 than announced.
    #[error("the content has another SHA-256")]
    Sha256,
    /// It is too large.
    #[error("must have at most {max_bytes} bytes")]
    TooLarge {
        /// The most bytes that it may have.
        max_bytes: u64,
    },
    /// A defect of this program.
    #[error(transparent)]
    Encoding(#[from] EncodeError),
}

/// The receiving end of a streamed content.
pub struct ContentStream {
    pieces: mpsc::Receiver<Piece>,
    /// `None`: the stream is closed.
    window: Option<Arc<Window>>,
    open: Option<Open>,
}

/// The sending end of a streamed content. A stream whose sender is dropped before [`ContentSender::end`] is incomplete.
pub struct ContentSender(mpsc::Sender<Piece>);

/// The stream is no longer read: its upload failed, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// What a stream delivers.
pub(super) enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// The end, with the SHA-256 that the caller computed, if any.
    End(Option<String>),
}

/// A streamed content, and the end to send it to. At most one piece waits to be read.
pub fn stream(window: &Arc<Window>) -> (ContentSender, ContentStream) {
    let (sender, pieces) = mpsc::channel(1);
    let stream = ContentStream {
        pieces,
        window: Some(Arc::clone(window)),
        open: None,
    };
    (ContentSender(sender), stream)
}

impl ContentSender {
    /// Sends the next bytes. Waits until they can be read: the content's back-pressure.
    ///
    /// # Errors
    ///
    /// [`Closed`] if nobody reads the stream any more.
    pub async fn send(&self, bytes: Bytes) -> Result<(), Closed> {
        self.0.send(Piece::Bytes(bytes)).await.map_err(|_| Closed)
    }

    /// Ends the content; `sha256` is what the caller says that it has.
    ///
    /// # Errors
    ///
    /// [`Closed`] if nobody reads the stream any more.
    pub async fn end(self, sha256: Option<String>) -> Result<(), Closed> {
        self.0.send(Piece::End(sha256)).await.map_err(|_| Closed)
    }
}

impl ContentStream {
    /// A stream that is closed: its content is incomplete.
    pub(super) fn closed() -> ContentStream {
        ContentStream {
            pieces: mpsc::channel(1).1,
            window: None,
            open: None,
        }
    }

    /// The next piece; `None` if the stream closed before its end.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        let piece = self.pieces.recv().await?;
        match piece {
            Piece::Bytes(_) if self.open.is_none() => self.open = self.window.as_ref().map(Window::enter),
            Piece::Bytes(_) => {}
            Piece::End(_) => self.open = None,
        }
        Some(piece)
    }

    /// Room for a part of `bytes`, or for less.
    pub(super) async fn room(&self, bytes: usize) -> Option<Room> {
        Some(self.window.as_ref()?.room(bytes).await)
    }
}
