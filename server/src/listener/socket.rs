//! The socket of a connection, which notes when its caller's handshake is over and when it takes no bytes. Passes
//! everything through.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, which the HTTP/2 layer checks (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// Of a frame (RFC 9113, 4.1).
const FRAME_HEAD_BYTES: usize = 9;
/// What the type of a SETTINGS frame is.
const SETTINGS: u8 = 4;

/// A socket that notes what it does.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// None once the handshake is over.
    greeting: Option<Greeting>,
}

/// The first bytes of a caller: the preface and a SETTINGS frame.
#[derive(Debug, Default)]
struct Greeting {
    bytes: usize,
    frame_head: [u8; FRAME_HEAD_BYTES],
}

impl Socket {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Socket {
        Socket {
            stream,
            activity,
            greeting: Some(Greeting::default()),
        }
    }

    fn note_read(&mut self, bytes: &[u8]) {
        if self
            .greeting
            .as_mut()
            .is_some_and(|greeting| greeting.is_over_with(bytes))
        {
            self.greeting = None;
            self.activity.greeted();
        }
    }

    fn note_written<T>(&self, polled: &Poll<T>) {
        match polled {
            Poll::Pending => self.activity.stalls(),
            Poll::Ready(_) => self.activity.flows(),
        }
    }
}

impl Greeting {
    /// Takes the next bytes. Any other frame than SETTINGS is an error of the protocol, and never ends a greeting.
    fn is_over_with(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            let place = self.bytes.checked_sub(PREFACE_BYTES);
            if let Some(slot) = place.and_then(|place| self.frame_head.get_mut(place)) {
                *slot = *byte;
            }
            self.bytes += 1;
            let Some(content) = self.bytes.checked_sub(PREFACE_BYTES + FRAME_HEAD_BYTES) else {
                continue;
            };
            let [high, middle, low, kind, ..] = self.frame_head;
            let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if kind == SETTINGS && content >= length {
                return true;
            }
        }
        false
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.greeting.is_some() {
            self.note_read(&buffer.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_written(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    #[test]
    fn a_greeting_is_the_preface_and_whole_settings() {
        let empty = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
        let one = [0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
        for settings in [&empty[..], &one[..]] {
            let whole = [PREFACE, settings].concat();
            for split in 0..whole.len() {
                let mut greeting = Greeting::default();
                assert!(!greeting.is_over_with(&whole[..split]), "{split}");
                assert!(greeting.is_over_with(&whole[split..]), "{split}");
            }
        }
    }

    #[test]
    fn another_frame_is_no_greeting() {
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let whole = [&PREFACE[..], &ping, &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]].concat();
        assert!(!Greeting::default().is_over_with(&whole));
    }
}
