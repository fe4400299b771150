//! Decodes the `aws-chunked` framing of a request body and collects its trailers. Never buffers more than one frame.
//!
//! `s3s` does this only for signed requests, and requests to this engine are not signed. The framing: for each chunk
//! `HEX-SIZE[;extension]\r\n` bytes `\r\n`, then `0\r\n`, `name:value\r\n` for each trailer, `\r\n`.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

/// The longest valid line: a chunk size or a trailer.
const LINE_BYTES: usize = 1024;
/// The maximum number of trailers.
const TRAILERS: usize = 16;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The trailers of a body; complete after the body has been read to its end.
#[derive(Clone, Default)]
pub(super) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    /// The value of one trailer.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let trailers = self.0.lock();
        trailers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    }

    fn add(&self, name: HeaderName, value: HeaderValue) -> io::Result<()> {
        let mut trailers = self.0.lock();
        if trailers.len() >= TRAILERS {
            return Err(malformed("too many trailers"));
        }
        trailers.append(name, value);
        Ok(())
    }
}

/// A body without its framing.
pub(super) struct DecodedBody<B> {
    inner: B,
    pending: Bytes,
    line: Vec<u8>,
    state: State,
    left_bytes: u64,
    trailers: Trailers,
}

enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

impl<B> DecodedBody<B> {
    /// `decoded_bytes` is the value of `x-amz-decoded-content-length`; a body of another length is an error.
    pub(super) fn new(inner: B, decoded_bytes: u64, trailers: Trailers) -> Self {
        Self {
            inner,
            pending: Bytes::new(),
            line: Vec::new(),
            state: State::Size,
            left_bytes: decoded_bytes,
            trailers,
        }
    }

    /// Processes the pending bytes, and returns the next bytes of the body, if any.
    fn advance(&mut self) -> io::Result<Option<Bytes>> {
        while !self.pending.is_empty() {
            if let State::Data(left) = self.state {
                let length = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(self.pending.len());
                let data = self.pending.split_to(length);
                let left = left - length as u64;
                self.state = if left == 0 {
                    State::DataEnd
                } else {
                    State::Data(left)
                };
                return Ok(Some(data));
            }
            let Some(line) = self.take_line()? else { break };
            self.state = self.next_state(&line)?;
        }
        Ok(None)
    }

    fn next_state(&mut self, line: &[u8]) -> io::Result<State> {
        match self.state {
            State::Size => self.begin_chunk(chunk_size(line)?),
            State::DataEnd if line.is_empty() => Ok(State::Size),
            State::Trailer if line.is_empty() => Ok(State::Done),
            State::Trailer => self.trailer(line).map(|()| State::Trailer),
            State::DataEnd | State::Data(_) | State::Done => Err(malformed("expected the end of a chunk")),
        }
    }

    fn begin_chunk(&mut self, size: u64) -> io::Result<State> {
        if size > self.left_bytes {
            return Err(malformed("more bytes than x-amz-decoded-content-length"));
        }
        self.left_bytes -= size;
        Ok(if size == 0 {
            State::Trailer
        } else {
            State::Data(size)
        })
    }

    fn trailer(&self, line: &[u8]) -> io::Result<()> {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or_else(|| malformed("a trailer has no colon"))?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(malformed("a trailer is not a valid header"));
        };
        self.trailers.add(name, value)
    }

    /// The next line without its line ending, if it is complete.
    fn take_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let end = self.pending.iter().position(|byte| *byte == b'\n');
        let taken = self
            .pending
            .split_to(end.map_or(self.pending.len(), |end| end + 1));
        if self.line.len() + taken.len() > LINE_BYTES {
            return Err(malformed("a line is too long"));
        }
        self.line.extend_from_slice(&taken);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        if line.pop().is_some_and(|byte| byte != b'\r') {
            return Err(malformed("a line does not end with CR LF"));
        }
        Ok(Some(line))
    }

    fn end(&self) -> io::Result<()> {
        if matches!(self.state, State::Done) && self.left_bytes == 0 {
            return Ok(());
        }
        Err(malformed("the body ended early"))
    }
}

impl<B> Body for DecodedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if let Some(data) = this.advance()? {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                None => return Poll::Ready(this.end().err().map(|failure| Err(failure.into()))),
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure.into()))),
                Some(Ok(frame)) => this.pending = frame.into_data().unwrap_or_default(),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn chunk_size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text =
        std::str::from_utf8(digits).map_err(|_| malformed("a chunk size is not a hexadecimal number"))?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed("a chunk size is not a hexadecimal number"));
    }
    u64::from_str_radix(text, 16).map_err(|_| malformed("a chunk size is not a hexadecimal number"))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: Vec<Vec<u8>>, decoded_bytes: u64) -> Result<(Vec<u8>, Trailers), BoxError> {
        let frames = pieces
            .into_iter()
            .map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from(piece))));
        let trailers = Trailers::default();
        let body = DecodedBody::new(
            StreamBody::new(futures::stream::iter(frames)),
            decoded_bytes,
            trailers.clone(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let bytes = runtime.block_on(body.collect())?.to_bytes();
        Ok((bytes.to_vec(), trailers))
    }

    fn encode(chunks: &[Vec<u8>], trailers: &[(&str, &str)]) -> Vec<u8> {
        let mut framed = Vec::new();
        for chunk in chunks {
            framed.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            framed.extend_from_slice(chunk);
            framed.extend_from_slice(b"\r\n");
        }
        framed.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            framed.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        }
        framed.extend_from_slice(b"\r\n");
        framed
    }

    #[test]
    fn refuses_invalid_framing() {
        let cases: [(&[u8], u64); 10] = [
            (b"3\r\nabc\r\n0\r\n", 3),
            (b"", 0),
            (b"3\r\nabc\r\n", 3),
            (b"3\r\nabc\r\n0\r\n\r\n", 4),
            (b"4\r\nabcd\r\n0\r\n\r\n", 3),
            (b"3\r\nabcd\r\n0\r\n\r\n", 4),
            (b"+3\r\nabc\r\n0\r\n\r\n", 3),
            (b"3\nabc\n0\n\n", 3),
            (b"0\r\nno colon\r\n\r\n", 0),
            (b"0\r\n\r\nmore\r\n", 0),
        ];
        for (framed, decoded_bytes) in cases {
            assert!(
                decode(vec![framed.to_vec()], decoded_bytes).is_err(),
                "{}",
                framed.escape_ascii()
            );
        }
        assert!(decode(vec![vec![b'1'; LINE_BYTES + 1]], 0).is_err());
        assert!(decode(vec![encode(&[], &[("a", "b"); TRAILERS + 1])], 0).is_err());
    }

    proptest! {
        #[test]
        fn decodes_any_chunks(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..5),
            cut in 1_usize..60,
        ) {
            let whole = chunks.concat();
            let framed = encode(&chunks, &[("x-amz-checksum-crc32", "AAAAAA==")]);
            let pieces = framed.chunks(cut).map(<[u8]>::to_vec).collect();
            let (bytes, trailers) = decode(pieces, whole.len() as u64).unwrap();
            prop_assert_eq!(bytes, whole);
            prop_assert_eq!(trailers.get("x-amz-checksum-crc32"), Some("AAAAAA==".to_owned()));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), length in 0_u64..300) {
            let _ = decode(vec![bytes], length);
        }
    }
}
