//! The socket of a connection. Records when the caller's handshake is complete and when it accepts no bytes. Bytes to send
//! are collected while the connection's task runs, and sent when it pauses: HTTP/2 writes and flushes frame by frame, of
//! 16 KiB at most, and a system call for each costs more than copying it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
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
/// The most bytes that are collected.
const MAX_WAITING_BYTES: usize = 128 * 1024;
/// The capacity that an empty buffer keeps.
const KEPT_BYTES: usize = 4 * 1024;

/// A socket that records its activity. Clones are the same socket. It accepts bytes, and flushes, without sending: whoever
/// polls the connection must call [`Socket::poll_send`] then.
#[derive(Clone, Debug)]
pub(super) struct Socket(Arc<Mutex<Buffered>>);

#[derive(Debug)]
struct Buffered {
    stream: Stream,
    activity: Arc<Activity>,
    /// `None` once the handshake is complete.
    handshake: Option<Handshake>,
    /// Bytes to send, of which the first `sent` are sent.
    waiting: Vec<u8>,
    sent: usize,
    /// Whether TLS may have bytes that it was given and has not sent.
    is_unflushed: bool,
    /// Why bytes that were accepted cannot be sent.
    failure: Option<io::ErrorKind>,
}

/// The first bytes that a caller sends: the preface and a SETTINGS frame.
#[derive(Debug, Default)]
struct Handshake {
    bytes: usize,
    frame_header: [u8; FRAME_HEADER_BYTES],
}

impl Socket {
    pub(super) fn new(stream: Stream, activity: Arc<Activity>) -> Socket {
        Socket(Arc::new(Mutex::new(Buffered {
            stream,
            activity,
            handshake: Some(Handshake::default()),
            waiting: Vec::new(),
            sent: 0,
            is_unflushed: false,
            failure: None,
        })))
    }

    /// Sends what was collected, as far as the socket takes it; the task is woken when it takes more. A failure is that of
    /// the next write.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) {
        let mut socket = self.0.lock();
        if let Poll::Ready(Err(failure)) = socket.poll_send(context) {
            socket.failure = Some(failure.kind());
            socket.discard();
            socket.is_unflushed = false;
            context.waker().wake_by_ref();
        }
    }
}

impl Buffered {
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

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            self.sent += ready!(self.poll_stream(context, &[]))?;
        }
        self.discard();
        if self.is_unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Collects bytes; sends if there are too many. Returns how many of them were taken.
    fn poll_take(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(failure) = self.failure {
            return Poll::Ready(Err(failure.into()));
        }
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        loop {
            let waiting = self.waiting.len() - self.sent;
            if waiting + bytes <= MAX_WAITING_BYTES {
                self.waiting.drain(..std::mem::take(&mut self.sent));
                slices
                    .iter()
                    .for_each(|slice| self.waiting.extend_from_slice(slice));
                return Poll::Ready(Ok(bytes));
            }
            let sent = ready!(self.poll_stream(context, slices))?;
            match sent.checked_sub(waiting) {
                None => self.sent += sent,
                Some(taken) => {
                    self.discard();
                    if taken > 0 {
                        return Poll::Ready(Ok(taken));
                    }
                }
            }
        }
    }

    /// Writes what was collected, and then these bytes. Returns how many bytes the socket took, of both together.
    fn poll_stream(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let waiting = IoSlice::new(&self.waiting[self.sent..]);
        let stream = Pin::new(&mut self.stream);
        let polled = match (slices, waiting.is_empty()) {
            ([], _) => stream.poll_write(context, &waiting),
            (_, true) => stream.poll_write_vectored(context, slices),
            (_, false) => {
                let all: Vec<IoSlice<'_>> = std::iter::once(waiting).chain(slices.iter().copied()).collect();
                stream.poll_write_vectored(context, &all)
            }
        };
        match &polled {
            Poll::Pending => self.activity.stalled(),
            Poll::Ready(_) => self.activity.resumed(),
        }
        match ready!(polled)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            bytes => {
                self.is_unflushed = true;
                Poll::Ready(Ok(bytes))
            }
        }
    }

    /// Empties the buffer.
    fn discard(&mut self) {
        self.waiting.clear();
        self.waiting.shrink_to(KEPT_BYTES);
        self.sent = 0;
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
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut socket = self.0.lock();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut socket.stream).poll_read(context, buffer);
        if socket.handshake.is_some() {
            socket.record_read(&buffer.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_take(context, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = self.0.lock();
        ready!(socket.poll_send(context))?;
        Pin::new(&mut socket.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_take(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;

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

    /// A socket, and its caller.
    async fn connected() -> (Socket, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let activity = Arc::new(Activity::new());
        (Socket::new(Stream::Left(stream), activity), caller)
    }

    /// Writes a content in slices, as HTTP/2 does: it flushes after each, and sends when it pauses.
    async fn write(socket: Socket, content: Vec<u8>, slice_bytes: usize) {
        let (mut io, mut written) = (socket.clone(), 0);
        poll_fn(|context| {
            while written < content.len() {
                let frame = &content[written..(written + slice_bytes).min(content.len())];
                let (head, rest) = frame.split_at(frame.len().min(9));
                let slices = [IoSlice::new(head), IoSlice::new(rest)];
                match Pin::new(&mut io).poll_write_vectored(context, &slices) {
                    Poll::Ready(bytes) => written += bytes.unwrap(),
                    Poll::Pending => break,
                }
                assert!(Pin::new(&mut io).poll_flush(context).is_ready());
            }
            socket.poll_send(context);
            match written < content.len() {
                true => Poll::Pending,
                false => Pin::new(&mut io).poll_shutdown(context).map(Result::unwrap),
            }
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_collected_arrives_in_order() {
        let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        for slice_bytes in [1000, 16 * 1024 + 9, MAX_WAITING_BYTES + 1, 3_000_000] {
            let (socket, mut caller) = connected().await;
            let writing = tokio::spawn(write(socket, content.clone(), slice_bytes));
            let mut received = Vec::new();
            caller.read_to_end(&mut received).await.unwrap();
            writing.await.unwrap();
            assert!(received == content, "in slices of {slice_bytes}");
        }
    }

    #[tokio::test]
    async fn a_caller_that_does_not_read_stops_the_writer_and_the_buffer_is_bounded() {
        let (socket, caller) = connected().await;
        let mut io = socket.clone();
        let mut accepted = 0;
        let frame = [7; 16 * 1024];
        poll_fn(|context| {
            while Pin::new(&mut io).poll_write(context, &frame).is_ready() {
                accepted += 1;
            }
            socket.poll_send(context);
            Poll::Ready(())
        })
        .await;
        let buffered = socket.0.lock();
        assert!(accepted > 1 && buffered.waiting.len() <= MAX_WAITING_BYTES);
        assert!(buffered.activity.stalled_since().is_some());
        drop(caller);
    }

    #[tokio::test]
    async fn a_failure_is_that_of_the_next_write() {
        let (socket, caller) = connected().await;
        caller.set_zero_linger().unwrap();
        drop(caller);
        let mut io = socket.clone();
        let failed = poll_fn(|context| {
            let polled = Pin::new(&mut io).poll_write(context, b"frame");
            socket.poll_send(context);
            match polled {
                Poll::Ready(Err(error)) => Poll::Ready(error.kind()),
                Poll::Ready(Ok(_)) | Poll::Pending => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await;
        assert!(
            matches!(failed, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
            "{failed}"
        );
    }
}
