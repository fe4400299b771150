//! The socket of a connection. Records when the caller's handshake is complete and when it accepts no bytes; passes all
//! bytes through unchanged.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::activity::Activity;

/// The bytes of a connection: as they are, or under TLS.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, which the HTTP/2 layer checks (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// The header of a frame (RFC 9113, 4.1).
const FRAME_HEADER_BYTES: usize = 9;
/// The type of a SETTINGS frame (RFC 9113, 6.5).
const SETTINGS: u8 = 4;

/// A socket that records its activity.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    activity: Arc<Activity>,
    /// `None` once the handshake is complete.
    handshake: Option<Handshake>,
}

/// The first bytes that a caller sends: the preface and a SETTINGS frame.
#[derive(Debug, Default)]
struct Handshake {
    bytes: usize,
    frame_header: [u8; FRAME_HEADER_BYTES],
}

impl Socket {
    pub(super) fn new(stream: Stream, activity: Arc<Activity>) -> Socket {
        Socket {
            stream,
            activity,
            handshake: Some(Handshake::default()),
        }
    }

    fn record_read(&mut self, bytes: &[u8]) {
        if self
            .handshake
            .as_mut()
            .is_some_and(|handshake| handshake.completes_with(bytes))
        {
            self.handshake = None;
            self.activity.established();
        }
    }

    fn record_write<T>(&self, polled: &Poll<T>) {
        match polled {
            Poll::Pending => self.activity.stalled(),
            Poll::Ready(_) => self.activity.resumed(),
        }
    }
}

impl Handshake {
    /// Reads the next bytes; returns whether they complete the handshake. Any frame other than SETTINGS is a protocol error
    /// and never completes it.
    fn completes_with(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            let place = self.bytes.checked_sub(PREFACE_BYTES);
            if let Some(slot) = place.and_then(|place| self.frame_header.get_mut(place)) {
                *slot = *byte;
            }
            self.bytes += 1;
            let Some(content) = self.bytes.checked_sub(PREFACE_BYTES + FRAME_HEADER_BYTES) else {
                continue;
            };
            let [high, middle, low, kind, ..] = self.frame_header;
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
        if self.handshake.is_some() {
            self.record_read(&buffer.filled()[before..]);
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
        self.record_write(&polled);
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
        self.record_write(&polled);
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
    fn a_handshake_is_the_preface_and_a_whole_settings_frame() {
        let empty = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
        let one = [0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
        for settings in [&empty[..], &one[..]] {
            let whole = [PREFACE, settings].concat();
            for split in 0..whole.len() {
                let mut handshake = Handshake::default();
                assert!(!handshake.completes_with(&whole[..split]), "{split}");
                assert!(handshake.completes_with(&whole[split..]), "{split}");
            }
        }
    }

    #[test]
    fn another_frame_does_not_complete_the_handshake() {
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let whole = [&PREFACE[..], &ping, &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]].concat();
        assert!(!Handshake::default().completes_with(&whole));
    }
}
